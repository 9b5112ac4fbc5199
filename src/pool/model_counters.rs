//! What is counted of limits that are declared for models.
//!
//! Callers choose the names of models, and a name more must not bring an allowance more than it is declared to.
//! So what is counted has a life of its own, apart from the lane of a model, which comes and goes with its
//! cooldowns:
//!
//! - Patterns take upper and lower case alike, so names that differ in nothing else are counted together.
//! - Nothing goes while something is counted of it or a request is under way: what goes is full again.
//! - Beyond the cap (256 names unless [`max_models`](super::KeyPoolBuilder::max_models) says otherwise), new names are
//!   counted together with all others that match the same patterns. Of such groups there are at most as many again;
//!   names beyond those count against all limits that are declared for any model.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::clock::Moment;
use crate::limits::Ledger;
use crate::provider::ModelId;

/// The limits of one model, or of a group of them.
pub(super) struct ModelLedgers {
    /// By account; each made when the first is known.
    pub(super) accounts: Box<[OnceLock<Box<Ledger>>]>,
    /// Limits declared for single keys; empty if there are none.
    pub(super) keys: Box<[Option<Box<Ledger>>]>,
}

/// The numbers of patterns, in rising order.
pub(super) type Patterns = Box<[usize]>;

pub(super) struct ModelCounters {
    counted: Mutex<Counted>,
    cap: usize,
}

#[derive(Default)]
struct Counted {
    /// At most `cap`; names in lower case.
    names: HashMap<Box<str>, Arc<ModelLedgers>>,
    /// At most `cap`, and one more, which has all patterns.
    groups: HashMap<Patterns, Arc<ModelLedgers>>,
    /// When it is worth looking again for names of which nothing is counted, in milliseconds since the Unix epoch.
    next_look: u64,
}

/// Looking through all names takes a while, so callers can't have it done more often.
const LOOK_EVERY_MS: u64 = 1_000;

// === impl ModelCounters ===

impl ModelCounters {
    pub(super) fn new(cap: usize) -> Self {
        Self { counted: Mutex::default(), cap }
    }

    /// The ledgers of a model that matches some patterns, of `all`; made for patterns if need be. Where that needs room,
    /// `let_go` drops the lanes of models that nothing is known of.
    pub(super) fn of(
        &self,
        model: &ModelId,
        (matched, all): (Patterns, usize),
        now: Moment,
        let_go: impl FnOnce(),
        make: impl FnOnce(&[usize]) -> ModelLedgers,
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
            let ledgers = Arc::new(make(&matched));
            counted.names.insert(name, Arc::clone(&ledgers));
            return ledgers;
        }
        let is_full = counted.groups.len() >= self.cap && !counted.groups.contains_key(&matched);
        let group = if is_full { (0..all).collect() } else { matched };
        let made = || Arc::new(make(&group));
        Arc::clone(counted.groups.entry(group.clone()).or_insert_with(made))
    }
}

impl Counted {
    /// Forgets the names of which nothing is counted now.
    fn forget_idle(&mut self, now: Moment, let_go: impl FnOnce()) {
        if now.as_unix_ms() < self.next_look {
            return;
        }
        self.next_look = now.as_unix_ms().saturating_add(LOOK_EVERY_MS);
        let_go();
        // A lane that has it may count more.
        let is_idle =
            |ledgers: &Arc<ModelLedgers>| Arc::strong_count(ledgers) == 1 && ledgers.is_untouched(now);
        self.names.retain(|_, ledgers| !is_idle(ledgers));
    }
}

// === impl ModelLedgers ===

impl ModelLedgers {
    pub(super) fn is_untouched(&self, now: Moment) -> bool {
        let of_accounts = self.accounts.iter().filter_map(OnceLock::get);
        of_accounts.chain(self.keys.iter().flatten()).all(|ledger| ledger.is_untouched(now))
    }
}
