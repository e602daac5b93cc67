-- Part: Redis keeps a small hash or sorted set as a list, in which it searches from the head. One that has ever held a long
-- member is a table, and stays one: so a new one gets such a member for a moment. No key of a caller has a NUL.
local LONG = string.rep('\0', 65)

local function hset(key, fields)
  if #fields == 0 then return end
  local new = redis.call('EXISTS', key) == 0
  if new then redis.call('HSET', key, LONG, '') end
  redis.call('HSET', key, unpack(fields))
  if new then redis.call('HDEL', key, LONG) end
end

local function zadd(key, members)
  if #members == 0 then return end
  local new = redis.call('EXISTS', key) == 0
  if new then redis.call('ZADD', key, 0, LONG) end
  redis.call('ZADD', key, unpack(members))
  if new then redis.call('ZREM', key, LONG) end
end
