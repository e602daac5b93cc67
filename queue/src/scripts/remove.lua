-- Takes a job that has not started out of its queue, or asks the process that runs it to end it.
-- ARGV  1 id  2 whether a running job is to end too (1 or 0)
-- Returns 1 removed, 0 not there, 2 running, 3 running and asked to end.
local id = ARGV[1]
local job = redis.call('HGET', JOBS, id)
if not job then return 0 end
if redis.call('HEXISTS', LEASES, id) == 1 then
  if ARGV[2] ~= '1' then return 2 end
  redis.call('SADD', CANCELLING, id)
  redis.call('SPUBLISH', WAKE, 'cancel')
  return 3
end
local group, unique, batch = read_options(options_of(job))
local members = {}
for priority = 0, 3 do members[priority + 1] = priority .. id .. group end
local found = redis.call('ZREM', SCHEDULED, unpack(members)) == 1
local buried = redis.call('HDEL', DEAD, id) == 1
found = redis.call('HDEL', NEWER, id) == 1 or found
local waits_for = redis.call('HGET', BATCHES, id)
if waits_for then
  redis.call('HDEL', BATCHES, id)
  found = redis.call('HDEL', CALLBACKS, waits_for) == 1
end
if redis.call('EXISTS', SUSPECTS) == 1 then
  -- There are few: only jobs that processes have died of.
  for _, member in ipairs(members) do found = redis.call('LREM', SUSPECTS, 1, member) == 1 or found end
end
if not found and not buried then
  -- Its entry stands in a line. To search that would take longer the more jobs wait: the entry becomes stale, and the
  -- claim that meets it passes it over.
  redis.call('HINCRBY', STALE, id, 1)
  redis.call('HINCRBY', STATE, 'stale', 1)
end
redis.call('HDEL', JOBS, id)
if not buried then let_go(id, unique, batch) end
free_keys()
forget({ id })
return 1
