"""The Lua scripts that write presence: each is one atomic step, with its change published.

Keys: ``records`` (hash: id to value, see :mod:`actr_signaling.protocol.presence.stored`),
``leases`` (sorted set: id by end of lease, on the clock of leases), ``state`` (hash: ``version``,
``run_id``, ``generation``, ``seen`` and ``skipped`` of the clock of leases). Besides them
``<prefix>:fence:<id>`` keeps the epoch of who has left. Epochs and versions come from the server's
clock or, if that is behind, from the number before: they rise over a loss of all data too.
"""

from __future__ import annotations

from hashlib import sha1

FENCE_MS = 300_000
"""How long the epoch of an actor that left is kept: a replica that was cut off for longer
and still has a live session of it has the only one."""
KEEP_MS = 86_400_000
"""With no replica running for this long, everything is forgotten."""

MOST_MS = 3_000
"""Between two looks at the clock, while a replica runs: each sweeps twice a second."""

_PRELUDE = """
local records, leases, state = KEYS[1], KEYS[2], KEYS[3]
local prefix = ARGV[1]
-- A hash tag: in a Cluster only the servers of the slot are told.
local PUBLISH = string.sub(prefix, 1, 1) == '{' and 'SPUBLISH' or 'PUBLISH'

local function digits(n) return string.format('%016.0f', n) end
local function micros()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end
-- A number that a script has written; 0 of anything else, whoever wrote it there.
local function whole(text)
  if not text or not string.match(text, '^%d+$') then return 0 end
  local number = tonumber(text)
  return number < 9007199254740992 and number or 0
end
local function epoch_of(value)
  return value and whole(string.sub(value, 1, 16)) or 0
end
local function known_epoch(id, value)
  return math.max(epoch_of(value), whole(redis.call('GET', prefix .. ':fence:' .. id)))
end
-- By two at least: the end of a replaced start is told under the number between.
local function publish(kind, rest)
  local before = whole(redis.call('HGET', state, 'version'))
  local version = math.max(before + 2, micros())
  redis.call('HSET', state, 'version', digits(version))
  redis.call(PUBLISH, prefix .. ':presence', kind .. digits(before) .. digits(version) .. rest)
end
-- Milliseconds that pass as leases count them: while somebody looks, and never back. A step of the
-- server's clock, or a pause of the server, is no time in which a session could have been renewed.
local function lease_clock()
  local now = math.floor(micros() / 1000)
  local seen = redis.call('HMGET', state, 'seen', 'skipped')
  local before, skipped = tonumber(seen[1]) or now, tonumber(seen[2]) or 0
  local passed = now - before
  if passed < 0 or passed > @MOST_MS@ then
    skipped = skipped + passed
    redis.call('HSET', state, 'skipped', string.format('%.0f', skipped))
  end
  redis.call('HSET', state, 'seen', string.format('%.0f', now))
  return now - skipped
end
local function lease(id, ms)
  redis.call('ZADD', leases, lease_clock() + tonumber(ms), id)
end
local function put(id, ms, value)
  redis.call('HSET', records, id, value)
  lease(id, ms)
  publish('P', value)
end
local function remove(id, epoch, reason, fence_ms)
  if redis.call('HDEL', records, id) == 0 and known_epoch(id, false) >= epoch then return end
  redis.call('ZREM', leases, id)
  redis.call('SET', prefix .. ':fence:' .. id, digits(epoch), 'PX', fence_ms)
  publish('R', reason .. digits(epoch) .. id)
end
""".replace("@MOST_MS@", str(MOST_MS))

REGISTER = (
    _PRELUDE
    + """
-- id, epoch to be above, lease ms, value without epoch
local id = ARGV[2]
local known = known_epoch(id, redis.call('HGET', records, id))
local epoch = math.max(micros(), known + 1, tonumber(ARGV[3]) + 1)
put(id, ARGV[4], digits(epoch) .. ARGV[5])
return digits(epoch)
"""
)

HOLD = (
    _PRELUDE
    + """
-- id, epoch, lease ms, value without epoch; returns a newer epoch where there is one
local id, epoch = ARGV[2], tonumber(ARGV[3])
local stored = redis.call('HGET', records, id)
local known = known_epoch(id, stored)
if known > epoch then return digits(known) end
local value = digits(epoch) .. ARGV[5]
if stored == value then lease(id, ARGV[4]) else put(id, ARGV[4], value) end
return digits(epoch)
"""
)

LEAVE = (
    _PRELUDE
    + """
-- id, epoch, reason, fence ms
local id, epoch = ARGV[2], tonumber(ARGV[3])
local stored = redis.call('HGET', records, id)
if stored and epoch_of(stored) ~= epoch then return 0 end
remove(id, epoch, ARGV[4], ARGV[5])
return 1
"""
)

SWEEP = (
    _PRELUDE
    + """
-- run id, candidate generation, most to expire, reason, fence ms, keep ms; returns the generation
if redis.call('HGET', state, 'run_id') ~= ARGV[2] then
  -- Another server process: what it has loaded is old. Replicas write their own anew.
  redis.call('DEL', records, leases)
  redis.call('HSET', state, 'run_id', ARGV[2], 'generation', ARGV[3])
end
local overdue = redis.call(
  'ZRANGEBYSCORE', leases, '-inf', lease_clock(), 'LIMIT', 0, ARGV[4])
for _, id in ipairs(overdue) do
  local stored = redis.call('HGET', records, id)
  if stored then remove(id, epoch_of(stored), ARGV[5], ARGV[6])
  else redis.call('ZREM', leases, id) end
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[7]) end
return redis.call('HGET', state, 'generation')
"""
)

SNAPSHOT = (
    _PRELUDE
    + """
return {digits(whole(redis.call('HGET', state, 'version'))), redis.call('HVALS', records)}
"""
)

ALL = (REGISTER, HOLD, LEAVE, SWEEP, SNAPSHOT)


def digest(script: str) -> str:
    """The name under which the server knows a loaded script."""
    return sha1(script.encode(), usedforsecurity=False).hexdigest()
