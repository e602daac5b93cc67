-- Takes a job that has not started out of its queue.
-- KEYS  1 jobs  2 scheduled  3 cancelled  4 leases  5 marks  6 dead  7 suspects
-- ARGV  1 id
-- Returns 1 removed, 0 not there, 2 running.
local id = ARGV[1]
if redis.call('HEXISTS', KEYS[1], id) == 0 then return 0 end
if redis.call('HEXISTS', KEYS[4], id) == 1 then return 2 end
local waits = redis.call('ZREM', KEYS[2], '0' .. id, '1' .. id, '2' .. id, '3' .. id) == 1
local buried = redis.call('HDEL', KEYS[6], id) == 1
for priority = 0, 3 do
  -- There are few suspects: only jobs that processes have died of.
  waits = redis.call('LREM', KEYS[7], 1, priority .. id) == 1 or waits
end
if not waits and not buried then
  -- Its entry in a ready list becomes a tombstone: to search the list would take longer the more jobs wait.
  redis.call('SADD', KEYS[3], id)
end
redis.call('HDEL', KEYS[1], id)
redis.call('HDEL', KEYS[5], id)
return 1
