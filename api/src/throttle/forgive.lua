-- Takes back what an attempt was charged that succeeded, and knows the address from now on.
-- KEYS: as in charge.lua
-- ARGV: 1 the last bucket that was charged; 2 milliseconds for which the address stays known
-- What only the account fills from here is emptied; what others fill too gets this one attempt back.
local last = tonumber(ARGV[1])
redis.call('DEL', last == 1 and KEYS[1] or KEYS[2])
for bucket = 3, last do
    local kept = redis.call('GET', KEYS[bucket])
    if kept then
        local level, at = string.match(kept, '^(%S+) (%S+) %S+$')
        redis.call('SET', KEYS[bucket], string.format('%.6f %s 0', math.max(0, tonumber(level) - 1), at), 'KEEPTTL')
    end
end
redis.call('SET', KEYS[5], 1, 'PX', ARGV[2])
return 0
