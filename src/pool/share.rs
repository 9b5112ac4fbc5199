//! The state of a pool that outlives the process and spreads to others: export, merge, and the notes that
//! operations leave in it.

use std::sync::{Arc, MutexGuard, PoisonError};

use crate::clock::Moment;
use crate::pool::KeyPool;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::FOREVER;
use crate::pool::state::adopt::{adopt, meet};
use crate::pool::state::adoption::Raised;
use crate::pool::state::document::{OtherProvider, PoolState};
use crate::pool::state::field::Field;
use crate::pool::state::observe::observe;
use crate::pool::state::orders::Orders;
use crate::pool::state::owner::Owner;
use crate::pool::state::present::Present;
use crate::pool::state::prune::prune;
use crate::pool::state::register::{Register, SavedOrder, Switch};
use crate::pool::state::replica::Replica;
use crate::provider::ModelId;

/// See [`KeyPool::export`].
pub(in crate::pool) fn export(pool: &KeyPool) -> PoolState {
    let set = pool.0.set.load_full();
    let replica = &mut *locked(pool);
    let at = refresh(replica, &set);
    PoolState { provider: pool.provider().name().to_owned(), at, registers: replica.known.clone() }
}

/// See [`KeyPool::merge`].
pub(in crate::pool) fn merge(pool: &KeyPool, state: PoolState) -> Result<(), OtherProvider> {
    state.check(pool.provider().name())?;
    let now = {
        let replica = &mut *locked(pool);
        replica.follow_clock();
        replica.clock.to_wall(Moment::now().as_unix_ms())
    };
    let ahead = if state.at > now.saturating_add(SKEW_MS) { state.at - now } else { 0 };
    let registers = state.registers.into_iter();
    merge_registers(pool, registers.map(|(field, register)| earlier(field, register, ahead)), |_, _| {});
    Ok(())
}

/// Merges registers, and applies those that are news. Passes each of those to `note`.
pub(in crate::pool) fn merge_registers(
    pool: &KeyPool,
    registers: impl IntoIterator<Item = (Field, Register)>,
    note: impl Fn(&mut Replica, &Field),
) {
    let set = pool.0.set.load_full();
    let orders = adopt_registers(pool, &set, registers, note);
    orders.announce(&set);
}

fn adopt_registers(
    pool: &KeyPool,
    set: &Arc<KeySet>,
    registers: impl IntoIterator<Item = (Field, Register)>,
    note: impl Fn(&mut Replica, &Field),
) -> Orders {
    let (replica, now) = (&mut *locked(pool), Moment::now());
    // What has happened here since the last look comes first, so that it is compared with the news.
    let present = look(replica, set, now);
    let raised = registers.into_iter().filter_map(|(field, after)| {
        let before = replica.raise(&field, after)?;
        note(replica, &field);
        Some(Raised { field, before, after })
    });
    let news: Vec<_> = raised.collect();
    if !news.is_empty() {
        replica.pruned_in = None;
    }
    adopt(replica, set, &present, news, now)
}

/// Notes that an operator has reset keys.
pub(in crate::pool) fn note_reset(pool: &KeyPool, set: &Arc<KeySet>, keys: impl IntoIterator<Item = usize>) {
    let (replica, now) = (&mut *locked(pool), Moment::now());
    let present = meet(replica, set, now);
    for key in keys {
        let candidate = Candidate::new(set, None, key);
        for owner in Level::OF_KEY.into_iter().filter_map(|level| present.owner(candidate, level)) {
            replica.stamp(&Field::Reset { owner }, now.into(), [0, 0]);
        }
    }
}

/// Notes that an operator has reset the counts of a key.
pub(in crate::pool) fn note_recount(pool: &KeyPool, set: &Arc<KeySet>, key: usize, model: Option<&ModelId>) {
    let (replica, now) = (&mut *locked(pool), Moment::now());
    let (present, candidate) = (meet(replica, set, now), Candidate::new(set, None, key));
    let model = model.map(|model| ModelId::from(model.as_str().to_ascii_lowercase()));
    for owner in Level::OF_KEY.into_iter().filter_map(|level| present.owner(candidate, level)) {
        replica.stamp(&Field::Recount { owner, model: model.clone() }, now.into(), [0, 0]);
    }
}

/// Disables, drains or enables a key for an operator, and notes it. News of another process comes before both or after
/// both, so that the key does as its register says.
pub(in crate::pool) fn switch_key(
    pool: &KeyPool,
    set: &Arc<KeySet>,
    candidate: Candidate<'_>,
    switch: Switch,
) {
    let (replica, now) = (&mut *locked(pool), Moment::now());
    let present = meet(replica, set, now);
    candidate.key().set_disabled(switch != Switch::Enabled, now.as_unix_ms());
    if let Some(Owner::Key(key)) = present.owner(candidate, Level::Key) {
        let since = replica.clock.to_wall(now.as_unix_ms());
        let numbers = match switch {
            Switch::Enabled => [0, 0],
            Switch::Disabled => [since, 0],
            Switch::Drained => [since, 1],
        };
        replica.stamp(&Field::Disabled { key }, now.into(), numbers);
    }
}

/// Notes that an operator has ordered a cooldown of a key until `until`, for one model or for all.
pub(in crate::pool) fn note_forced(
    pool: &KeyPool,
    set: &Arc<KeySet>,
    candidate: Candidate<'_>,
    model: Option<ModelId>,
    until: u64,
) {
    let (replica, now) = (&mut *locked(pool), Moment::now());
    let present = meet(replica, set, now);
    if let Some(owner @ Owner::Key(key)) = present.owner(candidate, Level::Key) {
        replica.follow_clock();
        let field = Field::Forced { key, model };
        let generation = SavedOrder::from(replica.get(&field)).generation.max(replica.reset_of(&owner));
        let [until, since] = [until, now.as_unix_ms()].map(|time| replica.clock.to_wall(time));
        replica.raise(&field, SavedOrder { generation, until, since }.into());
    }
}

/// Locks the state as exported or merged last.
pub(in crate::pool) fn locked(pool: &KeyPool) -> MutexGuard<'_, Replica> {
    pool.0.replica.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Maximum difference of two wall clocks that is not corrected: 5 s.
const SKEW_MS: u64 = 5_000;

/// Brings the registers in line with the pool, and forgets those of no use. Returns the time of the wall clock.
pub(in crate::pool) fn refresh(replica: &mut Replica, set: &Arc<KeySet>) -> u64 {
    let now = Moment::now();
    let present = look(replica, set, now);
    let now = replica.clock.to_wall(now.as_unix_ms());
    prune(replica, &present, now);
    now
}

/// Brings the registers in line with the pool. Returns the names of its keys and accounts.
pub(in crate::pool) fn look(replica: &mut Replica, set: &Arc<KeySet>, now: Moment) -> Arc<Present> {
    replica.follow_clock();
    let present = meet(replica, set, now);
    observe(replica, set, &present, now);
    present
}

/// Moves the end of a cooldown to the past. A state from the future was exported before the wall clock was
/// set back, so its cooldowns would last longer than they were meant to.
fn earlier(field: Field, Register(mut numbers): Register, by: u64) -> (Field, Register) {
    if let (Field::Cooldown { .. } | Field::Forced { .. }, [_, until, ..]) = (&field, &mut numbers)
        && *until < FOREVER
    {
        *until = until.saturating_sub(by);
    }
    (field, Register(numbers))
}
