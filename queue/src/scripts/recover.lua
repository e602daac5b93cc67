-- Looks at one page of the leases and takes back those of dead processes. A job goes to the head of its line; after
-- several deaths to the suspects, which run one at a time; after the deaths allowed to the dead letters, with evidence. One
-- that was cancelled meanwhile ends.
-- ARGV  1 cursor  2 page  3 deaths of a suspect  4 deaths allowed  5 whether processes that are not registered are dead
--       (1 or 0), then for each process that the caller has seen silent: process, its last beat (it lives if it has beaten
--       since)
-- Returns { next cursor, leases taken back, jobs buried }.
local suspicious, allowed, strangers_dead = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local last_beat, lives = {}, {}
for i = 6, #ARGV, 2 do last_beat[ARGV[i]] = tonumber(ARGV[i + 1]) end

local function is_alive(process)
  if lives[process] == nil then
    local beat = redis.call('ZSCORE', PROCESSES, process)
    if beat then
      lives[process] = tonumber(beat) ~= last_beat[process]
    else
      lives[process] = not strangers_dead
    end
  end
  return lives[process]
end

local function bury(id, process, deaths)
  redis.call('HSET', DEAD, id, cjson.encode({
    reason = 'poison', deaths = deaths, process = process, at = now,
    ran_on = redis.call('HGET', PROCESS_INFO, process) or nil, progress = redis.call('HGET', PROGRESS, id) or nil,
  }))
end

local taken, buried, ended = 0, 0, 0
local function take_back(id, lease)
  local priority, process = string.sub(lease, 1, 1), string.sub(lease, 2, 9)
  local group, unique, batch = read_options(options_of_lease(lease))
  local f, d, r = string.match(redis.call('HGET', MARKS, id) or '0:0:0', '(%d+):(%d+):(%d+)')
  local deaths = d + 1
  redis.call('HDEL', LEASES, id)
  free(group)
  ended = ended + 1
  if redis.call('SREM', CANCELLING, id) == 1 then
    redis.call('HDEL', JOBS, id)
    let_go(id, unique, batch)
    return forget({ id })
  end
  hset(MARKS, { id, f .. ':' .. deaths .. ':' .. r })
  if deaths >= allowed then
    bury(id, process, deaths)
    let_go(id, unique, batch)
    buried = buried + 1
    return
  end
  taken = taken + 1
  if deaths >= suspicious then
    redis.call('RPUSH', SUSPECTS, priority .. id .. group)
  else
    line_up(priority .. group, id)
  end
end

local page = redis.call('HSCAN', LEASES, ARGV[1], 'COUNT', ARGV[2])
for i = 1, #page[2], 2 do
  local id, lease = page[2][i], page[2][i + 1]
  if id ~= '@' and not is_alive(string.sub(lease, 2, 9)) then take_back(id, lease) end
end
store_lines(add_first)
free_keys()
free_groups()
if ended > 0 then redis.call('SPUBLISH', WAKE, taken) end
return { page[1], taken, buried }
