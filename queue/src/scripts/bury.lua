-- Moves leased jobs to the dead letters, with evidence.
-- ARGV  for each job: id, lease, evidence (JSON)
-- Returns a string with one character for each job: 1 buried, 0 the lease is not held any more.
local results, buried = {}, 0
for i = 1, #ARGV, 3 do
  local id, lease = ARGV[i], ARGV[i + 1]
  if redis.call('HGET', LEASES, id) == lease then
    local group, unique, batch = read_options(options_of_lease(lease))
    redis.call('HDEL', LEASES, id)
    redis.call('HSET', DEAD, id, ARGV[i + 2])
    redis.call('SREM', CANCELLING, id)
    free(group)
    let_go(id, unique, batch)
    buried = buried + 1
    results[#results + 1] = '1'
  else
    results[#results + 1] = '0'
  end
end
free_keys()
local opened = free_groups()
if buried > 0 and (opened or was_full(buried)) then redis.call('SPUBLISH', WAKE, 0) end
return table.concat(results)
