//! The keys of a pool and their state: an immutable list of mutable slots.
//!
//! The list is a snapshot that can be replaced as a whole; a lease keeps the one that it came from. Keys and
//! accounts are numbered. A key without a declared account has an account of its own, until its responses
//! show which keys it shares an account with.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderValue;

use crate::clock::{Moment, Timestamp};
use crate::key::{AccountId, KeyId, Secret, Tier};
use crate::limits::Ledger;
use crate::pool::keys::account::{Account, Membership};
use crate::pool::keys::common::Common;
use crate::pool::keys::model::ModelStates;
use crate::pool::keys::model_counters::ModelCounters;
use crate::pool::keys::quotas::Quotas;
use crate::pool::keys::rendezvous::Rendezvous;
use crate::pool::keys::standing::{FirstRefusals, LastSuccess};
use crate::pool::keys::stats::Stats;
use crate::pool::keys::tier::TierRing;
use crate::pool::keys::usage::UsageCounters;
use crate::pool::scope::queue::WaitQueues;
use crate::pool::scope::ready_bits::ReadyBits;
use crate::pool::scope::shared_limit::SharedLimitDetector;
use crate::pool::scope::slot::Slot;
use crate::provider::Limit;
use crate::sync::{AtomicU64, Ordering};

pub(crate) struct KeySet {
    pub(in crate::pool) common: Arc<Common>,
    pub(in crate::pool) keys: Box<[Key]>,
    pub(in crate::pool) accounts: Box<[Account]>,
    /// Held while the assignment of keys to accounts changes. No other code waits for it.
    pub(in crate::pool) learning: Mutex<()>,
    /// Held while a doubt about a key is raised or settled. No other code waits for it.
    provisionals: Mutex<FirstRefusals>,
    /// The ready bits for every model.
    pub(in crate::pool) model_state: ReadyBits,
    pub(in crate::pool) models: ModelStates,
    pub(in crate::pool) counters: ModelCounters,
    pub(in crate::pool) shared_limit: SharedLimitDetector,
    /// The queue of requests that wait for a key for any model.
    pub(in crate::pool) queues: WaitQueues,
    /// The keys by tier, primaries first.
    pub(in crate::pool) rings: [TierRing; 2],
    pub(in crate::pool) quotas: Quotas,
    /// Whether any known limit counts tokens. Once true, it stays true.
    counts_tokens: AtomicBool,
    /// The assignment of sessions to their home keys.
    pub(in crate::pool) rendezvous: Rendezvous,
}

pub(in crate::pool) struct Key {
    pub(in crate::pool) id: KeyId,
    pub(in crate::pool) secret: Secret,
    pub(in crate::pool) header: HeaderValue,
    pub(in crate::pool) account: Membership,
    pub(in crate::pool) tier: Tier,
    pub(in crate::pool) weight: NonZeroU32,
    /// The time since which an operator has disabled the key, in milliseconds since the Unix epoch; zero
    /// means enabled. Only an operator enables it again.
    pub(in crate::pool) disabled: AtomicU64,
    pub(in crate::pool) slot: Slot,
    pub(in crate::pool) stats: Stats,
    pub(in crate::pool) served: LastSuccess,
    /// Usage of the responses to its requests.
    pub(in crate::pool) usage_counters: UsageCounters,
    /// The limits that are declared for this key alone and apply to every model.
    pub(in crate::pool) ledger: Option<Box<Ledger>>,
}

// === impl Key ===

impl Key {
    /// Records that the key has served a request that was sent at `sent`.
    pub(in crate::pool) fn succeeded(&self, sent: Moment, now: Timestamp) {
        self.stats.succeeded();
        self.served.set(sent.as_unix_ms(), now.as_unix_ms());
    }

    pub(in crate::pool) fn is_disabled(&self) -> bool {
        self.disabled_since() != 0
    }

    pub(in crate::pool) fn disabled_since(&self) -> u64 {
        self.disabled.load(Ordering::Acquire)
    }

    pub(in crate::pool) fn set_disabled(&self, disabled: bool, now: u64) {
        if disabled {
            // A key that is disabled already keeps the time since which it is.
            let _ = self.disabled.compare_exchange(0, now.max(1), Ordering::AcqRel, Ordering::Acquire);
        } else {
            self.disabled.store(0, Ordering::Release);
        }
    }
}

// === impl KeySet ===

impl KeySet {
    /// Creates the set. `accounts` are numbered as in the keys; `models` is the maximum number of model
    /// lanes.
    pub(in crate::pool) fn new(
        common: Arc<Common>,
        keys: Vec<Key>,
        accounts: Vec<Option<AccountId>>,
        models: usize,
        quotas: Quotas,
    ) -> Self {
        let mut members = vec![Vec::new(); accounts.len()];
        for (index, key) in keys.iter().enumerate() {
            members[key.account.home()].push(index);
        }
        let accounts = accounts.into_iter().zip(members).map(|(id, members)| {
            let ledger = quotas.of_account(id.as_ref());
            Account::new(id, members, ledger)
        });
        Self {
            common,
            accounts: accounts.collect(),
            learning: Mutex::default(),
            provisionals: Mutex::default(),
            model_state: ReadyBits::new(keys.len()),
            models: ModelStates::new(models),
            counters: ModelCounters::new(models),
            shared_limit: SharedLimitDetector::new(keys.len()),
            queues: WaitQueues::default(),
            rings: [ring(&keys, Tier::Primary), ring(&keys, Tier::Backup)],
            counts_tokens: AtomicBool::new(quotas.count_tokens()),
            rendezvous: Rendezvous::new(keys.iter().map(|key| (&key.id, key.weight.get()))),
            keys: keys.into(),
            quotas,
        }
    }

    /// Returns whether any limit counts tokens.
    pub(in crate::pool) fn counts_tokens(&self) -> bool {
        self.counts_tokens.load(Ordering::Relaxed)
    }

    /// Records that these limits are known now.
    pub(in crate::pool) fn saw_limits(&self, limits: &[Limit]) {
        let of_tokens = |limit: &Limit| limit.dimension.is_tokens();
        if !self.counts_tokens() && limits.iter().any(of_tokens) {
            self.counts_tokens.store(true, Ordering::Relaxed);
        }
    }

    /// Returns the number of requests in flight with all keys together. It is the reference count of the set,
    /// because every request in flight holds the set, and a separate counter would be one more word that
    /// every thread writes to. Waiters hold the set too, and so does a cooldown that may be undone, so the
    /// number may be too high. The two that are subtracted are the pool and the caller.
    pub(in crate::pool) fn in_flight(self: &Arc<Self>) -> usize {
        Arc::strong_count(self).saturating_sub(2)
    }

    /// Returns whether the account of a key was declared.
    pub(in crate::pool) fn is_declared(&self, key: usize) -> bool {
        self.accounts[self.keys[key].account.home()].id.is_some()
    }

    /// Returns the keys of an account, of which `asker` is one.
    pub(in crate::pool) fn members(&self, account: usize, asker: usize) -> Vec<usize> {
        self.accounts[account].with_members(asker, |groups| {
            let of_word = |&(word, bits): &(usize, u64)| {
                let bit = move |bit: &usize| bits >> bit & 1 == 1;
                (0..u64::BITS as usize).filter(bit).map(move |bit| word * u64::BITS as usize + bit)
            };
            groups.iter().flat_map(of_word).collect()
        })
    }

    /// Locks the unconfirmed refusals of the keys.
    pub(in crate::pool) fn provisionals(&self) -> MutexGuard<'_, FirstRefusals> {
        self.provisionals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ring(keys: &[Key], tier: Tier) -> TierRing {
    let members = keys.iter().enumerate().filter(|(_, key)| key.tier == tier);
    TierRing::new(&members.map(|(index, key)| (index, key.weight.get())).collect::<Vec<_>>())
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;
    use crate::pool::scope::ready_bits::KeyBits;

    #[test]
    fn the_state_of_a_key_is_far_below_a_kilobyte() {
        // Size of the texts of name, secret, and header with their reference counts, if they are long.
        let texts = 3 * (16 + 200);
        let key = size_of::<Key>() + size_of::<Account>() + size_of::<KeyBits>() + size_of::<u32>();
        println!("{key} bytes a key, {} a key and model", 2 * size_of::<Slot>());
        assert!(key + texts <= 1_024, "{key} bytes");
    }
}
