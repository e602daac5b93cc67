-- Stores jobs, each once per id and per unique key, and wakes idle workers.
-- ARGV  for each job: id; priority (0-3), whether it may have run before (1 or 0), whether more follows (+ or -); due (ms since
--       1970, 0 = now); the stored job; then if more follows: group, unique key, what a second push of the key does (k keep
--       the first, r replace its payload, p push it back), how long the key is held (ms, empty = until done), batch
-- Returns a string with one character for each job: 1 stored, 0 the id was there already, 2 kept out by its unique key,
--         3 merged into the job that holds the key.
local results, moved = {}, 0

-- The unique keys of this call: what holds each, and what is to be written.
local holding, holds = {}, {}

-- Asks for all of them at once; no part of a call changes a key but by `hold`.
local function read_holders(keys)
  if #keys == 0 then return end
  for i, held in ipairs(redis.call('HMGET', UNIQUE, unpack(keys))) do holding[keys[i]] = held end
end

-- The id of the job that holds a unique key, if it is still held.
local function holder_of(key)
  local held = holding[key]
  if not held then return nil end
  if #held > 16 and tonumber(string.sub(held, 17)) <= now then return nil end
  return string.sub(held, 1, 16)
end

local function hold(key, id, period)
  local before = holding[key]
  if period == '' then
    holding[key] = id
    if before and #before > 16 then redis.call('ZREM', UNIQUE_UNTIL, key) end
  else
    holding[key] = id .. string.format('%d', now + period)
    redis.call('ZADD', UNIQUE_UNTIL, now + period, key)
  end
  holds[#holds + 1], holds[#holds + 2] = key, holding[key]
end

local function store_holds()
  hset(UNIQUE, holds)
end

-- Takes a waiting job from where it waits. Returns its place in the schedule; nil if it was not there.
local function put_aside(id, group)
  if redis.call('HDEL', NEWER, id) == 1 then return nil end
  for priority = 0, 3 do
    local member = priority .. id .. group
    if redis.call('ZSCORE', SCHEDULED, member) then return member end
    if redis.call('LREM', SUSPECTS, 1, member) == 1 then return nil end
  end
  redis.call('HINCRBY', STALE, id, 1)
  redis.call('HINCRBY', STATE, 'stale', 1)
end

-- Gives a waiting job the payload of the new one, and with `p` its due time; what waited for a newer worker may be readable
-- now. False if it does not wait, or has come back without the key.
local function merge(other, key, mode, due, job)
  local held = redis.call('HGET', JOBS, other)
  if not held or redis.call('HEXISTS', LEASES, other) == 1 or redis.call('HEXISTS', DEAD, other) == 1 then return false end
  local options = options_of(held)
  local group, unique = read_options(options)
  if unique ~= key then return false end
  local payload = string.sub(job, 3 + #(options_of(job) or ''))
  redis.call('HSET', JOBS, other, string.sub(held, 1, 2) .. options .. payload)
  moved = moved + 1
  if mode == 'p' then
    redis.call('ZADD', SCHEDULED, due, put_aside(other, group) or string.sub(options, 1, 1) .. other .. group)
  else
    local newer = redis.call('HGET', NEWER, other)
    if newer then
      redis.call('HDEL', NEWER, other)
      line_up(string.match(newer, '^[^%z]*%z(.*)$'), other)
    end
  end
  return true
end

-- What becomes of a push whose unique key another job holds; nil if it is stored all the same.
local function meet(other, id, key, mode, period, due, job)
  if not other or other == id then return nil end
  if mode == 'k' then return '2' end
  if merge(other, key, mode, due, job) then return '3' end
  -- A running job cannot take what came after it began; one that is done holds its key for a time.
  if redis.call('HEXISTS', LEASES, other) == 1 then return nil end
  return period ~= '' and '2' or nil
end

local function store(id, head, due, job, group, batch)
  if batch ~= '' and redis.call('HEXISTS', JOBS, id) == 0 then job = enter_batch(job) end
  if redis.call('HSETNX', JOBS, id, job) == 0 then return '0' end
  moved = moved + 1
  if string.sub(head, 2, 2) == '1' then hset(MARKS, { id, '0:0:1' }) end
  local priority = string.sub(head, 1, 1)
  if due > now then
    redis.call('ZADD', SCHEDULED, due, priority .. id .. group)
  else
    line_up(priority .. group, id)
  end
  return '1'
end

-- Calls `each` with the arguments of every job.
local function for_each_job(each)
  local i = 1
  while i <= #ARGV do
    local id, head, due, job = unpack(ARGV, i, i + 3)
    if string.sub(head, 3, 3) == '+' then
      each(id, head, tonumber(due), job, unpack(ARGV, i + 4, i + 8))
      i = i + 9
    else
      each(id, head, tonumber(due), job, '', '', '', '', '')
      i = i + 4
    end
  end
end

local keys = {}
for_each_job(function(_, _, _, _, _, unique)
  if unique ~= '' then keys[#keys + 1] = unique end
end)
read_holders(keys)

for_each_job(function(id, head, due, job, group, unique, mode, period, batch)
  local met
  local other = unique ~= '' and holder_of(unique)
  if other and redis.call('HEXISTS', JOBS, id) == 0 then met = meet(other, id, unique, mode, period, due, job) end
  local result = met or store(id, head, due, job, group, batch)
  if result == '1' and unique ~= '' then hold(unique, id, period) end
  results[#results + 1] = result
end)

store_holds()
store_lines(add_last)
if moved > 0 then
  redis.call('SPUBLISH', WAKE, moved)
end
return table.concat(results)
