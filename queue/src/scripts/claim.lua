-- Promotes due jobs and leases up to n ready ones to a process: critical first, the others by weight, and within a priority
-- each group in its turn, as far as the limits of the queue and of the groups allow.
-- ARGV  1 process  2 n  3 most jobs to promote  4 whether one of them may be a suspect (1 or 0)  5 deaths of a suspect
-- Returns { now, again, promoted, taken, busy, ids, leases, marks, jobs }: now and again (when something may be ready,
--         -1 = unknown) in ms; taken counts the ids taken out of lines, removed ones too; busy (1 or 0) if more lanes wait for
--         a look than one call may take; a lease is priority, process, fencing token and options; marks count failures,
--         deaths, releases.
local process, wanted, batch, suspicious = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
local promoted, out = 0, { {}, {}, {}, {} }
redis.call('ZADD', PROCESSES, now, process)

local function first_score(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2]) or math.huge
end

local function answer()
  local at = again < math.huge and math.ceil(again) or -1
  return { now, at, promoted, #ids, visits >= VISITS and 1 or 0, out[1], out[2], out[3], out[4] }
end

local function promote()
  local due = redis.call('ZRANGEBYSCORE', SCHEDULED, '-inf', now, 'LIMIT', 0, batch)
  if #due == 0 then return end
  for _, member in ipairs(due) do
    line_up(string.sub(member, 1, 1) .. string.sub(member, 18), string.sub(member, 2, 17))
  end
  redis.call('ZREM', SCHEDULED, unpack(due))
  store_lines(add_last)
  promoted = #due
end

-- Lets lanes have turns again whose rate limit has opened.
local function open_parked()
  if first_score(PARKED) > now then return end
  local opened = redis.call('ZRANGEBYSCORE', PARKED, '-inf', now, 'LIMIT', 0, batch)
  for _, place in ipairs(opened) do join(place) end
  redis.call('ZREM', PARKED, unpack(opened))
end

promote()
open_parked()
again = math.min(first_score(SCHEDULED), first_score(PARKED))
local paused, turn, rush, rushing_since, order, concurrency, queue_rate, group_concurrency, group_rate, differ = unpack(
  redis.call('HMGET', STATE, 'paused', 'turn', 'rush', 'rushing_since', 'order', 'concurrency', 'rate',
    'group_concurrency', 'group_rate', 'differ'), 1, 10)
if paused then return answer() end

if concurrency then
  local leased = redis.call('HLEN', LEASES) - redis.call('HEXISTS', LEASES, '@')
  wanted = math.min(wanted, tonumber(concurrency) - leased)
end
local rate = rate_of(queue_rate)
local arrival = rate and redis.call('ZSCORE', RATES, '')
if rate then
  local free, opens = allowance(rate, arrival)
  if free < wanted then
    wanted = free
    again = math.min(again, opens)
  end
end
if wanted <= 0 then return answer() end

common = { weight = 1, most = tonumber(group_concurrency or nil), rate = rate_of(group_rate) }
own_policies = differ
-- A job that several processes died of runs beside others, but never beside another of its kind. One whose group may not run
-- goes behind the others.
local function take_suspect()
  local suspect = redis.call('LPOP', SUSPECTS)
  if not suspect then return end
  local priority, id, group = string.match(suspect, '^(.)(................)(.*)$')
  if group ~= '' then
    local head = {
      group = group, policy = policy(redis.call('HGET', POLICIES, group)),
      running = redis.call('HGET', RUNNING, group), arrival = redis.call('ZSCORE', RATES, group),
    }
    local _, opens = allowed(head, 1)
    if opens then
      again = math.min(again, opens)
      return redis.call('RPUSH', SUSPECTS, suspect)
    end
    taken_of[group] = 1
    if head.policy.rate then charge(head.policy.rate, group, head.arrival, 1) end
  end
  took(priority, group, id)
end
if ARGV[4] == '1' then take_suspect() end
local suspects = #ids

local function waiting(priorities)
  local found = {}
  for _, priority in ipairs(priorities) do
    if redis.call('EXISTS', READY[priority], TURNS[priority]) > 0 then found[#found + 1] = priority end
  end
  return found
end

-- Shares n jobs among priorities in the order of their turns. Returns the shares and the next turn.
local function deal(turns, at, open, n)
  local share = {}
  for _, priority in ipairs(open) do share[priority] = 0 end
  while n > 0 do
    local priority = string.sub(turns, at + 1, at + 1)
    at = (at + 1) % #turns
    if share[priority] then
      share[priority] = share[priority] + 1
      n = n - 1
    end
  end
  return share, at
end

-- Takes what is left from high, normal and low; what one cannot use goes to the others.
local function take_by_weight(turns)
  local open, at = waiting({ '1', '2', '3' }), tonumber(turn or 0) % #turns
  while #open > 1 and #ids < wanted do
    local share, still_open = nil, {}
    share, at = deal(turns, at, open, wanted - #ids)
    for _, priority in ipairs(open) do
      if take(priority, share[priority]) == share[priority] then still_open[#still_open + 1] = priority end
    end
    open = still_open
    redis.call('HSET', STATE, 'turn', at)
  end
  if #open == 1 then take(open[1], wanted - #ids) end
end

-- Critical jobs go first. Once they have come for so long (ms) without a break, the others have one turn in ten, so that none
-- starves.
local RUSH = 10000

-- Takes critical jobs but for the turns that the others are owed, then others, then critical ones again if nobody else waits.
-- `rush` counts what critical jobs have had in an old rush: nine for each turn that the others are owed.
local function take_by_urgency(turns)
  local since, had, asked = tonumber(rushing_since or now), tonumber(rush or 0), wanted - #ids
  local old = now - since >= RUSH
  local owed = old and math.floor(had / 9) or 0
  local most = math.max(0, asked - owed)
  local critical, taken = take('0', most), #ids
  local ended = critical < most
  take_by_weight(turns)
  local others = #ids - taken
  critical = critical + take('0', wanted - #ids)
  if ended then
    if rushing_since then redis.call('HDEL', STATE, 'rushing_since', 'rush') end
    return
  end
  if not rushing_since then redis.call('HSET', STATE, 'rushing_since', now) end
  if not old then return end
  local has = math.max(0, had + critical - 9 * others)
  -- Nobody else waits: nobody is owed more than a turn.
  if owed > 0 and others == 0 then has = math.min(has, 9) end
  redis.call('HSET', STATE, 'rush', has)
end

-- Six turns in ten for high, three for normal, one for low, if nothing is set; or nothing that this version can read: a
-- priority without turns would be waited for without end.
local function turns_of(text)
  for priority = 1, 3 do
    if not string.find(text or '', priority, 1, true) then return '1211213121' end
  end
  return text
end

if order == 'strict' then
  for priority = 0, 3 do take(tostring(priority), wanted - #ids) end
else
  take_by_urgency(turns_of(order))
end
if #ids == 0 then return answer() end

-- Leases what was taken and still is to run; the others end here.
local jobs = redis.call('HMGET', JOBS, unpack(ids))
local marked = redis.call('EXISTS', MARKS) == 1 and redis.call('HMGET', MARKS, unpack(ids)) or nil
local stale_entries = {}
if redis.call('EXISTS', STALE) == 1 then
  for i, count in ipairs(redis.call('HMGET', STALE, unpack(ids))) do stale_entries[ids[i]] = tonumber(count or 0) end
end
local token = redis.call('HINCRBY', STATE, 'token', #ids) - #ids
local leased, running = {}, {}

-- True if the line still held an entry of a job that had left it.
local function is_stale(id)
  local entries = stale_entries[id] or 0
  if entries == 0 then return false end
  stale_entries[id] = entries - 1
  if redis.call('HINCRBY', STALE, id, -1) <= 0 then redis.call('HDEL', STALE, id) end
  redis.call('HINCRBY', STATE, 'stale', -1)
  return true
end

-- Whether the job is past its deadline: then it goes to the dead letters. Few jobs have one, which is the options' second
-- character, and the others are not read any further here.
local function expire(id, options)
  if not options or string.byte(options, 2) == 0 then return false end
  local _, unique, in_batch, deadline = read_options(options)
  if not deadline or deadline > now then return false end
  redis.call('HSET', DEAD, id, cjson.encode({ reason = 'expired', deadline = deadline, at = now }))
  let_go(id, unique, in_batch)
  return true
end

local function lease(i, id, options)
  local held
  if options then
    held = priorities[i] .. process .. token + i .. '\0' .. options
  else
    held = priorities[i] .. process .. token + i
  end
  leased[#leased + 1], leased[#leased + 2] = id, held
  local n = #out[1] + 1
  out[1][n], out[2][n], out[3][n], out[4][n] = id, held, marked and marked[i] or '', jobs[i]
end

-- True of a suspect that came by a line: it was given back, or tried again.
local function belongs_to_suspects(i)
  local deaths = i > suspects and marked and marked[i] and string.match(marked[i], ':(%d+):')
  return deaths and tonumber(deaths) >= suspicious
end

local function put_aside(i, id, group)
  redis.call('RPUSH', SUSPECTS, priorities[i] .. id .. group)
end

-- Returns the group of the job if it is leased.
local function use(i, id)
  if is_stale(id) or not jobs[i] then return nil end
  local options = options_of(jobs[i])
  if expire(id, options) then return nil end
  local group = group_of(options)
  if belongs_to_suspects(i) then return put_aside(i, id, group) end
  lease(i, id, options)
  if group ~= '' then running[group] = (running[group] or 0) + 1 end
  return group
end

-- Most jobs are just leased: no options, no marks, and no line of this call holds a stale entry.
local ordinary = not marked and next(stale_entries) == nil
local in_vain = {}
for i, id in ipairs(ids) do
  if ordinary and jobs[i] and groups[i] == '' and string.byte(jobs[i], 1) == 0 and string.byte(jobs[i], 2) == 0 then
    lease(i, id, nil)
  elseif use(i, id) ~= groups[i] then
    in_vain[groups[i]] = true
  end
end

local function count_running()
  local names = {}
  for group in pairs(running) do names[#names + 1] = group end
  if #names == 0 then return end
  local counts, held = {}, redis.call('HMGET', RUNNING, unpack(names))
  for i, group in ipairs(names) do
    counts[#counts + 1], counts[#counts + 2] = group, tonumber(held[i] or 0) + running[group]
  end
  hset(RUNNING, counts)
end

if #leased > 0 then
  redis.call('HSET', LEASES, unpack(leased))
  count_running()
  if rate then charge(rate, '', arrival, #leased / 2) end
end

-- What does not run has taken places. Of the queue: more may be ready for them. Of a group: it may have been parked, and no
-- lease of it may end to let it on.
local function give_places_back()
  local names = {}
  for group in pairs(in_vain) do names[#names + 1] = group end
  unpark(names)
  again = now
end

free_keys()
if next(in_vain) then give_places_back() end
return answer()
