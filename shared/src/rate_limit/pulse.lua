-- Notes that a process counts here, and says how many do.
--
-- KEYS[1]  a sorted set of processes by the time they were last heard of, in milliseconds; it expires by itself
-- ARGV[1]  the process
-- ARGV[2]  how long a process counts after it was last heard of, in milliseconds
--
-- Returns the time in milliseconds and the number of processes.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { now, redis.call('ZCARD', KEYS[1]) }
