-- Notes how far a leased job is.
-- ARGV  1 id  2 lease  3 what its handler says (JSON)
-- Returns 1 noted, 0 the lease is not held any more.
if redis.call('HGET', LEASES, ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', PROGRESS, ARGV[1], ARGV[3])
return 1
