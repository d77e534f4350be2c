-- KEYS: peer's checks, verification, the inbox's wrong codes. ARGV: now in ms, MAC.
local now, span = tonumber(ARGV[1]), 20000
local function count(key, most)
  if redis.call('LPUSH', key, now) > most then redis.call('LTRIM', key, 0, most - 1) end
  redis.call('PEXPIRE', key, span)
end
local nth = redis.call('LINDEX', KEYS[1], 59)
if nth and now - nth < span then return -1 end
count(KEYS[1], 60)
local mac = redis.call('HGET', KEYS[2], 'mac')
if not mac then return -3 end
local left = redis.call('HINCRBY', KEYS[2], 'tries', -1)
if mac == ARGV[2] then
  redis.call('DEL', KEYS[2])
  return 1
end
count(KEYS[3], 40)
if left <= 0 then redis.call('DEL', KEYS[2]) end
return 0
