-- Gives leased jobs back: to retry (charged), snoozed (uncharged), released (uncharged, first in its line), or kept for a
-- newer worker (uncharged). One that was cancelled meanwhile ends.
-- ARGV  for each job: id, lease, why (retry, snooze, release, newer), delay (ms) or what a worker must be able to read
-- Returns a string with one character for each job: 1 given back, 2 ended since it was cancelled, 0 the lease is not held
--         any more.
local results, given = {}, 0
local cancelling = redis.call('EXISTS', CANCELLING) == 1

local function mark(id, failures, releases)
  local f, d, r = string.match(redis.call('HGET', MARKS, id) or '0:0:0', '(%d+):(%d+):(%d+)')
  hset(MARKS, { id, (f + failures) .. ':' .. d .. ':' .. (r + releases) })
end

for i = 1, #ARGV, 4 do
  local id, lease, why = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if redis.call('HGET', LEASES, id) ~= lease then
    results[#results + 1] = '0'
  else
    local group, unique, batch = read_options(options_of_lease(lease))
    local priority = string.sub(lease, 1, 1)
    redis.call('HDEL', LEASES, id)
    given = given + 1
    free(group)
    if cancelling and redis.call('SISMEMBER', CANCELLING, id) == 1 then
      redis.call('HDEL', JOBS, id)
      let_go(id, unique, batch)
      forget({ id })
      results[#results + 1] = '2'
    else
      mark(id, why == 'retry' and 1 or 0, why == 'retry' and 0 or 1)
      if why == 'release' then
        line_up(priority .. group, id)
      elseif why == 'newer' then
        redis.call('HSET', NEWER, id, ARGV[i + 3] .. '\0' .. priority .. group)
      else
        redis.call('ZADD', SCHEDULED, now + ARGV[i + 3], priority .. id .. group)
      end
      results[#results + 1] = '1'
    end
  end
end
store_lines(add_first)
free_keys()
free_groups()
if given > 0 then redis.call('SPUBLISH', WAKE, 0) end
return table.concat(results)
