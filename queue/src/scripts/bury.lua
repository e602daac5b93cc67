-- Moves leased jobs to the dead letters, with evidence.
-- KEYS  1 leases  2 dead
-- ARGV  for each job: id, lease, evidence (JSON)
-- Returns a string with one character for each job: 1 buried, 0 the lease is not held any more.
local results = {}
for i = 1, #ARGV, 3 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
    results[#results + 1] = '1'
  else
    results[#results + 1] = '0'
  end
end
return table.concat(results)
