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
"""

# event count, whether to tell the memory, and six values for each entry -> entries in the stream,
# bytes of memory in use or -1.
APPEND: Final = (
    _COUNT
    + _MEMORY
    + """
for i = 3, #ARGV, 6 do
    redis.call('XADD', KEYS[1], '*',
        'tenant_id', ARGV[i], 'project_id', ARGV[i + 1], 'api_key_id', ARGV[i + 2],
        'received_at', ARGV[i + 3], 'event_count', ARGV[i + 4], 'events', ARGV[i + 5])
end
redis.call('HINCRBY', KEYS[2], 'accepted_events', ARGV[1])
count('accepted', ARGV[1])
return {redis.call('XLEN', KEYS[1]), ARGV[2] == '1' and used_memory() or -1}
"""
)

# -> entries in the stream, bytes of memory in use.
FILL: Final = _MEMORY + "return {redis.call('XLEN', KEYS[1]), used_memory()}"

# group, consumer, milliseconds: create what is missing, be seen, and take out consumers that hold
# nothing and were silent for that long. One that holds entries must stay until they are claimed:
# with it they would leave the list of what is pending, and nobody would ever read them again.
ENTER: Final = (
    _DESPITE_FULL_MEMORY
    + _SEEN
    + _GROUPS
    + """
local created = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if created.err and not string.find(created.err, 'BUSYGROUP') then return created end
seen()
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

# group, and id and event count of each entry: settle the entries and trim up to the oldest one that
# any group still needs. An entry that another consumer settled meanwhile is not counted again.
ACKNOWLEDGE: Final = (
    _DESPITE_FULL_MEMORY
    + _COUNT
    + _SEEN
    + _GROUPS
    + """
local settled = 0
for i = 2, #ARGV, 2 do
    if redis.call('XACK', KEYS[1], ARGV[1], ARGV[i]) == 1 then
        settled = settled + ARGV[i + 1]
    end
end
redis.call('HINCRBY', KEYS[2], 'settled_events', string.format('%.0f', settled))
count('settled', settled)
seen()
local needed = nil
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local group = read_map(flat)
    local milliseconds, sequence = string.match(group['last-delivered-id'], '(%d+)-(%d+)')
    local first = milliseconds .. '-' .. string.format('%.0f', sequence + 1)
    local pending = find_oldest_pending(group)
    if pending and is_before(pending, first) then first = pending end
    if not needed or is_before(first, needed) then needed = first end
end
redis.call('XTRIM', KEYS[1], 'MINID', '=', needed)
return settled
"""
)

# group -> entries, accepted and settled events, pending entries, unread entries or nil, id of the
# oldest unsettled entry or nil, when a loader was seen or nil, rates, seconds, bytes of memory.
STATS: Final = (
    _MEMORY
    + _GROUPS
    + """
local length = redis.call('XLEN', KEYS[1])
local counters = redis.call('HMGET', KEYS[2], 'accepted_events', 'settled_events')
local pending, unread, oldest, last = 0, length, nil, '-'
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
for _, flat in ipairs(groups.err and {} or groups) do
    local group = read_map(flat)
    if group['name'] == ARGV[1] then
        pending, unread = group['pending'], group['lag']
        oldest, last = find_oldest_pending(group), '(' .. group['last-delivered-id']
    end
end
local next = redis.call('XRANGE', KEYS[1], last, '+', 'COUNT', 1)[1]
if next and (not oldest or is_before(next[1], oldest)) then oldest = next[1] end
local now = redis.call('TIME')
return {length, counters[1], counters[2], pending, unread, oldest or false,
    redis.call('GET', KEYS[3]), redis.call('HGETALL', KEYS[4]),
    now[1] .. '.' .. string.format('%06d', now[2]), used_memory()}
"""
)
