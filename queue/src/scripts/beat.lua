-- Says that a process lives.
-- ARGV  1 process  2 its host, pid and start (JSON)  3 sentinel: 65 bytes or more, so that a small lease hash is not kept as
--       a listpack, whose every look-up is a linear scan
redis.call('ZADD', PROCESSES, now, ARGV[1])
redis.call('HSETNX', PROCESS_INFO, ARGV[1], ARGV[2])
redis.call('HSETNX', LEASES, '@', ARGV[3])
return redis.status_reply('OK')
