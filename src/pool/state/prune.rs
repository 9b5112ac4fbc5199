//! Forgets registers that are of no use any more.

use std::collections::HashSet;

use crate::pool::scope::slot::FOREVER;
use crate::pool::state::field::Field;
use crate::pool::state::owner::Owner;
use crate::pool::state::present::Present;
use crate::pool::state::register::{Register, SavedCooldown, SavedCount};
use crate::pool::state::replica::Replica;

/// Time after which a cooldown or a count that is over is forgotten, in milliseconds: one hour.
pub(in crate::pool) const HOUR_MS: u64 = 60 * 60 * 1_000;

/// Time between two looks for registers of no use, unless some were merged: one minute.
const MINUTE_MS: u64 = 60 * 1_000;

/// Time after which the state of a key that is gone is forgotten, and so is a reset: one week.
const WEEK_MS: u64 = 7 * 24 * HOUR_MS;

/// Number of registers above which those of owners that the pool does not have are forgotten, and those of models:
/// 100,000. The orders of operators stay.
const MOST: usize = 100_000;

/// Notes which owners are present, and forgets the registers that are of no use. `now` is the time of the
/// wall clock in milliseconds since the Unix epoch.
pub(in crate::pool) fn prune(replica: &mut Replica, present: &Present, now: u64) {
    note(replica, present, now);
    let minute = Some(now / MINUTE_MS);
    if replica.pruned_in == minute {
        return;
    }
    replica.pruned_in = minute;
    let is_present = |owner: &Owner| present.key(owner).is_some();
    let is_recent = |time: u64| time.saturating_add(WEEK_MS) > now;
    // Owners that are present were seen just now, and need no place in the set.
    let gone = replica.known.iter().filter_map(|(field, register)| match field {
        Field::Seen { owner } if is_recent(register.0[0]) && !is_present(owner) => Some(owner.clone()),
        _ => None,
    });
    let (gone, own): (HashSet<Owner>, _) = (gone.collect(), replica.instance);
    replica.known.retain(|field, register| {
        let is_seen = match field {
            Field::Seen { .. } => is_recent(register.0[0]),
            _ => field.owner().is_some_and(|owner| is_present(&owner) || gone.contains(&owner)),
        };
        let is_own = matches!(field, Field::Count { instance, .. } if *instance == own);
        is_seen && (is_own || is_of_use(field, *register, now))
    });
    replica.is_full = replica.known.len() > MOST;
    if replica.is_full {
        make_room(replica, is_present);
    }
}

/// Forgets what responses have shown of models and of absent keys. The orders of operators stay.
fn make_room(replica: &mut Replica, is_present: impl Fn(&Owner) -> bool) {
    let ordered = replica.known.keys().filter(|field| is_order(field)).filter_map(Field::owner);
    let ordered: HashSet<Owner> = ordered.collect();
    replica.known.retain(|field, _| match field {
        Field::Learned { .. } | Field::Cooldown { model: Some(_), .. } => false,
        Field::Seen { owner } => is_present(owner) || ordered.contains(owner),
        _ => is_order(field) || field.owner().as_ref().is_some_and(&is_present),
    });
}

const fn is_order(field: &Field) -> bool {
    matches!(
        field,
        Field::Reset { .. } | Field::Recount { .. } | Field::Disabled { .. } | Field::Forced { .. }
    )
}

/// Notes which owners are present, once an hour, so that the registers do not change all the time.
fn note(replica: &mut Replica, present: &Present, now: u64) {
    let hour = now / HOUR_MS;
    if replica.noted_in != Some(hour) {
        let at = Register([hour * HOUR_MS, 0, 0, 0, 0]);
        for owner in present.owners() {
            replica.raise(&Field::Seen { owner: owner.clone() }, at);
        }
        replica.noted_in = Some(hour);
    }
}

/// Returns whether a register of an owner that a pool has is of use.
pub(in crate::pool) fn is_of_use(field: &Field, register: Register, now: u64) -> bool {
    let within = |time: u64, span: u64| time.saturating_add(span) > now;
    match field {
        Field::Cooldown { .. } => {
            let saved = SavedCooldown::from(register);
            let is_end = saved.cause.is_none() || saved.generation > 0;
            saved.until == FOREVER
                || within(saved.until, HOUR_MS)
                || (is_end && within(saved.generation, WEEK_MS))
        }
        Field::Forced { .. } => within(register.0[1], HOUR_MS),
        Field::Count { .. } => {
            let saved = SavedCount::from(register);
            within(saved.ends.max(saved.full_at), HOUR_MS)
        }
        Field::Learned { .. } => within(register.0[3], 0),
        Field::Reset { .. } | Field::Recount { .. } => within(register.0[0], WEEK_MS),
        Field::Disabled { .. } | Field::Identity { .. } | Field::Seen { .. } => true,
        Field::Unknown => false,
    }
}

#[cfg(test)]
#[cfg(feature = "redis")]
mod tests {
    use super::*;
    use crate::pool::KeyPool;
    use crate::pool::state::owner::KeyDigest;
    use crate::provider::Provider;

    #[test]
    fn orders_for_absent_keys_outlive_a_want_of_room() {
        let now = crate::clock::Timestamp::now().as_unix_ms();
        let digest = |number: usize| format!("{number:032x}").parse::<KeyDigest>().unwrap();
        let later = now + HOUR_MS;
        let cooldown = |number| {
            let field = Field::Cooldown { owner: Owner::Key(digest(number)), model: None };
            (field, Register([0, later, 1, 0, now]))
        };
        let seen = |number| (Field::Seen { owner: Owner::Key(digest(number)) }, Register([now, 0, 0, 0, 0]));
        let order = (Field::Disabled { key: digest(1) }, Register([now, now, 0, 0, 0]));
        let all: Vec<_> = (1..=MOST / 2 + 1).flat_map(|number| [cooldown(number), seen(number)]).collect();
        let all: Vec<_> = all.into_iter().chain([order.clone()]).collect();
        let key = crate::key::ApiKey::new("sk-one").unwrap();
        let pool = KeyPool::builder(Provider::openai()).key(key).build().unwrap();
        pool.merge_stored(all.clone());
        assert!(pool.useless(all).is_empty(), "they are of use to pools with these keys");
        for _ in 0..2 {
            let state = pool.export();
            assert!(state.len() < 10 && state.registers.contains_key(&order.0), "{}", state.len());
        }
    }
}
