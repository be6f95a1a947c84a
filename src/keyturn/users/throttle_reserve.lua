-- Count one attempt before it is made, unless a limit is reached: one step, so that a hundred
-- attempts at once cannot all pass. An account's limit is a delay that doubles, not a lock.
-- KEYS  the account, the account from this address, the mark of an address that signed in to
--       it before, the address, everybody
-- ARGV  attempts of an account before delays, longest delay (ms), window (ms),
--       attempts of an address, attempts altogether
-- Returns {"", 0, the key that was charged, and the limits that hold from now on if this attempt
-- fails}, or {the rule, milliseconds to wait, ""}.
local attempts, longest, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('EXISTS', KEYS[3]) == 1
local account = known and KEYS[2] or KEYS[1]

local function rest_of_full_window(key, most)
  if (tonumber(redis.call('GET', key)) or 0) < most then return nil end
  local rest = redis.call('PTTL', key)
  if rest >= 0 then return rest end
  redis.call('PEXPIRE', key, window)
  return window
end

local wait = (tonumber(redis.call('HGET', account, 'free')) or 0) - now
if wait > 0 then return {'account', math.min(wait, longest), ''} end
local rest = rest_of_full_window(KEYS[4], tonumber(ARGV[4]))
if rest then return {'address', rest, ''} end
-- The flood that fills everybody's window must not keep people out of where they signed in before.
rest = not known and rest_of_full_window(KEYS[5], tonumber(ARGV[5]))
if rest then return {'global', rest, ''} end

local failures = redis.call('HINCRBY', account, 'failures', 1)
local delay = 0
if failures >= attempts then
  delay = math.min(longest, 1000 * 2 ^ (failures - attempts))
  redis.call('HSET', account, 'free', now + delay)
end
redis.call('PEXPIRE', account, delay + window)
local answer = {'', 0, account}
if failures == attempts then table.insert(answer, 'account') end
for index = 4, 5 do
  local count = redis.call('INCR', KEYS[index])
  if count == 1 then redis.call('PEXPIRE', KEYS[index], window) end
  if index == 4 and count == tonumber(ARGV[4]) then table.insert(answer, 'address') end
end
return answer
