-- Counts the jobs of a queue by state. Every figure is a length or a counter that Redis keeps.
-- ARGV  1 silence (ms) after which a process is dead
-- Returns { now, scheduled, stale, running, dead, paused, live processes, ready × 4, first id of each list × 4, suspects,
--         newer, callbacks, parked lanes, lines that a claim may find something in }.
local grouped = redis.call('HMGET', STATE, 'g0', 'g1', 'g2', 'g3', 'stale')
local out = {
  now,
  redis.call('ZCARD', SCHEDULED),
  tonumber(grouped[5] or 0),
  redis.call('HLEN', LEASES) - redis.call('HEXISTS', LEASES, '@'),
  redis.call('HLEN', DEAD),
  redis.call('HEXISTS', STATE, 'paused'),
  redis.call('ZCOUNT', PROCESSES, now - tonumber(ARGV[1]), '+inf'),
}
for priority = 0, 3 do
  out[#out + 1] = redis.call('LLEN', READY[tostring(priority)]) + tonumber(grouped[priority + 1] or 0)
end
-- The oldest of a priority stands first in its list, or first in a lane.
for priority = 0, 3 do
  local first = redis.call('LINDEX', READY[tostring(priority)], 0)
  if not first then
    local next_lane = redis.call('ZRANGE', TURNS[tostring(priority)], 0, 0)[1]
    local lane = next_lane and redis.call('HGET', LANES, priority .. next_lane)
    first = lane and string.sub(lane, 9, 24)
  end
  out[#out + 1] = first or ''
end
out[#out + 1] = redis.call('LLEN', SUSPECTS)
out[#out + 1] = redis.call('HLEN', NEWER)
out[#out + 1] = redis.call('HLEN', CALLBACKS)
out[#out + 1] = redis.call('ZCARD', PARKED)
local lines = 0
for priority = 0, 3 do
  lines = lines + redis.call('EXISTS', READY[tostring(priority)], TURNS[tostring(priority)])
end
out[#out + 1] = lines + redis.call('EXISTS', SUSPECTS)
return out
