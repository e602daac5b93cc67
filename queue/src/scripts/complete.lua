-- Ends leased jobs: nothing of them stays.
-- ARGV  for each job: id, lease
-- Returns a string with one character for each job: 1 ended, 0 the lease is not held any more.
local ids = {}
for i = 1, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
end
local held = redis.call('HMGET', LEASES, unpack(ids))
local ended, results, shown = {}, {}, {}
for i, id in ipairs(ids) do
  local lease = held[i]
  if lease == ARGV[2 * i] and not shown[lease] then
    shown[lease] = true
    ended[#ended + 1] = id
    results[i] = '1'
    local options = options_of_lease(lease)
    if options then
      local group, unique, batch = read_options(options)
      free(group)
      let_go(id, unique, batch)
    end
  else
    results[i] = '0'
  end
end
if #ended > 0 then
  redis.call('HDEL', LEASES, unpack(ended))
  redis.call('HDEL', JOBS, unpack(ended))
  forget(ended)
  free_keys()
  local opened = free_groups()
  if opened or was_full(#ended) then redis.call('SPUBLISH', WAKE, 0) end
end
return table.concat(results)
