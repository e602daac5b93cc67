-- Part: what the end of a job, or of its lease, sets free.
local freed = {}

-- A lease of the group has ended; `free_groups` follows.
local function free(group)
  if group ~= '' then freed[group] = (freed[group] or 0) + 1 end
end

-- Lets lanes have turns again that waited for their group's running jobs. Returns whether there were any.
local function unpark(groups)
  if redis.call('EXISTS', PARKED) == 0 then return false end
  local opened = false
  for _, group in ipairs(groups) do
    local waits = redis.call('ZMSCORE', PARKED, '0' .. group, '1' .. group, '2' .. group, '3' .. group)
    for priority = 0, 3 do
      if waits[priority + 1] == 'inf' then
        redis.call('ZREM', PARKED, priority .. group)
        join(priority .. group)
        opened = true
      end
    end
  end
  return opened
end

-- Counts the ended leases off their groups. Returns whether a lane has its turns again, or a suspect may.
local function free_groups()
  local groups = {}
  for group in pairs(freed) do groups[#groups + 1] = group end
  if #groups == 0 then return false end
  local running = redis.call('HMGET', RUNNING, unpack(groups))
  local kept, gone = {}, {}
  for i, group in ipairs(groups) do
    local left = tonumber(running[i] or 0) - freed[group]
    if left > 0 then
      kept[#kept + 1], kept[#kept + 2] = group, left
    else
      gone[#gone + 1] = group
    end
  end
  if #kept > 0 then redis.call('HSET', RUNNING, unpack(kept)) end
  if #gone > 0 then redis.call('HDEL', RUNNING, unpack(gone)) end
  return unpark(groups) or redis.call('EXISTS', SUSPECTS) == 1
end

-- One member of a batch less; after the last one its callback is ready.
local function leave_batch(batch)
  if batch == '' or redis.call('HEXISTS', BATCHES, batch) == 0 then return end
  if redis.call('HINCRBY', BATCHES, batch, -1) > 0 then return end
  local callback = redis.call('HGET', CALLBACKS, batch)
  redis.call('HDEL', BATCHES, batch)
  redis.call('HDEL', CALLBACKS, batch)
  if callback then
    local id = string.sub(callback, 2, 17)
    redis.call('HDEL', BATCHES, id)
    local place = string.sub(callback, 1, 1) .. string.sub(callback, 18)
    add_last({ place }, { [place] = { id } })
    redis.call('SPUBLISH', WAKE, 1)
  end
end

-- The job will not run any more: its batch has one less, and `free_keys` frees its unique key.
local holders, held_keys = {}, {}
local function let_go(id, unique, batch)
  if unique ~= '' then holders[#holders + 1], held_keys[#held_keys + 1] = id, unique end
  leave_batch(batch)
end

-- Frees the unique keys that the jobs still hold; a key that is held for a time stays.
local function free_keys()
  if #holders == 0 then return end
  local free = {}
  for i, holder in ipairs(redis.call('HMGET', UNIQUE, unpack(held_keys))) do
    if holder == holders[i] then free[#free + 1] = held_keys[i] end
  end
  if #free > 0 then redis.call('HDEL', UNIQUE, unpack(free)) end
end

-- Strikes out whatever stands beside these jobs; each is in few of the keys.
local function forget(ids)
  if redis.call('EXISTS', MARKS, PROGRESS, CANCELLING) == 0 then return end
  redis.call('HDEL', MARKS, unpack(ids))
  redis.call('HDEL', PROGRESS, unpack(ids))
  redis.call('SREM', CANCELLING, unpack(ids))
end

-- Whether the queue as a whole was full before a lease ended, so that claimers of other processes wait for this.
local function was_full(leases_ended)
  local most = redis.call('HGET', STATE, 'concurrency')
  if not most then return false end
  return redis.call('HLEN', LEASES) - redis.call('HEXISTS', LEASES, '@') + leases_ended >= tonumber(most)
end
