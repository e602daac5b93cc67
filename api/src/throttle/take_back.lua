-- Takes back what an attempt was charged that got no verdict.
-- KEYS: as in charge.lua
-- ARGV: 1 the last bucket that was charged; 2 when it was charged, as charge.lua says
-- The attempt was let through, so its buckets were open. They are again, unless another attempt was charged since.
local last = tonumber(ARGV[1])
for bucket = math.min(last, 2), last do
    local kept = redis.call('GET', KEYS[bucket])
    if kept then
        local level, at, opens = string.match(kept, '^(%S+) (%S+) (%S+)$')
        if at == ARGV[2] then
            opens = '0'
        end
        local left = string.format('%.6f %s %s', math.max(0, tonumber(level) - 1), at, opens)
        redis.call('SET', KEYS[bucket], left, 'KEEPTTL')
    end
end
return 0
