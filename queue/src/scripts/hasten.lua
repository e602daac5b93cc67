-- Makes some scheduled jobs due at once, the earliest first.
-- ARGV  1 most
-- Returns how many.
local due = redis.call('ZRANGE', SCHEDULED, 0, ARGV[1] - 1)
for _, member in ipairs(due) do
  line_up(string.sub(member, 1, 1) .. string.sub(member, 18), string.sub(member, 2, 17))
end
if #due > 0 then
  redis.call('ZREM', SCHEDULED, unpack(due))
  store_lines(add_last)
  redis.call('SPUBLISH', WAKE, #due)
end
return #due
