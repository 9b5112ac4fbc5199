//! Counts of limits that are declared for models.
//!
//! Callers choose the names of models, and an additional name must not bring a larger allowance than
//! declared. So these counts have a lifetime of their own, apart from the lane of a model, which comes and
//! goes with its cooldowns:
//!
//! - Patterns ignore the case of names, so names that differ only in case are counted together.
//! - Counts are kept while anything is counted or a request is in flight: counts that are dropped equal fresh
//!   ones.
//! - Beyond the cap (256 names by default, see [`max_models`](crate::pool::KeyPoolBuilder::max_models)), new names
//!   are counted together with all others that match the same patterns. There are at most as many such groups
//!   again; names beyond those count against all limits that are declared for any model.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::clock::Moment;
use crate::limits::Ledger;
use crate::pool::scope::growing::Growing;
use crate::provider::ModelId;

/// The limits of one model, or of a group of models.
pub(in crate::pool) struct ModelLedgers {
    /// The ledgers by account. Each is created with its first known limit.
    pub(in crate::pool) accounts: Growing<OnceLock<Box<Ledger>>>,
    /// The ledgers of limits declared for single keys. Empty if there are none.
    pub(in crate::pool) keys: Growing<OnceLock<Box<Ledger>>>,
    /// The patterns of a group; `None` for the ledgers of one model.
    pub(in crate::pool) group: Option<Patterns>,
}

/// Numbers of patterns, in ascending order.
pub(in crate::pool) type Patterns = Box<[usize]>;

pub(in crate::pool) struct ModelCounters {
    counted: Mutex<CountersByName>,
    cap: usize,
}

#[derive(Default)]
struct CountersByName {
    /// The ledgers by name, in lower case; at most `cap`.
    names: HashMap<Box<str>, Arc<ModelLedgers>>,
    /// The ledgers by group of patterns; at most `cap`, plus one that has all patterns.
    groups: HashMap<Patterns, Arc<ModelLedgers>>,
    /// The time at which the next search for unused names may run, in milliseconds since the Unix epoch.
    next_look: u64,
}

/// Minimum time between two searches for unused names. A search reads all names, and callers must not trigger
/// it more often.
const LOOK_EVERY_MS: u64 = 1_000;

// === impl ModelCounters ===

impl ModelCounters {
    pub(in crate::pool) fn new(cap: usize) -> Self {
        Self { counted: Mutex::default(), cap }
    }

    /// Returns the ledgers of a model that matches the patterns `matched`, out of `all`. Creates them with
    /// `make` if they do not exist: those of the model, or of a group of patterns. If that needs room, `let_go` drops the lanes of models without any state.
    pub(in crate::pool) fn of(
        &self,
        model: &ModelId,
        (matched, all): (Patterns, usize),
        now: Moment,
        let_go: impl FnOnce(),
        make: impl FnOnce(Option<&Patterns>) -> ModelLedgers,
    ) -> Arc<ModelLedgers> {
        let counted = &mut *self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let name = model.as_str().to_ascii_lowercase().into_boxed_str();
        if let Some(known) = counted.names.get(&name) {
            return Arc::clone(known);
        }
        if counted.names.len() >= self.cap {
            counted.forget_idle(now, let_go);
        }
        if counted.names.len() < self.cap {
            let ledgers = Arc::new(make(None));
            counted.names.insert(name, Arc::clone(&ledgers));
            return ledgers;
        }
        let is_full = counted.groups.len() >= self.cap && !counted.groups.contains_key(&matched);
        let group = if is_full { (0..all).collect() } else { matched };
        let made = || Arc::new(make(Some(&group)));
        Arc::clone(counted.groups.entry(group.clone()).or_insert_with(made))
    }

    /// Passes all ledgers to `visit`, with the name of their model in lower case; `None` for those of a group.
    /// None is created meanwhile.
    pub(in crate::pool) fn for_each(&self, mut visit: impl FnMut(Option<&str>, &ModelLedgers)) {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.all().for_each(|(name, ledgers)| visit(name, ledgers));
    }
}

impl CountersByName {
    /// Returns the ledgers of all names and groups. A name is in lower case.
    fn all(&self) -> impl Iterator<Item = (Option<&str>, &ModelLedgers)> {
        let names = self.names.iter().map(|(name, ledgers)| (Some(&**name), &**ledgers));
        names.chain(self.groups.values().map(|ledgers| (None, &**ledgers)))
    }

    /// Forgets the names with nothing counted now.
    fn forget_idle(&mut self, now: Moment, let_go: impl FnOnce()) {
        if now.as_unix_ms() < self.next_look {
            return;
        }
        self.next_look = now.as_unix_ms().saturating_add(LOOK_EVERY_MS);
        let_go();
        // A lane that holds the ledgers may count more.
        let is_idle =
            |ledgers: &Arc<ModelLedgers>| Arc::strong_count(ledgers) == 1 && ledgers.is_untouched(now);
        self.names.retain(|_, ledgers| !is_idle(ledgers));
    }
}

// === impl ModelLedgers ===

impl ModelLedgers {
    /// Creates the ledgers of this number of accounts, without any limit.
    pub(in crate::pool) fn new(accounts: usize, group: Option<Patterns>) -> Self {
        Self { accounts: Growing::new(accounts), keys: Growing::new(0), group }
    }

    pub(in crate::pool) fn is_untouched(&self, now: Moment) -> bool {
        self.all().all(|ledger| ledger.is_untouched(now))
    }

    /// Returns the ledgers of accounts and of keys.
    pub(in crate::pool) fn all(&self) -> impl Iterator<Item = &Ledger> {
        let of_accounts = self.accounts.iter().filter_map(OnceLock::get);
        of_accounts.chain(self.keys.iter().filter_map(OnceLock::get)).map(|ledger| &**ledger)
    }
}
