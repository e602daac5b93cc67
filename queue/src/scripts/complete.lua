-- Ends leased jobs: nothing of them stays.
-- KEYS  1 jobs  2 leases  3 marks
-- ARGV  for each job: id, lease
-- Returns a string with one character for each job: 1 ended, 0 the lease is not held any more.
local ids, wanted = {}, {}
for i = 1, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
  wanted[#wanted + 1] = ARGV[i + 1]
end
local held = redis.call('HMGET', KEYS[2], unpack(ids))
local ended, results = {}, {}
for i, id in ipairs(ids) do
  if held[i] == wanted[i] then
    ended[#ended + 1] = id
    results[i] = '1'
  else
    results[i] = '0'
  end
end
if #ended > 0 then
  redis.call('HDEL', KEYS[2], unpack(ended))
  redis.call('HDEL', KEYS[1], unpack(ended))
  if redis.call('EXISTS', KEYS[3]) == 1 then
    redis.call('HDEL', KEYS[3], unpack(ended))
  end
end
return table.concat(results)
