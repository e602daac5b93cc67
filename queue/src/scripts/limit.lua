-- Sets what a queue, or one of its groups, may do, and lets parked lanes have a look at it.
-- ARGV  1 whether the queue or a group is meant (queue, group); of a queue: fields and values of its state, an empty value
--       takes the limit away; of a group: its name and its policy, empty takes it away; both end with the most lanes to look at
-- Returns 1 if more lanes are parked: to be called again.
local last = #ARGV
if ARGV[1] == 'queue' then
  for i = 2, last - 1, 2 do
    if ARGV[i + 1] == '' then
      redis.call('HDEL', STATE, ARGV[i])
    else
      redis.call('HSET', STATE, ARGV[i], ARGV[i + 1])
    end
  end
elseif ARGV[3] == '' then
  redis.call('HDEL', POLICIES, ARGV[2])
else
  redis.call('HSET', POLICIES, ARGV[2], ARGV[3])
end
if redis.call('EXISTS', POLICIES) == 1 then
  redis.call('HSET', STATE, 'differ', 1)
else
  redis.call('HDEL', STATE, 'differ')
end
local parked = redis.call('ZRANGE', PARKED, 0, ARGV[last] - 1)
for _, place in ipairs(parked) do join(place) end
if #parked > 0 then redis.call('ZREM', PARKED, unpack(parked)) end
redis.call('SPUBLISH', WAKE, 0)
return redis.call('EXISTS', PARKED)
