-- Count one failure in a window; returns the milliseconds to wait when there were too many.
-- KEYS  what failed
-- ARGV  failures of a window, window (ms)
local failures = redis.call('INCR', KEYS[1])
local rest = redis.call('PTTL', KEYS[1])
if rest < 0 then
  rest = tonumber(ARGV[2])
  redis.call('PEXPIRE', KEYS[1], rest)
end
if failures > tonumber(ARGV[1]) then return rest end
return 0
