-- Strikes a process off the register: one that stops, or a dead one that holds no lease any more.
-- ARGV  1 process  2 its last beat: only if it has not beaten since; empty = at once
-- Returns 1 if it was struck off.
local beat = redis.call('ZSCORE', PROCESSES, ARGV[1])
if not beat or (ARGV[2] ~= '' and tonumber(beat) ~= tonumber(ARGV[2])) then return 0 end
redis.call('ZREM', PROCESSES, ARGV[1])
redis.call('HDEL', PROCESS_INFO, ARGV[1])
return 1
