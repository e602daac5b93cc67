-- Strikes a process off the register: one that stops, or a dead one that holds no lease any more.
-- KEYS  1 processes  2 process info
-- ARGV  1 process  2 silence (ms): only if it has been silent for so long; 0 = at once
-- Returns 1 if it was struck off.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local beat, silence = redis.call('ZSCORE', KEYS[1], ARGV[1]), tonumber(ARGV[2])
if not beat or (silence > 0 and now - tonumber(beat) < silence) then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return 1
