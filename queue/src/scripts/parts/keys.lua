-- Part of every script: the keys of the queue, in the order of `Keys::all`, and Redis's time.
local JOBS, SCHEDULED, LEASES, MARKS, DEAD, STALE, SUSPECTS, STATE = unpack(KEYS, 1, 8)
local PROCESSES, PROCESS_INFO, LANES, POLICIES, RUNNING, PARKED, RATES = unpack(KEYS, 9, 15)
local UNIQUE, UNIQUE_UNTIL, BATCHES, CALLBACKS, PROGRESS, NEWER, CANCELLING, WAKE = unpack(KEYS, 16, 23)
local READY = { ['0'] = KEYS[24], ['1'] = KEYS[25], ['2'] = KEYS[26], ['3'] = KEYS[27] }
local TURNS = { ['0'] = KEYS[28], ['1'] = KEYS[29], ['2'] = KEYS[30], ['3'] = KEYS[31] }
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
