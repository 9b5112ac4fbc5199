//! Registers as Redis keeps them: fields of one hash, and the scripts that merge them.

use redis::Script;

use crate::pool::{Field, KeyPool, Register};

/// Time for which the state is kept after the last change, in milliseconds: eight days.
pub(super) const KEPT_MS: u64 = 691_200_000;

/// Raises registers of the hash, atomically. A value that is no register is replaced, and so is one from a time that
/// never comes, which would win for ever. Publishes those that were raised, and keeps the hash for eight days.
///
/// All values have the same length, so the order of texts is the order of registers.
const RAISE: &str = r"
local news = {}
for i = 1, #ARGV, 2 do
  local old = redis.call('HGET', KEYS[1], ARGV[i])
  local new = ARGV[i + 1]
  if not old or #old ~= #new or string.find(old, '[^0-9a-f]') or new > old
    or string.sub(old, 1, 16) > '000003ffffffffff' then
    redis.call('HSET', KEYS[1], ARGV[i], new)
    news[#news + 1] = ARGV[i]
    news[#news + 1] = new
  end
end
if #news > 0 then
  redis.call('PEXPIRE', KEYS[1], 691200000) -- KEPT_MS
  redis.call('PUBLISH', KEYS[2], cjson.encode(news))
end
return #news / 2
";

/// Removes registers that still have these values.
const REMOVE: &str = r"
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
";

/// The names that the state of a pool has in Redis. The part in braces puts both into one slot of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) hash: String,
    pub(super) channel: String,
}

/// The scripts.
pub(super) struct Scripts {
    pub(super) raise: Script,
    pub(super) remove: Script,
}

/// A register as Redis keeps it.
pub(super) type Entry = (String, String);

// === impl Names ===

impl Names {
    pub(super) fn of(prefix: &str, pool: &KeyPool) -> Self {
        let tag = format!("{{{prefix}:{}}}", pool.provider().name());
        Self { hash: format!("{tag}:state"), channel: format!("{tag}:news") }
    }
}

// === impl Scripts ===

impl Scripts {
    pub(super) fn new() -> Self {
        Self { raise: Script::new(RAISE), remove: Script::new(REMOVE) }
    }
}

/// Returns the entry of a register. `None` for a register from a time that never comes: no process would read it.
pub(super) fn entry((field, Register(numbers)): &(Field, Register)) -> Option<Entry> {
    if numbers[0] > LAST {
        return None;
    }
    let value = numbers.iter().map(|number| format!("{number:016x}")).collect();
    Some((serde_json::to_string(field).ok()?, value))
}

/// The last time that a register may have: 15 May 2109, in milliseconds since the Unix epoch.
const LAST: u64 = (1 << 42) - 1;

/// Returns the register of an entry. `None` if it is none, or one of a later version.
pub(super) fn register((field, value): &(impl AsRef<[u8]>, impl AsRef<[u8]>)) -> Option<(Field, Register)> {
    let field: Field = serde_json::from_slice(field.as_ref()).ok()?;
    let value = std::str::from_utf8(value.as_ref()).ok()?;
    let mut register = Register::default();
    if field == Field::Unknown || value.len() != 16 * register.0.len() || !value.is_ascii() {
        return None;
    }
    for (index, number) in register.0.iter_mut().enumerate() {
        *number = u64::from_str_radix(&value[16 * index..16 * (index + 1)], 16).ok()?;
    }
    (register.0[0] <= LAST).then_some((field, register))
}

/// Returns the entries of a message.
pub(super) fn message(payload: &[u8]) -> Vec<Entry> {
    let texts: Vec<String> = serde_json::from_slice(payload).unwrap_or_default();
    let (pairs, _) = texts.as_chunks::<2>();
    pairs.iter().map(|[field, value]| (field.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_from_a_time_that_never_comes_is_not_written() {
        let field = r#"{"kind":"reset","owner":"account:a"}"#;
        let at = |time| (serde_json::from_str::<Field>(field).unwrap(), Register([time, 0, 0, 0, 0]));
        let last = entry(&at(LAST)).unwrap();
        assert_eq!(register(&last), Some(at(LAST)));
        assert_eq!(entry(&at(LAST + 1)), None);
    }
}
