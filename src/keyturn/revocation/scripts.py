"""The Lua scripts of the copier. All keys of one call share a hash slot.

A round first reads `upto` and the server's own time, then asks PostgreSQL, then writes. The write
is refused unless `upto` is still what was read (another copier, a flush, an eviction, a promoted
replica) and the reading is recent by the same server's clock: a write that was held up anywhere,
in a frozen process or in a network, would call an old truth a new one.
"""

READ = """
local time = redis.call('TIME')
local upto = ''
if redis.call('TYPE', KEYS[1]).ok == 'zset' then
  upto = redis.call('ZSCORE', KEYS[1], 'upto') or ''
end
return {upto, string.format('%.0f', time[1] * 1000000 + time[2])}
"""
"""KEYS: the set. Returns `upto` as text ('' when missing or junk) and the server's time in us."""

_REFUSED = """
local time = redis.call('TIME')
local age = time[1] * 1000000 + time[2] - tonumber(ARGV[2])
local upto = ''
if redis.call('TYPE', KEYS[1]).ok == 'zset' then
  upto = redis.call('ZSCORE', KEYS[1], 'upto') or ''
end
local refused = upto ~= ARGV[1] or age < 0 or age > tonumber(ARGV[3])
"""

ADD = (
    _REFUSED
    + """
if refused then return false end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[4])
local added = {}
for i = 5, #ARGV, 2 do
  if redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1]) == 1 then
    added[#added + 1] = ARGV[i + 1]
  end
end
redis.call('ZADD', KEYS[1], ARGV[4], 'upto')
return added
"""
)
"""KEYS: the set. ARGV: `upto` and time as read, the age in us at which that is too old, the next
`upto`, then score and member by turns.

Trims what has expired (the next `upto` is written after, so that it is exempt) and returns the
members that were not there; nil when refused.
"""

STAGE = """
local added = redis.call('ZADD', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return added
"""
"""KEYS: the new set. ARGV: its life in ms, then score and member by turns. Returns how many."""

REPLACE = (
    _REFUSED
    + """
if refused or redis.call('ZCARD', KEYS[2]) ~= tonumber(ARGV[5]) then
  redis.call('DEL', KEYS[2])
  return 0
end
for i = 6, #ARGV, 2 do
  redis.call('ZADD', KEYS[2], ARGV[i], ARGV[i + 1])
end
redis.call('ZADD', KEYS[2], ARGV[4], 'upto')
redis.call('PERSIST', KEYS[2])
redis.call('RENAME', KEYS[2], KEYS[1])
return 1
"""
)
"""KEYS: the set, the new set. ARGV: as `ADD`, with the size the new set must have before the pairs.

A new set that was evicted half-way does not have that size. Returns 1, or 0 when refused.
"""
