//! One key of a pool: its settings, and its state.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::HeaderValue;

use crate::clock::{Moment, Timestamp};
use crate::key::{ApiKey, KeyId};
use crate::limits::Ledger;
use crate::pool::keys::account::Membership;
use crate::pool::keys::last_check::LastCheck;
use crate::pool::keys::standing::LastSuccess;
use crate::pool::keys::stats::Stats;
use crate::pool::keys::usage::UsageCounters;
use crate::pool::scope::slot::Slot;
use crate::sync::{AtomicU64, Ordering};

/// A key of one key set: the settings, which never change, and the state, which it shares with the same key
/// of other sets. A clone is a handle to the same state.
#[derive(Clone)]
pub(in crate::pool) struct Key {
    pub(in crate::pool) id: KeyId,
    /// The key as it was given to the pool: its secret and its settings.
    pub(in crate::pool) spec: ApiKey,
    pub(in crate::pool) header: HeaderValue,
    /// The limits that are declared for this key alone and apply to every model.
    pub(in crate::pool) ledger: Option<Arc<Ledger>>,
    pub(in crate::pool) state: Arc<KeyState>,
}

/// The state of a key. It stays the same object for as long as the key has the same secret and account.
pub(in crate::pool) struct KeyState {
    pub(in crate::pool) account: Membership,
    /// The time since which an operator has disabled the key, in milliseconds since the Unix epoch; zero
    /// means enabled. [`REMOVED`] is final.
    disabled: AtomicU64,
    /// Whether the end of its last request is to be announced.
    is_draining: AtomicBool,
    pub(in crate::pool) slot: Slot,
    pub(in crate::pool) stats: Stats,
    pub(in crate::pool) served: LastSuccess,
    pub(in crate::pool) last_check: LastCheck,
    /// Usage of the responses to its requests.
    pub(in crate::pool) usage_counters: UsageCounters,
}

/// The value of a key that was removed from its pool.
const REMOVED: u64 = u64::MAX;

// === impl Key ===

impl Deref for Key {
    type Target = KeyState;

    fn deref(&self) -> &KeyState {
        &self.state
    }
}

// === impl KeyState ===

impl KeyState {
    /// Creates the state of a key that was never used. `home` is the number of its account.
    pub(in crate::pool) fn new(home: usize) -> Self {
        Self {
            account: Membership::new(home),
            disabled: 0.into(),
            is_draining: false.into(),
            slot: Slot::default(),
            stats: Stats::default(),
            served: LastSuccess::default(),
            last_check: LastCheck::default(),
            usage_counters: UsageCounters::default(),
        }
    }

    /// Records that the key has served a request that was sent at `sent`.
    pub(in crate::pool) fn succeeded(&self, sent: Moment, now: Timestamp) {
        self.stats.succeeded();
        self.served.set(sent.as_unix_ms(), now.as_unix_ms());
    }

    /// Returns whether no request may use the key: an operator has disabled or removed it.
    ///
    /// A request is counted before it asks this, and who waits for the last request disables the key before
    /// it asks for the count. So one of the two sees the other, because all four are sequentially consistent.
    pub(in crate::pool) fn is_disabled(&self) -> bool {
        self.disabled_since() != 0
    }

    pub(in crate::pool) fn is_removed(&self) -> bool {
        self.disabled_since() == REMOVED
    }

    pub(in crate::pool) fn disabled_since(&self) -> u64 {
        self.disabled.load(Ordering::SeqCst)
    }

    pub(in crate::pool) fn set_disabled(&self, disabled: bool, now: u64) {
        // A key that is disabled already keeps the time since which it is, and one that is removed stays so.
        let _ = self.disabled.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |since| match since {
            REMOVED => None,
            0 if disabled => Some(now.clamp(1, REMOVED - 1)),
            _ if disabled => None,
            _ => Some(0),
        });
        if !disabled {
            self.is_draining.store(false, Ordering::Release);
        }
    }

    /// Takes the key out of use for ever.
    pub(in crate::pool) fn remove(&self) {
        self.disabled.store(REMOVED, Ordering::SeqCst);
    }

    /// Asks for an announcement when the last request has ended. The key is disabled or removed.
    pub(in crate::pool) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    /// Returns whether the last request of a key that is drained has ended and that was not announced yet.
    pub(in crate::pool) fn is_drained_now(&self) -> bool {
        self.stats.in_flight() == 0 && self.is_draining.swap(false, Ordering::AcqRel)
    }
}
