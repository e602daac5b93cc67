-- Stores jobs, each once per id, and wakes idle workers.
-- KEYS  1 jobs  2-5 ready (critical, high, normal, low)  6 scheduled  7 cancelled  8 marks
-- ARGV  1 wake channel, then for each job: id, priority (0-3), due (ms since 1970, 0 = now), whether it may have run
--       before (1 or 0), payload
-- Returns a string with one character for each job: 1 stored, 0 the id was there already.
local jobs, scheduled, cancelled = KEYS[1], KEYS[6], KEYS[7]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ready, results, stored = { {}, {}, {}, {} }, {}, 0
local tombstones = redis.call('EXISTS', cancelled) == 1

for i = 2, #ARGV, 5 do
  local id, priority, due = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  if redis.call('HSETNX', jobs, id, ARGV[i + 4]) == 1 then
    stored = stored + 1
    results[#results + 1] = '1'
    if ARGV[i + 3] == '1' then
      redis.call('HSET', KEYS[8], id, '0:0:1')
    end
    if tombstones and redis.call('SREM', cancelled, id) == 1 then
      -- Its entry still stands in a ready list, and an id must never stand in two.
    elseif due > now then
      redis.call('ZADD', scheduled, due, ARGV[i + 1] .. id)
    else
      local list = ready[priority + 1]
      list[#list + 1] = id
    end
  else
    results[#results + 1] = '0'
  end
end

for priority = 1, 4 do
  if #ready[priority] > 0 then
    redis.call('RPUSH', KEYS[1 + priority], unpack(ready[priority]))
  end
end
if stored > 0 then
  redis.call('PUBLISH', ARGV[1], stored)
end
return table.concat(results)
