-- Opens a batch, or closes it: its callback is ready once it is closed and all members have ended. The counter of an open
-- batch stands far above zero, so that it cannot end before its last member was pushed.
-- ARGV  1 batch  2 whether it is opened or closed (open, close), and to open: 3 id of the callback, 4 its priority (0-3),
--       5 its group or nothing, 6 the stored job
-- Returns 1 done, 0 it was open, or closed, before.
local OPEN = 2 ^ 40
local batch = ARGV[1]
if ARGV[2] == 'open' then
  if redis.call('HEXISTS', BATCHES, batch) == 1 or redis.call('HEXISTS', JOBS, ARGV[3]) == 1 then return 0 end
  redis.call('HSET', JOBS, ARGV[3], enter_batch(ARGV[6]))
  redis.call('HSET', CALLBACKS, batch, ARGV[4] .. ARGV[3] .. ARGV[5])
  redis.call('HSET', BATCHES, batch, string.format('%d', OPEN), ARGV[3], batch)
  return 1
end
if tonumber(redis.call('HGET', BATCHES, batch) or 0) < OPEN / 2 then return 0 end
redis.call('HINCRBY', BATCHES, batch, string.format('%d', 1 - OPEN))
leave_batch(batch)
return 1
