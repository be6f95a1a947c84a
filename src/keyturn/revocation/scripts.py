"""The Lua scripts of the copier. All keys of one call share a hash slot.

The set's mark is what its members `upto` and `settled` say. A round reads the mark and the
server's own time, then asks PostgreSQL, then writes; each write is refused unless the mark still
is what it should be (another copier, a flush, an eviction, a promoted replica). A claim is refused
also when that reading is not recent by the same server's clock: one that was held up anywhere, in
a frozen process or in a network, would call an old truth a new one.
"""

_MARK = """
local function mark()
  if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return ' ' end
  local upto = redis.call('ZSCORE', KEYS[1], 'upto') or ''
  return upto .. ' ' .. (redis.call('ZSCORE', KEYS[1], 'settled') or '')
end
"""

READ = (
    _MARK
    + """
local time = redis.call('TIME')
return {mark(), string.format('%.0f', time[1] * 1000000 + time[2])}
"""
)
"""KEYS: the set. Returns its mark, a space where it says nothing, and the server's time in us."""

ADD = (
    _MARK
    + """
if mark() ~= ARGV[1] then return false end
local added = {}
for i = 3, #ARGV, 2 do
  if redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1]) == 1 then
    added[#added + 1] = (i - 3) / 2
  end
end
redis.call('ZADD', KEYS[1], ARGV[2], 'settled')
return {mark(), table.concat(added, ' ')}
"""
)
"""KEYS: the set. ARGV: the mark, the next `settled`, then score and member by turns.

Returns the new mark and which pairs were new, counted from 0 (one text: the driver takes its time
over a list); nil when overtaken.
"""

STAGE = """
local added = redis.call('ZADD', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return added
"""
"""KEYS: the new set. ARGV: its life in ms, then score and member by turns. Returns how many."""

_CLAIM = (
    _MARK
    + """
local time = redis.call('TIME')
local age = time[1] * 1000000 + time[2] - tonumber(ARGV[2])
local late = age < 0 or age > tonumber(ARGV[3])
"""
)

CLAIM = (
    _CLAIM
    + """
if mark() ~= ARGV[1] then return 'overtaken' end
if late then return 'late' end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[4])
redis.call('ZADD', KEYS[1], ARGV[4], 'upto', ARGV[5], 'settled')
return 'copied'
"""
)
"""KEYS: the set. ARGV: the mark, when it was read, the age in us at which that is too long ago, the
next `upto` and `settled`.

Trims what has expired: the two are written after, so that they are exempt.
"""

REPLACE = (
    _CLAIM
    + """
if mark() ~= ARGV[1] or redis.call('ZCARD', KEYS[2]) ~= tonumber(ARGV[6]) then
  redis.call('UNLINK', KEYS[2])
  return 'overtaken'
end
if late then return 'late' end
redis.call('ZADD', KEYS[2], ARGV[4], 'upto', ARGV[5], 'settled')
redis.call('PERSIST', KEYS[2])
redis.call('UNLINK', KEYS[1])
redis.call('RENAME', KEYS[2], KEYS[1])
return 'copied'
"""
)
"""KEYS: the set, the new set. ARGV: as `CLAIM`, then the size the new set must have.

A new set that was evicted half-way does not have that size. The old one is freed aside, not
within the command: a million members would hold up everybody else's.
"""
