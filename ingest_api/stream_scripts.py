"""What Redis does in one step, as Lua. A script is atomic, on one server as in a cluster.

MULTI would be atomic too, but the asyncio client of Redis Cluster starts a thread for each command
of a transaction. A script is one command: routed by its keys, redirected by the client like any
other, and its writes reach the append-only file together.

Each script gets `shard_keys(shard)` as its keys.
"""

from typing import Final

# Loading makes room, so it must go on where Redis has none left.
_DESPITE_FULL_MEMORY: Final = "#!lua flags=allow-oom\n"
# Events per second lie in a ring of 16 seconds, as `kind:slot` -> `second:count`.
_COUNT: Final = """
local function count(kind, number)
    local second = redis.call('TIME')[1]
    local slot = kind .. ':' .. (second % 16)
    local found = redis.call('HGET', KEYS[4], slot) or ''
    local at, before = string.match(found, '(%d+):(%d+)')
    if at ~= second then before = 0 end
    redis.call('HSET', KEYS[4], slot, second .. ':' .. string.format('%.0f', before + number))
end
"""
_MEMORY: Final = """
local function used_memory()
    local info = redis.pcall('INFO', 'memory')
    return tonumber(string.match(type(info) == 'string' and info or '', 'used_memory:(%d+)') or 0)
end
"""
_SEEN: Final = """
local function seen()
    local now = redis.call('TIME')
    redis.call('SET', KEYS[3], now[1] .. '.' .. string.format('%06d', now[2]))
end
"""
# XINFO answers with a flat list of names and values.
_GROUPS: Final = """
local function read_map(flat)
    local map = {}
    for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
    return map
end

local function parse_id(id)
    local milliseconds, sequence = string.match(id, '(%d+)-(%d+)')
    return tonumber(milliseconds), tonumber(sequence)
end

local function is_before(id, other)
    local milliseconds, sequence = parse_id(id)
    local other_milliseconds, other_sequence = parse_id(other)
    if milliseconds ~= other_milliseconds then return milliseconds < other_milliseconds end
    return sequence < other_sequence
end

local function find_oldest_pending(group)
    if group['pending'] == 0 then return nil end
    return redis.call('XPENDING', KEYS[1], group['name'])[2]
end

-- A sequence that a double cannot hold is the greatest one, which only we ever ask for.
local function id_after(id)
    local milliseconds, sequence = parse_id(id)
    if sequence > 9007199254740991 then return string.format('%.0f-0', milliseconds + 1) end
    return string.format('%.0f-%.0f', milliseconds, sequence + 1)
end

-- The first entry that a group may still ask for.
local function find_needed(group)
    local first = id_after(group['last-delivered-id'])
    local pending = find_oldest_pending(group)
    if pending and is_before(pending, first) then return pending end
    return first
end
"""
# Entries stay for a while after they are settled, for those who read the stream behind the loader.
# `KEYS[5]` lists what was settled as `id:bytes`, oldest first, an item per call, and the counters
# hold the sum of its bytes, the id up to which it has been given up, and how many settled entries
# the stream has. That count is put right from the group wherever Redis knows its lag, so that an
# entry deleted by hand does not falsify it for ever.
_TRIM: Final = """
local function give_up_kept(keep_milliseconds, keep_bytes)
    local now = redis.call('TIME')
    local oldest = now[1] * 1000 + math.floor(now[2] / 1000) - keep_milliseconds
    local state = redis.call('HMGET', KEYS[2], 'kept_bytes', 'kept_from')
    local bytes, from = tonumber(state[1] or 0), state[2] or '0-0'
    local first = redis.call('LINDEX', KEYS[5], 0)
    while first do
        local id, size = string.match(first, '(%d+%-%d+):(%d+)')
        if bytes <= keep_bytes and parse_id(id) > oldest then break end
        bytes = bytes - size
        if is_before(from, id) then from = id_after(id) end
        redis.call('LPOP', KEYS[5])
        first = redis.call('LINDEX', KEYS[5], 0)
    end
    redis.call('HSET', KEYS[2], 'kept_bytes', string.format('%.0f', bytes), 'kept_from', from)
    return from
end

local function trim(name, keep_milliseconds, keep_bytes, settled_entries)
    local needed, unsettled = nil, nil
    for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
        local group = read_map(flat)
        local first = find_needed(group)
        if group['name'] == name then
            redis.call('HSET', KEYS[2], 'needed_from', first)
            if group['lag'] then unsettled = group['pending'] + group['lag'] end
        end
        if not needed or is_before(first, needed) then needed = first end
    end
    if not needed then return end
    if keep_milliseconds > 0 then
        local from = give_up_kept(keep_milliseconds, keep_bytes)
        if is_before(from, needed) then needed = from end
    else
        redis.call('DEL', KEYS[5])
        redis.call('HDEL', KEYS[2], 'kept_bytes', 'kept_from')
    end
    local trimmed = redis.call('XTRIM', KEYS[1], 'MINID', '=', needed)
    if trimmed > 0 then redis.call('HSET', KEYS[2], 'trimmed_before', needed) end
    local kept = redis.call('HGET', KEYS[2], 'kept_entries') or 0
    kept = math.max(0, kept + settled_entries - trimmed)
    if unsettled then kept = redis.call('XLEN', KEYS[1]) - unsettled end
    redis.call('HSET', KEYS[2], 'kept_entries', string.format('%.0f', kept))
end
"""
_UNSETTLED: Final = """
local function count_unsettled()
    local kept = redis.call('HGET', KEYS[2], 'kept_entries') or 0
    return math.max(0, redis.call('XLEN', KEYS[1]) - kept)
end
"""

# event count, whether to tell the memory, and six values for each entry -> entries not yet settled,
# bytes of memory in use or -1.
APPEND: Final = (
    _COUNT
    + _MEMORY
    + _UNSETTLED
    + """
for i = 3, #ARGV, 6 do
    redis.call('XADD', KEYS[1], '*',
        'tenant_id', ARGV[i], 'project_id', ARGV[i + 1], 'api_key_id', ARGV[i + 2],
        'received_at', ARGV[i + 3], 'event_count', ARGV[i + 4], 'events', ARGV[i + 5])
end
redis.call('HINCRBY', KEYS[2], 'accepted_events', ARGV[1])
count('accepted', ARGV[1])
return {count_unsettled(), ARGV[2] == '1' and used_memory() or -1}
"""
)

# -> entries not yet settled, bytes of memory in use.
FILL: Final = _MEMORY + _UNSETTLED + "return {count_unsettled(), used_memory()}"

# group, consumer, milliseconds, and for how many milliseconds and bytes to keep what is settled:
# create what is missing, be seen, and take out consumers that hold nothing and were silent for so
# long. One that holds entries must stay until they are claimed: with it they would leave the list
# of what is pending, and nobody would ever read them again. A group that has got lost begins behind
# what it had settled, and what is kept is given up in time although nothing arrives.
ENTER: Final = (
    _DESPITE_FULL_MEMORY
    + _SEEN
    + _GROUPS
    + _TRIM
    + """
local function id_before(id)
    local milliseconds, sequence = parse_id(id)
    if sequence > 0 then return string.format('%.0f-%.0f', milliseconds, sequence - 1) end
    if milliseconds == 0 then return '0-0' end
    return string.format('%.0f', milliseconds - 1) .. '-18446744073709551615'
end

local needed = redis.call('HGET', KEYS[2], 'needed_from')
local start = needed and id_before(needed) or '0'
local created = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], start, 'MKSTREAM')
if created.err and not string.find(created.err, 'BUSYGROUP') then return created end
seen()
trim(ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5]), 0)
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local consumer = read_map(flat)
    if consumer['pending'] == 0 and consumer['name'] ~= ARGV[2]
            and consumer['idle'] > tonumber(ARGV[3]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer['name'])
    end
end
"""
)

# group, consumer: take the consumer out of the group unless it holds entries.
LEAVE: Final = (
    _DESPITE_FULL_MEMORY
    + _GROUPS
    + """
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
for _, flat in ipairs(consumers.err and {} or consumers) do
    local consumer = read_map(flat)
    if consumer['pending'] == 0 and consumer['name'] == ARGV[2] then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
    end
end
"""
)

# group, for how many milliseconds and bytes to keep what is settled, and id, event count and bytes
# of each entry: settle the entries and trim. An entry that another consumer settled meanwhile is
# not counted again.
ACKNOWLEDGE: Final = (
    _DESPITE_FULL_MEMORY
    + _COUNT
    + _SEEN
    + _GROUPS
    + _TRIM
    + """
local keep_milliseconds, keep_bytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local settled, entries, bytes, last = 0, 0, 0, '0-0'
for i = 4, #ARGV, 3 do
    if redis.call('XACK', KEYS[1], ARGV[1], ARGV[i]) == 1 then
        settled, entries, bytes = settled + ARGV[i + 1], entries + 1, bytes + ARGV[i + 2]
        if is_before(last, ARGV[i]) then last = ARGV[i] end
    end
end
redis.call('HINCRBY', KEYS[2], 'settled_events', string.format('%.0f', settled))
count('settled', settled)
seen()
if entries > 0 and keep_milliseconds > 0 then
    redis.call('RPUSH', KEYS[5], last .. ':' .. string.format('%.0f', bytes))
    redis.call('HINCRBY', KEYS[2], 'kept_bytes', string.format('%.0f', bytes))
end
trim(ARGV[1], keep_milliseconds, keep_bytes, entries)
return settled
"""
)

# group -> entries, accepted and settled events, pending entries, unsettled entries, id of the
# oldest unsettled entry or nil, when a loader was seen or nil, rates, seconds, bytes of memory.
STATS: Final = (
    _MEMORY
    + _GROUPS
    + _UNSETTLED
    + """
local length = redis.call('XLEN', KEYS[1])
local counters = redis.call('HMGET', KEYS[2], 'accepted_events', 'settled_events', 'needed_from')
local pending, unsettled, oldest, last = 0, count_unsettled(), nil, counters[3] or '-'
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
for _, flat in ipairs(groups.err and {} or groups) do
    local group = read_map(flat)
    if group['name'] == ARGV[1] then
        pending = group['pending']
        if group['lag'] then unsettled = pending + group['lag'] end
        oldest, last = find_oldest_pending(group), '(' .. group['last-delivered-id']
    end
end
local next = redis.call('XRANGE', KEYS[1], last, '+', 'COUNT', 1)[1]
if next and (not oldest or is_before(next[1], oldest)) then oldest = next[1] end
local now = redis.call('TIME')
return {length, counters[1], counters[2], pending, unsettled, oldest or false,
    redis.call('GET', KEYS[3]), redis.call('HGETALL', KEYS[4]),
    now[1] .. '.' .. string.format('%06d', now[2]), used_memory()}
"""
)

# -> id of the newest entry that the stream ever had, the id before which entries are gone, and
# milliseconds.
TAIL: Final = (
    _GROUPS
    + """
local now = redis.call('TIME')
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
return {
    info.err and '0-0' or read_map(info)['last-generated-id'],
    redis.call('HGET', KEYS[2], 'trimmed_before') or '0-0',
    now[1] * 1000 + math.floor(now[2] / 1000),
}
"""
)
