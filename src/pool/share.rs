//! The state of a pool that outlives the process and spreads to others: export, merge, and the notes that
//! operations leave in it.

use std::sync::{Arc, MutexGuard, PoisonError};

use crate::clock::Moment;
use crate::pool::KeyPool;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::FOREVER;
use crate::pool::state::adopt::{Raised, adopt, meet};
use crate::pool::state::document::{OtherProvider, PoolState};
use crate::pool::state::field::Field;
use crate::pool::state::observe::observe;
use crate::pool::state::owner::Owner;
use crate::pool::state::present::Present;
use crate::pool::state::prune::prune;
use crate::pool::state::register::Register;
use crate::pool::state::replica::Replica;
use crate::provider::ModelId;

impl KeyPool {
    /// Returns the state of the pool that is worth keeping or sharing: cooldowns, invalid and disabled keys,
    /// learned accounts, and the counts of declared and learned limits. See [`PoolState`] for an example.
    ///
    /// It costs a look at every key and tracked model, and a copy of the state: call it every second, not for
    /// every request. Requests do not wait for it.
    pub fn export(&self) -> PoolState {
        let set = self.0.set.load_full();
        let replica = &mut *self.replica();
        let at = refresh(replica, &set);
        PoolState { provider: self.provider().name().to_owned(), at, registers: replica.known.clone() }
    }

    /// Takes over the state of another process or of an earlier run, as far as it is newer than the pool's
    /// own. Keys that the pool does not have are ignored, but their state is kept for a week.
    ///
    /// States may be merged in any order and repeatedly. The state of a pool of another provider changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// Returns [`OtherProvider`] if the state belongs to the pool of another provider.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_key_rotation::{ApiKey, KeyPool, Provider};
    ///
    /// let pool = || -> Result<_, Box<dyn std::error::Error>> {
    ///     Ok(KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?)
    /// };
    /// let (here, there) = (pool()?, pool()?);
    /// here.disable(&"one".into())?;
    /// there.merge(here.export())?;
    /// assert_eq!(there.usable(None), 0);
    ///
    /// there.enable(&"one".into())?;
    /// here.merge(there.export())?;
    /// assert_eq!(here.usable(None), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn merge(&self, state: PoolState) -> Result<(), OtherProvider> {
        state.check(self.provider().name())?;
        let mut ahead = 0;
        {
            let replica = &mut *self.replica();
            replica.clock.follow();
            let now = replica.clock.to_wall(Moment::now().as_unix_ms());
            ahead = if state.at > now.saturating_add(SKEW_MS) { state.at - now } else { ahead };
        }
        let registers = state.registers.into_iter();
        self.merge_registers(registers.map(|(field, register)| earlier(field, register, ahead)), |_, _| {});
        Ok(())
    }

    /// Merges registers, and applies those that are news. Passes each of those to `note`.
    fn merge_registers(
        &self,
        registers: impl IntoIterator<Item = (Field, Register)>,
        note: impl Fn(&mut Replica, &Field),
    ) {
        let set = self.0.set.load_full();
        let (replica, now) = (&mut *self.replica(), Moment::now());
        // What has happened here since the last look comes first, so that it is compared with the news.
        let present = look(replica, &set, now);
        let raised = registers.into_iter().filter_map(|(field, after)| {
            let before = replica.raise(&field, after)?;
            note(replica, &field);
            Some(Raised { field, before, after })
        });
        let news = raised.collect();
        adopt(replica, &set, &present, news, now);
    }

    /// Merges registers that a store holds already.
    #[cfg(feature = "redis")]
    pub(crate) fn merge_stored(&self, registers: impl IntoIterator<Item = (Field, Register)>) {
        self.merge_registers(registers, Replica::is_stored);
    }

    /// Returns the registers that have changed since the last call, or all of them after
    /// [`resend`](Self::resend).
    #[cfg(feature = "redis")]
    pub(crate) fn changed_registers(&self) -> Vec<(Field, Register)> {
        let set = self.0.set.load_full();
        let replica = &mut *self.replica();
        look(replica, &set, Moment::now());
        replica.take_changed()
    }

    /// Lets the next call of [`changed_registers`](Self::changed_registers) return all registers.
    #[cfg(feature = "redis")]
    pub(crate) fn resend(&self) {
        self.replica().resend();
    }

    /// Returns the registers among these that a pool would forget.
    #[cfg(feature = "redis")]
    pub(crate) fn useless(&self, mut registers: Vec<(Field, Register)>) -> Vec<(Field, Register)> {
        let set = self.0.set.load_full();
        let replica = &mut *self.replica();
        refresh(replica, &set);
        registers.retain(|(field, _)| !replica.known.contains_key(field));
        registers
    }

    /// Notes that an operator has reset keys.
    pub(in crate::pool) fn note_reset(&self, set: &Arc<KeySet>, keys: impl IntoIterator<Item = usize>) {
        let (replica, now) = (&mut *self.replica(), Moment::now());
        let present = meet(replica, set, now);
        for key in keys {
            let candidate = Candidate::new(set, None, key);
            for owner in Level::OF_KEY.into_iter().filter_map(|level| present.owner(candidate, level)) {
                replica.stamp(&Field::Reset { owner }, now.into(), 0);
            }
        }
    }

    /// Notes that an operator has reset the counts of a key.
    pub(in crate::pool) fn note_recount(&self, set: &Arc<KeySet>, key: usize, model: Option<&ModelId>) {
        let (replica, now) = (&mut *self.replica(), Moment::now());
        let (present, candidate) = (meet(replica, set, now), Candidate::new(set, None, key));
        let model = model.map(|model| ModelId::from(model.as_str().to_ascii_lowercase()));
        for owner in Level::OF_KEY.into_iter().filter_map(|level| present.owner(candidate, level)) {
            replica.stamp(&Field::Recount { owner, model: model.clone() }, now.into(), 0);
        }
    }

    /// Notes that an operator has disabled or enabled a key.
    pub(in crate::pool) fn note_disabled(&self, set: &Arc<KeySet>, key: usize, disabled: bool) {
        let (replica, now) = (&mut *self.replica(), Moment::now());
        let (present, candidate) = (meet(replica, set, now), Candidate::new(set, None, key));
        if let Some(Owner::Key(digest)) = present.owner(candidate, Level::Key) {
            let since = if disabled { replica.clock.to_wall(now.as_unix_ms()) } else { 0 };
            replica.stamp(&Field::Disabled { key: digest }, now.into(), since);
        }
    }

    fn replica(&self) -> MutexGuard<'_, Replica> {
        self.0.replica.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The difference of two clocks that is none of our business: 5 s.
const SKEW_MS: u64 = 5_000;

/// Brings the registers in line with the pool, and forgets those of no use. Returns the time of the wall clock.
fn refresh(replica: &mut Replica, set: &Arc<KeySet>) -> u64 {
    let now = Moment::now();
    let present = look(replica, set, now);
    let now = replica.clock.to_wall(now.as_unix_ms());
    prune(replica, &present, now);
    now
}

/// Brings the registers in line with the pool. Returns the names of its keys and accounts.
fn look(replica: &mut Replica, set: &Arc<KeySet>, now: Moment) -> Arc<Present> {
    replica.clock.follow();
    let present = meet(replica, set, now);
    observe(replica, set, &present, now);
    present
}

/// Moves the end of a cooldown to the past. A state from the future was exported before the wall clock was
/// set back, so its cooldowns would last longer than they were meant to.
fn earlier(field: Field, Register(mut numbers): Register, by: u64) -> (Field, Register) {
    if let (Field::Cooldown { .. }, [_, until, ..]) = (&field, &mut numbers)
        && *until < FOREVER
    {
        *until = until.saturating_sub(by);
    }
    (field, Register(numbers))
}
