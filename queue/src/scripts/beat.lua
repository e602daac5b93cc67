-- Says that a process lives.
-- KEYS  1 processes  2 process info  3 leases
-- ARGV  1 process  2 its host, pid and start (JSON)  3 sentinel: 65 bytes or more, so that a small lease hash is not kept as
--       a listpack, whose every look-up is a linear scan
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSETNX', KEYS[3], '@', ARGV[3])
return redis.status_reply('OK')
