-- Part: where ready jobs wait. A job without a group stands in the list of its priority. A group has a lane in each
-- priority: ids in chunks, the first one in field `<priority><group>` of LANES behind the numbers of the first and the last
-- chunk, chunk n in field `<priority><group>\0<n>`. A lane has its turn in TURNS, or is PARKED until its group may run.
-- A turn reads and writes the whole first chunk: small ones save more than they cost in fields.
local CHUNK = 16 * 16

local function chunk(place, number)
  return place .. '\0' .. number
end

local function lane(first, last, ids)
  return struct.pack('>i4i4', first, last) .. ids
end

-- The turn after all that were had: where a lane joins.
local function last_turn(priority)
  return tonumber(redis.call('HGET', STATE, 'v' .. priority) or 0)
end

local function join(place)
  local priority = string.sub(place, 1, 1)
  redis.call('ZADD', TURNS[priority], last_turn(priority), string.sub(place, 2))
end

local function append(place, ids)
  local held = redis.call('HGET', LANES, place)
  local first, last, head = 0, 0, ''
  if held then
    first, last = struct.unpack('>i4i4', held)
    head = string.sub(held, 9)
  else
    join(place)
  end
  local alone, before = first == last, last
  local tail = alone and head or redis.call('HGET', LANES, chunk(place, last))
  repeat
    local room = math.max(CHUNK - #tail, 0)
    tail = tail .. string.sub(ids, 1, room)
    ids = string.sub(ids, room + 1)
    if first == last then head = tail else redis.call('HSET', LANES, chunk(place, last), tail) end
    if ids ~= '' then last, tail = last + 1, '' end
  until ids == ''
  if alone or last ~= before then redis.call('HSET', LANES, place, lane(first, last, head)) end
end

local function prepend(place, ids)
  local held = redis.call('HGET', LANES, place)
  if not held then return append(place, ids) end
  local first, last = struct.unpack('>i4i4', held)
  local head = ids .. string.sub(held, 9)
  while #head > CHUNK do
    redis.call('HSET', LANES, chunk(place, first), string.sub(head, CHUNK + 1))
    head, first = string.sub(head, 1, CHUNK), first - 1
  end
  redis.call('HSET', LANES, place, lane(first, last, head))
end

-- Takes up to n ids out of a lane. Returns them and what stays of it, nil if nothing does.
local function take_from(place, held, n)
  local first, last = struct.unpack('>i4i4', held)
  local head, taken, wanted = string.sub(held, 9), '', n * 16
  while true do
    local part = string.sub(head, 1, wanted)
    taken, wanted, head = taken .. part, wanted - #part, string.sub(head, #part + 1)
    if head ~= '' then return taken, lane(first, last, head) end
    if first == last then return taken, nil end
    first = first + 1
    head = redis.call('HGET', LANES, chunk(place, first))
    redis.call('HDEL', LANES, chunk(place, first))
    if wanted == 0 then return taken, lane(first, last, head) end
  end
end

-- Jobs that become ready are gathered by place, `<priority><group>`, and stored at once.
local gathered, places = {}, {}
local function line_up(place, id)
  local ids = gathered[place]
  if not ids then
    ids = {}
    gathered[place], places[#places + 1] = ids, place
  end
  ids[#ids + 1] = id
end

local function add(place, ids, to_list, to_lane)
  local priority = string.sub(place, 1, 1)
  if #place == 1 then
    redis.call(to_list, READY[priority], unpack(ids))
  else
    redis.call('HINCRBY', STATE, 'g' .. priority, #ids)
    to_lane(place, table.concat(ids))
  end
end

local function add_last(place, ids) add(place, ids, 'RPUSH', append) end
local function add_first(place, ids) add(place, ids, 'LPUSH', prepend) end

local function store_lines(add_to_line)
  for _, place in ipairs(places) do add_to_line(place, gathered[place]) end
  gathered, places = {}, {}
end
