-- Grants parts of shared limits to an instance.
--
-- KEYS[1]: the hash of instances: the time at which each expires and at which it joined, in milliseconds since the
--   Unix epoch; @start: the time of the first one.
-- KEYS[2..]: one hash for each limit:
--   @used: the amount spent in the window; @full: the time at which the bucket is full, in microseconds;
--   @born: the time of the first demand; @told: the time of the last call for unused amounts;
--   INSTANCE.SERIAL: the amount that the instance holds, the amount that it has spent as far as it has said so, the
--   most that it is likely to have spent since, and the time of its last demand.
-- ARGV: instance, time to live (ms), channel, start of the state as the instance knows it, time without a demand after
--   which an instance holds nothing of a limit (ms); then for each limit:
--   serial, size, interval (us; 0 for a window), time to keep (ms), spent, recent, kept, least, wanted, missing.
-- Returns the number of instances, the number of equal parts that an instance may take of a limit that is new to it
-- (one each; 0: none), the start of the state, and a list with for each limit: held, left, free.

local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
local me, ttl, channel, known_start, silence = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])

local function number(value)
  value = tonumber(value)
  if value and value > -9e15 and value < 9e15 then return value end
  return 0
end

local function text(value)
  return string.format('%.0f', value)
end

local function times(value)
  local expires, joined = string.match(value or '', '^(%d+) (%d+)$')
  return number(expires), number(joined)
end

local instances = redis.call('HGETALL', KEYS[1])
local own_age, alive, count, old, older, start = nil, { [me] = 0 }, 1, 0, 0, nil
for i = 1, #instances, 2 do
  local name, expires, joined = instances[i], times(instances[i + 1])
  if name == '@start' then
    start = instances[i + 1]
  elseif name == me and expires > now then
    own_age = math.max(0, now - joined)
  elseif expires > now and expires <= now + 10 * ttl then
    -- Each instance knows the others after a second.
    alive[name] = now - joined
    count = count + 1
    if alive[name] > 1500 then old = old + 1 end
    if alive[name] > 2600 then older = older + 1 end
  elseif name ~= me then
    redis.call('HDEL', KEYS[1], name)
  end
end
redis.call('HSET', KEYS[1], me, text(now + ttl) .. ' ' .. text(now - (own_age or 0)))
redis.call('PEXPIRE', KEYS[1], 3600000)
if not own_age then
  redis.call('PUBLISH', channel, 'joined')
end
own_age = own_age or 0
local parts = own_age > 3000 and old + 1 or 0
if own_age > 2600 then older = older + 1 end
if not start then
  start = text(now)
  redis.call('HSET', KEYS[1], '@start', start)
end
-- The state was lost: the other instances have to say first what they hold.
local is_lost = known_start ~= '0' and known_start ~= start

local amounts = {}
for i = 2, #KEYS do
  local key, at = KEYS[i], 5 + (i - 2) * 10
  local field = me .. '.' .. ARGV[at + 1]
  local size, interval, keep = number(ARGV[at + 2]), number(ARGV[at + 3]), ARGV[at + 4]
  local spent, recent, kept = number(ARGV[at + 5]), number(ARGV[at + 6]), number(ARGV[at + 7])
  local least, wanted, missing = number(ARGV[at + 8]), number(ARGV[at + 9]), number(ARGV[at + 10])

  local used, full, born, told = 0, 0, nil, 0
  local own_held, own_spent, others, unsaid, silent = 0, nil, 0, 0, old
  local seen, known = {}, redis.call('HGETALL', key)
  for j = 1, #known, 2 do
    local name, value = known[j], known[j + 1]
    local instance = string.match(name, '^(%x+)%.%d+$')
    if name == '@used' then used = number(value)
    elseif name == '@full' then full = number(value)
    elseif name == '@born' then born = number(value)
    elseif name == '@told' then told = number(value)
    elseif instance then
      local held, said, recently, last_at = string.match(value, '^(%d+) (-?%d+) (%d+) (%d+)$')
      held = number(held)
      if name == field then
        if said then own_held, own_spent = held, number(said) end
      elseif instance == me or not alive[instance] or now - number(last_at) > silence then
        -- It is gone, or has no such key any more. It may have spent something that it did not say. The rest of what it
        -- held is free again.
        local last = math.min(held, number(recently))
        unsaid = unsaid + last
        if held > 0 then redis.call('HSET', key, name, '0 ' .. text(number(said) + last) .. ' 0 ' .. text(number(last_at))) end
      else
        others = others + held
      end
      if instance ~= me and (alive[instance] or 0) > 1500 and not seen[instance] then
        seen[instance] = true
        silent = silent - 1
      end
    end
  end
  if not born then
    born = now
    redis.call('HSET', key, '@born', text(now))
  end

  local change, held = unsaid, kept
  if own_spent then
    change = unsaid + spent - own_spent
    held = math.min(math.max(0, own_held - spent + own_spent), kept)
  elseif interval > 0 then
    full = math.max(full, now_us + missing * interval)
  else
    change = unsaid + spent
  end
  local left
  if interval > 0 then
    full = math.max(full, now_us) + change * interval
    left = size - math.ceil((full - now_us) / interval - 0.001)
  else
    used = math.max(0, used + change)
    left = size - used
  end

  -- An instance that meets a new limit takes its equal part before it says so.
  local is_young = now - born < 2000
  local reserved = is_young and silent * math.floor(size / math.max(1, older)) or 0
  local free = left - others - reserved
  if not own_spent and not is_young then
    held = math.min(held, math.max(0, free))
  end
  free = free - held
  if wanted > held and free > 0 and not is_lost then
    local more = math.min(wanted - held, free)
    if held + more >= least then
      held = held + more
      free = free - more
    end
  end

  redis.call('HSET', key, field, text(held) .. ' ' .. text(spent) .. ' ' .. text(recent) .. ' ' .. text(now))
  if interval > 0 then
    redis.call('HSET', key, '@full', text(full))
  else
    redis.call('HSET', key, '@used', text(used))
  end
  -- First the others return what is above an equal part. If that is nothing, they keep what they need.
  local is_uneven = others > math.ceil(left / count) * (count - 1)
  local lacks = held < least or (is_uneven and wanted > 0 and held * 2 <= wanted)
  if own_held > held and now - told < 1000 then
    redis.call('PUBLISH', channel, 'freed ' .. key)
  end
  if others > 0 and lacks and now - told >= 5 then
    redis.call('HSET', key, '@told', text(now))
    redis.call('PUBLISH', channel, (is_uneven and 'uneven ' or 'hungry ') .. key)
  end
  redis.call('PEXPIRE', key, keep)
  amounts[#amounts + 1] = math.max(0, held)
  amounts[#amounts + 1] = math.max(0, left)
  amounts[#amounts + 1] = math.max(0, free)
end
return { count, parts, start, amounts }
