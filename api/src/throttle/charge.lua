-- Lets an attempt at a password through and charges it as if it failed, or says how long to wait.
-- KEYS: 1 the client's own (its session's or its device's), 2 account from this address, 3 address, 4 account,
--       5 known address
-- ARGV: 1 whose failures count: own, address, or login (account from this address, address, and account unless the
--       address is known); 2 cost of the attempt, 0 to ask only; then for each of the keys 1 to 4, in this order:
--       free attempts, milliseconds in which one is forgiven, longest delay in milliseconds
-- Returns the milliseconds to wait, 0 if the attempt may be made; the last bucket that was looked at; and the time.
-- A bucket is "level at opens": failures not yet forgiven, when they were counted, when the next attempt may be made.
local FIRST_DELAY = 1000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local cost = tonumber(ARGV[2])

local buckets = { 2, 3, 4 }
if ARGV[1] == 'own' then
    buckets = { 1 }
elseif ARGV[1] == 'address' then
    buckets = { 3 }
elseif redis.call('EXISTS', KEYS[5]) == 1 then
    buckets = { 2, 3 }
end
local last = buckets[#buckets]

local function rule(bucket)
    return tonumber(ARGV[3 * bucket]), tonumber(ARGV[3 * bucket + 1]), tonumber(ARGV[3 * bucket + 2])
end

local levels, wait = {}, 0
for _, bucket in ipairs(buckets) do
    local _, forgiven_in = rule(bucket)
    local level, at, opens = 0, now, 0
    local kept = redis.call('GET', KEYS[bucket])
    if kept then
        level, at, opens = string.match(kept, '^(%S+) (%S+) (%S+)$')
        level, at, opens = tonumber(level), tonumber(at), tonumber(opens)
    end
    levels[bucket] = math.max(0, level - (now - at) / forgiven_in)
    wait = math.max(wait, opens - now)
end
if wait > 0 or cost == 0 then
    return { wait, last, now }
end

for _, bucket in ipairs(buckets) do
    local free, forgiven_in, longest = rule(bucket)
    local level = levels[bucket] + cost
    local delay = 0
    -- Forgiving goes on all the time: a failure counts until it is forgiven whole.
    local over = math.ceil(level) - free
    if over >= 0 then
        delay = math.min(longest, FIRST_DELAY * 2 ^ over)
    end
    local kept = string.format('%.6f %.0f %.0f', level, now, now + delay)
    redis.call('SET', KEYS[bucket], kept, 'PX', string.format('%.0f', level * forgiven_in + longest))
end
return { 0, last, now }
