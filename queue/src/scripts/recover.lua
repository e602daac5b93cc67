-- Looks at one page of the leases and takes back those of processes that are dead or unknown. A job that has outlived
-- the deaths allowed goes to the dead letters with evidence, the others to the head of their lists.
-- KEYS  1 leases  2-5 ready (critical, high, normal, low)  6 marks  7 dead  8 processes  9 process info
-- ARGV  1 wake channel  2 cursor  3 page  4 silence (ms) after which a process is dead  5 deaths allowed
-- Returns { next cursor, leases taken back, jobs buried }.
local leases, marks, dead, processes, info = KEYS[1], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local silence, allowed = tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local alive = {}
local function lives(process)
  if alive[process] == nil then
    local beat = redis.call('ZSCORE', processes, process)
    alive[process] = beat ~= false and now - tonumber(beat) < silence
  end
  return alive[process]
end

local page = redis.call('HSCAN', leases, ARGV[2], 'COUNT', ARGV[3])
local taken, buried = 0, 0
for i = 1, #page[2], 2 do
  local id, lease = page[2][i], page[2][i + 1]
  local process = string.sub(lease, 2, 9)
  if id ~= '@' and not lives(process) then
    local f, d, r = string.match(redis.call('HGET', marks, id) or '0:0:0', '(%d+):(%d+):(%d+)')
    local deaths = tonumber(d) + 1
    redis.call('HDEL', leases, id)
    redis.call('HSET', marks, id, f .. ':' .. deaths .. ':' .. r)
    if deaths >= allowed then
      redis.call('HSET', dead, id, cjson.encode({
        reason = 'poison', deaths = deaths, process = process, at = now,
        ran_on = redis.call('HGET', info, process) or nil,
      }))
      buried = buried + 1
    else
      redis.call('LPUSH', KEYS[2 + tonumber(string.sub(lease, 1, 1))], id)
      taken = taken + 1
    end
  end
end
if taken > 0 then
  redis.call('PUBLISH', ARGV[1], taken)
end
return { page[1], taken, buried }
