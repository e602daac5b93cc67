-- Looks at one page of the jobs that waited for a newer worker, and makes those ready that the caller can read.
-- ARGV  1 cursor  2 page, then what the caller can read
-- Returns { next cursor, made ready }.
local readable, admitted = {}, 0
for i = 3, #ARGV do readable[ARGV[i]] = true end
local page = redis.call('HSCAN', NEWER, ARGV[1], 'COUNT', ARGV[2])
for i = 1, #page[2], 2 do
  local id, needs, place = page[2][i], string.match(page[2][i + 1], '^([^%z]*)%z(.*)$')
  if readable[needs] then
    redis.call('HDEL', NEWER, id)
    line_up(place, id)
    admitted = admitted + 1
  end
end
store_lines(add_first)
if admitted > 0 then redis.call('SPUBLISH', WAKE, admitted) end
return { page[1], admitted }
