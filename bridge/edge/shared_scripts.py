"""The register of several bridges, as scripts that Redis runs whole, one after the other: so no two share a last place.

Keys, all in one slot of a cluster by their common tag:

| Key | Holds | Goes when |
|---|---|---|
| `{voicebridge}:instances` | addresses, by the time of their last heartbeat | a heartbeat is missed for `ALIVE_S` |
| `{voicebridge}:places:ADDRESS` | names of the calls that take up a place there | the same |
| `{voicebridge}:owner:NAME` | the address whose the call is | `KEPT_S` after the call's end |
| `{voicebridge}:caller:DIGEST` | a caller's calls of the last minute, by time | a minute after the last |

Times are Redis's own, in milliseconds: clocks of several machines are not the same.
"""

from __future__ import annotations

PREFIX = "{voicebridge}:"
ALIVE_S = 10.0
"""How long after its last heartbeat a bridge counts as alive."""
LIVING_S = 36 * 3600.0
"""No call lives longer: `max_call_s` is a day at most, and then the caller may speak with a human."""

_BEGIN = """
local prefix, alive, living, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local me, name = ARGV[5], ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local owner, instances, places = prefix .. 'owner:' .. name, prefix .. 'instances', prefix .. 'places:' .. me
local is_known = redis.call('ZSCORE', instances, me)
local function hold()
  redis.call('SADD', places, name)
  redis.call('PEXPIRE', places, alive)
  redis.call('SET', owner, me, 'PX', living)
end
"""

CLAIM = (
    _BEGIN
    + """
local theirs = redis.call('GET', owner)
if theirs and tonumber(redis.call('ZSCORE', instances, theirs) or 0) > now - alive then return theirs end
redis.call('SET', owner, me, 'PX', kept)
return me
"""
)
ADMIT = (
    _BEGIN
    + """
local caller, most, per_minute = ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
if not is_known then return 'unknown' end
if redis.call('SISMEMBER', places, name) == 1 then return 'admitted' end
redis.call('ZREMRANGEBYSCORE', instances, '-inf', now - alive)
local taken = 0
for _, each in ipairs(redis.call('ZRANGE', instances, 0, -1)) do
  taken = taken + redis.call('SCARD', prefix .. 'places:' .. each)
end
if taken >= most then return 'full' end
if caller ~= '' then
  local calls = prefix .. 'caller:' .. caller
  redis.call('ZREMRANGEBYSCORE', calls, '-inf', now - 60000)
  if redis.call('ZCARD', calls) >= per_minute then return 'too_often' end
  redis.call('ZADD', calls, now, name)
  redis.call('PEXPIRE', calls, 60000)
end
hold()
return 'admitted'
"""
)
"""Redis has forgotten a bridge that is `unknown`, and its places with it: they must be told before one is taken."""
TAKE = (
    _BEGIN
    + """
local theirs = redis.call('GET', owner)
if theirs and theirs ~= me then redis.call('SREM', prefix .. 'places:' .. theirs, name) end
hold()
"""
)
PARK = _BEGIN + "redis.call('SREM', places, name)"
LEAVE = (
    _BEGIN
    + """
redis.call('SREM', places, name)
if redis.call('GET', owner) == me then redis.call('PEXPIRE', owner, kept) end
"""
)
BEAT = (
    _BEGIN
    + """
local with_place = tonumber(ARGV[7])
if with_place >= 0 then redis.call('DEL', places) end
for each = 8, #ARGV do
  local key = prefix .. 'owner:' .. ARGV[each]
  local theirs = redis.call('GET', key)
  if not theirs or theirs == me or tonumber(redis.call('ZSCORE', instances, theirs) or 0) <= now - alive then
    if each < 8 + with_place then redis.call('SADD', places, ARGV[each]) end
    redis.call('SET', key, me, 'PX', living)
  end
end
redis.call('PEXPIRE', places, alive)
redis.call('ZADD', instances, now, me)
redis.call('ZREMRANGEBYSCORE', instances, '-inf', now - alive)
return {is_known and 1 or 0, redis.call('ZRANGE', instances, 0, -1)}
"""
)
"""Says that a bridge is there; gives whether that was known, and everybody who is. Unless the number is -1, so many of
the calls that follow have a place, and no others do; but not a call that another bridge, which is there, has by now."""
PART = (
    _BEGIN
    + """
redis.call('DEL', places)
redis.call('ZREM', instances, me)
"""
)
