-- Reads the register of processes. It writes too: an observer that Redis lets read but not write would see the beats of the
-- living fail, and take them for dead.
-- Returns { now (ms), process, last beat (ms), process, … }.
redis.call('HSET', STATE, 'observed', now)
local out = redis.call('ZRANGE', PROCESSES, 0, -1, 'WITHSCORES')
table.insert(out, 1, now)
return out
