-- Part: takes jobs out of the lists and lanes of a priority. Lanes have their turns by weighted round robin: the score of a
-- lane in TURNS grows by 1/weight with each of its jobs, the lowest is next, and a lane joins behind all others.
-- Source: C. A. Waldspurger, W. E. Weihl, "Stride Scheduling", MIT/LCS/TM-528, 1995.

-- So many lanes are looked at in one call at the most, and so many at a time.
local VISITS, HEADS = 400, 100
local visits, taken_of = 0, {}
-- What was taken out of lines: ids, the priority and the group of the line of each.
local ids, priorities, groups = {}, {}, {}
-- When something that may not run now may run, in ms.
local again = math.huge

-- What all groups of the queue may do, unless POLICIES has `<weight>:<concurrency>:<rate>` of their own.
local common = { weight = 1 }
local own_policies = false

local function policy(own)
  if not own then return common end
  local weight, most, rate = string.match(own, '^(%d+):(%d*):(.*)$')
  return {
    weight = tonumber(weight),
    most = tonumber(most) or common.most,
    rate = rate_of(rate) or common.rate,
  }
end

local function took(priority, group, id)
  local n = #ids + 1
  ids[n], priorities[n], groups[n] = id, priority, group
end

local function take_from_list(priority, n)
  local popped = redis.call('LPOP', READY[priority], n) or {}
  for _, id in ipairs(popped) do took(priority, '', id) end
  return #popped
end

-- How many of n jobs the limits of a group allow; or 0, and until when (ms) its lane is parked.
local function allowed(head, n)
  local most, rate = head.policy.most, head.policy.rate
  if most then
    n = math.min(n, most - tonumber(head.running or 0) - (taken_of[head.group] or 0))
    if n <= 0 then return 0, math.huge end
  end
  if rate then
    local free, opens = allowance(rate, head.arrival)
    if free == 0 then return 0, opens end
    n = math.min(n, free)
  end
  return n
end

local function take_from_lane(priority, head, n, changes)
  local place, group = priority .. head.group, head.group
  local may, opens = allowed(head, n)
  if opens then
    changes.park[#changes.park + 1], changes.park[#changes.park + 2] = opens, place
    changes.leave[#changes.leave + 1] = group
    again = math.min(again, opens)
    return 0
  end
  local taken, rest = take_from(place, head.lane, may)
  for at = 1, #taken, 16 do took(priority, group, string.sub(taken, at, at + 15)) end
  if rest then
    changes.lanes[#changes.lanes + 1], changes.lanes[#changes.lanes + 2] = place, rest
  else
    changes.emptied[#changes.emptied + 1], changes.leave[#changes.leave + 1] = place, group
  end
  local count = #taken / 16
  taken_of[group] = (taken_of[group] or 0) + count
  changes.taken = changes.taken + count
  local rate = head.policy.rate
  if rate and count > 0 then
    changes.rates[#changes.rates + 1], changes.rates[#changes.rates + 2] = later(rate, head.arrival, count), group
  end
  return count
end

local function take_turn(priority, head, n, changes)
  visits = visits + 1
  if head.group ~= '' then return take_from_lane(priority, head, n, changes) end
  local count = take_from_list(priority, n)
  if count < n then changes.leave[#changes.leave + 1] = '' end
  return count
end

local function drop(command, key, arguments)
  if #arguments > 0 then redis.call(command, key, unpack(arguments)) end
end

-- The first lanes of the turns, with all that decides what they may take, and the sum of their weights.
local function look(priority, most)
  local turns = redis.call('ZRANGE', TURNS[priority], 0, most - 1, 'WITHSCORES')
  local groups, fields, heads, weights = {}, {}, {}, 0
  for i = 1, #turns, 2 do
    groups[#groups + 1], fields[#fields + 1] = turns[i], priority .. turns[i]
  end
  if #groups == 0 then return heads, 0 end
  local lanes = redis.call('HMGET', LANES, unpack(fields))
  local own = own_policies and redis.call('HMGET', POLICIES, unpack(groups)) or {}
  local running = (own_policies or common.most) and redis.call('HMGET', RUNNING, unpack(groups)) or {}
  local arrivals = (own_policies or common.rate) and redis.call('ZMSCORE', RATES, unpack(groups)) or {}
  for i, group in ipairs(groups) do
    heads[i] = {
      group = group, turn = tonumber(turns[2 * i]), lane = lanes[i], policy = policy(own[i]),
      running = running[i], arrival = arrivals[i],
    }
    weights = weights + heads[i].policy.weight
  end
  return heads, weights
end

-- Lets the first lanes take their shares of n jobs. Returns how many were taken, and the last turn; nil if no lane waits.
local function go_round(priority, n)
  local heads, weights = look(priority, math.min(n, HEADS))
  if #heads == 0 then return nil end
  local rounds = math.max(1, math.floor(n / weights))
  local changes = { turns = {}, leave = {}, park = {}, lanes = {}, emptied = {}, rates = {}, taken = 0 }
  local left, last = n, 0
  for _, head in ipairs(heads) do
    if left == 0 then break end
    local weight = head.policy.weight
    local count = take_turn(priority, head, math.min(rounds * weight, left), changes)
    local turn = head.turn + count / weight
    changes.turns[#changes.turns + 1], changes.turns[#changes.turns + 2] = turn, head.group
    left, last = left - count, math.max(last, turn)
  end
  zadd(TURNS[priority], changes.turns)
  drop('ZREM', TURNS[priority], changes.leave)
  zadd(PARKED, changes.park)
  zadd(RATES, changes.rates)
  hset(LANES, changes.lanes)
  drop('HDEL', LANES, changes.emptied)
  if changes.taken > 0 then redis.call('HINCRBY', STATE, 'g' .. priority, -changes.taken) end
  return n - left, last
end

-- Jobs without a group have turns as one group more.
local function take_from_lanes(priority, n)
  local last, left = last_turn(priority), n
  if redis.call('EXISTS', READY[priority]) == 1 then redis.call('ZADD', TURNS[priority], 'NX', last, '') end
  while left > 0 and visits < VISITS do
    local count, turn = go_round(priority, left)
    if not count then break end
    left, last = left - count, math.max(last, turn)
  end
  last_turns[priority] = last
  redis.call('HSET', STATE, 'v' .. priority, string.format('%.17g', last))
  return n - left
end

local function take(priority, n)
  if n <= 0 then return 0 end
  if redis.call('EXISTS', TURNS[priority]) == 1 then return take_from_lanes(priority, n) end
  return take_from_list(priority, n)
end
