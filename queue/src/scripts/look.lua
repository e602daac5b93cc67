-- Looks at one job and at all that decides when it runs.
-- ARGV  1 id  2 silence (ms) after which a process is dead  3 how far to look for its position in a line
-- Returns nothing if it is not there, else { now, place, stored job, due, lease, marks, evidence, progress, whether it is to
--         end, what a worker must be able to read, position (from 1, 0 = further away), paused, live processes, leases,
--         concurrency, rate, arrival (us), group_concurrency, group_rate, the group's own policy, its running jobs,
--         until when its lane is parked (ms or inf) }; what does not apply is empty.
local id = ARGV[1]
local job = redis.call('HGET', JOBS, id)
if not job then return {} end
local options = options_of(job)
local group, _, batch = read_options(options)
local members = {}
for priority = 0, 3 do members[priority + 1] = priority .. id .. group end

local due, scheduled_as = '', redis.call('ZMSCORE', SCHEDULED, unpack(members))
for priority = 1, 4 do due = scheduled_as[priority] or due end
local lease = redis.call('HGET', LEASES, id) or ''
local evidence = redis.call('HGET', DEAD, id) or ''
local needs = string.match(redis.call('HGET', NEWER, id) or '', '^[^%z]*')

local function position()
  for priority = 0, 3 do
    if group == '' then
      local at = redis.call('LPOS', READY[tostring(priority)], id, 'MAXLEN', ARGV[3])
      if at then return at + 1 end
    else
      local lane = redis.call('HGET', LANES, priority .. group) or ''
      for at = 9, #lane, 16 do
        if string.sub(lane, at, at + 15) == id then return (at - 9) / 16 + 1 end
      end
    end
  end
  return 0
end

local place, at = 'ready', 0
if lease ~= '' then place = 'leased'
elseif evidence ~= '' then place = 'dead'
elseif due ~= '' then place = 'scheduled'
elseif needs ~= '' then place = 'newer'
elseif redis.call('HEXISTS', BATCHES, id) == 1 then place = 'batch'
else
  for _, member in ipairs(members) do
    if redis.call('LPOS', SUSPECTS, member) then place = 'suspect' end
  end
  at = position()
end

local state = redis.call('HMGET', STATE, 'paused', 'concurrency', 'rate', 'group_concurrency', 'group_rate')
local parked = ''
for priority = 0, 3 do
  parked = group ~= '' and redis.call('ZSCORE', PARKED, priority .. group) or parked
end
return {
  now, place, job, due, lease, redis.call('HGET', MARKS, id) or '', evidence, redis.call('HGET', PROGRESS, id) or '',
  redis.call('SISMEMBER', CANCELLING, id), needs, at, state[1] or '',
  redis.call('ZCOUNT', PROCESSES, now - tonumber(ARGV[2]), '+inf'),
  redis.call('HLEN', LEASES) - redis.call('HEXISTS', LEASES, '@'),
  state[2] or '', state[3] or '', redis.call('ZSCORE', RATES, '') or '', state[4] or '', state[5] or '',
  redis.call('HGET', POLICIES, group) or '', redis.call('HGET', RUNNING, group) or '', parked or '',
}
