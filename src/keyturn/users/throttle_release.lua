-- Take back one counted attempt: it succeeded, or nothing was learnt from it.
-- KEYS  the account key that was charged, the mark of a known address, the address, everybody
-- ARGV  1 when it succeeded, how long an address stays known (ms),
--       attempts of an account before delays, longest delay (ms)
local account = KEYS[1]
if ARGV[1] == '1' then
  redis.call('DEL', account)
  redis.call('SET', KEYS[2], 1, 'PX', ARGV[2])
else
  local failures = redis.call('HINCRBY', account, 'failures', -1)
  if failures <= 0 then
    redis.call('DEL', account)
  else
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local delay = 0
    if failures >= tonumber(ARGV[3]) then
      delay = math.min(tonumber(ARGV[4]), 1000 * 2 ^ (failures - tonumber(ARGV[3])))
    end
    local free = tonumber(redis.call('HGET', account, 'free')) or 0
    redis.call('HSET', account, 'free', math.min(free, now + delay))
  end
end
for index = 3, 4 do
  if (tonumber(redis.call('GET', KEYS[index])) or 0) > 0 then redis.call('DECR', KEYS[index]) end
end
return 1
