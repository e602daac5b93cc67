-- Promotes due jobs and leases up to n ready ones to a process, critical first, the others by weight.
-- KEYS  1 jobs  2-5 ready (critical, high, normal, low)  6 scheduled  7 cancelled  8 leases  9 marks  10 state
--       11 processes  12 suspects
-- ARGV  1 process  2 n  3 most jobs to promote  4 whether one of them may be a suspect (1 or 0)
-- Returns { now, due, promoted, taken, ids, leases, marks, payloads }: now and due (the earliest scheduled job, -1 = none)
--         in ms; taken counts the ids taken from lists, removed ones too; a lease is priority, process and fencing token;
--         marks count failures, deaths, releases.
local jobs, scheduled, cancelled, leases, marks, state = KEYS[1], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local process, wanted, batch = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[11], now, process)

local due = redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, batch)
if #due > 0 then
  local promoted = { {}, {}, {}, {} }
  for _, member in ipairs(due) do
    local list = promoted[tonumber(string.sub(member, 1, 1)) + 1]
    list[#list + 1] = string.sub(member, 2)
  end
  redis.call('ZREM', scheduled, unpack(due))
  for priority = 1, 4 do
    if #promoted[priority] > 0 then
      redis.call('RPUSH', KEYS[1 + priority], unpack(promoted[priority]))
    end
  end
end
local first = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
local next_due = first[2] and tonumber(first[2]) or -1

local head = redis.call('HMGET', state, 'paused', 'turn')
if head[1] then
  return { now, next_due, #due, 0, {}, {}, {}, {} }
end

local ids, priorities = {}, {}
-- A job that several processes died of runs beside others, but never beside another of its kind.
local suspect = ARGV[4] == '1' and redis.call('LPOP', KEYS[12])
if suspect then
  ids[1], priorities[1] = string.sub(suspect, 2), string.sub(suspect, 1, 1)
end
local function take(priority, count)
  local popped = count > 0 and redis.call('LPOP', KEYS[1 + priority], count)
  if not popped then return end
  for _, id in ipairs(popped) do
    ids[#ids + 1] = id
    priorities[#priorities + 1] = priority - 1
  end
end

-- Ten turns: six for high, three for normal, one for low. What a list cannot use goes to the others.
local TURNS = { 2, 2, 3, 2, 2, 3, 2, 2, 3, 4 }
take(1, wanted - #ids)
local left = wanted - #ids
if left > 0 then
  local waiting = { 0, redis.call('LLEN', KEYS[3]), redis.call('LLEN', KEYS[4]), redis.call('LLEN', KEYS[5]) }
  local share, turn = { 0, 0, 0, 0 }, tonumber(head[2] or 0)
  local all = waiting[2] + waiting[3] + waiting[4]
  if all <= left then
    share = waiting
  else
    while left > 0 do
      local priority = TURNS[turn + 1]
      turn = (turn + 1) % 10
      if share[priority] < waiting[priority] then
        share[priority] = share[priority] + 1
        left = left - 1
      end
    end
    redis.call('HSET', state, 'turn', turn)
  end
  for priority = 2, 4 do
    if share[priority] > 0 then take(priority, share[priority]) end
  end
end
if #ids == 0 then
  return { now, next_due, #due, 0, {}, {}, {}, {} }
end

local tombstones = redis.call('EXISTS', cancelled) == 1
local payloads = redis.call('HMGET', jobs, unpack(ids))
local marked = redis.call('EXISTS', marks) == 1 and redis.call('HMGET', marks, unpack(ids)) or nil
local token = redis.call('HINCRBY', state, 'token', #ids) - #ids
local leased, out = {}, { {}, {}, {}, {} }
for i, id in ipairs(ids) do
  local gone = tombstones and redis.call('SREM', cancelled, id) == 1
  if payloads[i] and not gone then
    local lease = priorities[i] .. process .. string.format('%d', token + i)
    leased[#leased + 1] = id
    leased[#leased + 1] = lease
    local n = #out[1] + 1
    out[1][n], out[2][n], out[3][n], out[4][n] = id, lease, marked and marked[i] or '', payloads[i]
  end
end
if #leased > 0 then
  redis.call('HSET', leases, unpack(leased))
end
return { now, next_due, #due, #ids, out[1], out[2], out[3], out[4] }
