-- KEYS: peer's issues, inbox's mails, the peer's share of them, verification. ARGV: now in ms, MAC.
local now, span = tonumber(ARGV[1]), 20000
local function full(key, count)
  local nth = redis.call('LINDEX', key, count - 1)
  return nth and now - nth < span
end
local function count(key, most)
  if redis.call('LPUSH', key, now) > most then redis.call('LTRIM', key, 0, most - 1) end
  redis.call('PEXPIRE', key, span)
end
if full(KEYS[1], 20) or full(KEYS[1], 100) then return -1 end
count(KEYS[1], 100)
if full(KEYS[2], 5) or full(KEYS[2], 10) or full(KEYS[3], 3) or full(KEYS[3], 5) then return -2 end
count(KEYS[2], 10)
count(KEYS[3], 5)
redis.call('HSET', KEYS[4], 'mac', ARGV[2], 'tries', 5)
redis.call('PEXPIRE', KEYS[4], 300000)
return 1
