//! Accounts, and the keys that share them.
//!
//! Each key has a home: its declared account, or an account of its own. An undeclared key may move, when its
//! responses name an account that other keys' responses name too; it lives in the same account as those keys
//! then (see `learn`). The account of a key is always one number, which each request for a key reads once.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

use crate::key::AccountId;
use crate::limits::Ledger;
use crate::pool::scope::ready_bits::{KeyBits, group, only};
use crate::pool::scope::slot::Slot;
use crate::provider::AccountFingerprint;

pub(in crate::pool) struct Account {
    /// The declared name; `None` for the home of a single undeclared key.
    pub(in crate::pool) id: Option<AccountId>,
    pub(in crate::pool) slot: Slot,
    /// The limits that apply to every model. Created with the first known limit.
    pub(in crate::pool) ledger: OnceLock<Box<Ledger>>,
    /// The keys that share the account. `None` means only the key whose home it is, and that no other key
    /// ever lived here. It never becomes `None` again, so that a late reader that comes for a key that has
    /// moved finds the present members.
    members: ArcSwapOption<Box<[KeyBits]>>,
}

/// The account of a key. All changes happen under the lock `learning` of the key set.
pub(in crate::pool) struct Membership {
    home: u32,
    /// The present account: the home, or the account of the keys that show the same identity.
    present: AtomicU32,
    /// The identity that its responses showed last; zero means none. May be [`WANDERER`](Self::WANDERER).
    identity: AtomicU64,
    /// Number of changes of the identity, counted up to [`MOVES`](Self::MOVES).
    moves: AtomicU32,
}

// === impl Account ===

impl Account {
    /// Creates an account. `members` are in ascending order.
    pub(in crate::pool) fn new(
        id: Option<AccountId>,
        members: Vec<usize>,
        ledger: Option<Box<Ledger>>,
    ) -> Self {
        let shared = id.is_some() || members.len() != 1;
        let members = ArcSwapOption::from_pointee(shared.then(|| group(members)));
        let ledger = ledger.map_or_else(OnceLock::new, OnceLock::from);
        Self { id, slot: Slot::default(), ledger, members }
    }

    /// Passes the keys that share the account to `look`. `asker` is one of them, or was.
    pub(in crate::pool) fn with_members<T>(&self, asker: usize, look: impl FnOnce(&[KeyBits]) -> T) -> T {
        match &*self.members.load() {
            Some(members) => look(members),
            None => look(&only(asker)),
        }
    }

    /// Returns whether no other key ever lived here than the one whose home it is.
    pub(in crate::pool) fn is_private(&self) -> bool {
        self.members.load().is_none()
    }

    /// Sets the keys that share the account. `members` are in ascending order.
    pub(in crate::pool) fn set_members(&self, members: impl IntoIterator<Item = usize>) {
        self.members.store(Some(Arc::new(group(members))));
    }
}

// === impl Membership ===

impl Membership {
    /// The identity of a key that has shown too many identities. Its callers name an account in each request,
    /// so the key has none.
    pub(in crate::pool) const WANDERER: u64 = u64::MAX;

    /// Maximum number of identities that a key may show one after the other.
    const MOVES: u32 = 4;

    pub(in crate::pool) fn new(home: usize) -> Self {
        let home = home as u32;
        Self { home, present: home.into(), identity: 0.into(), moves: 0.into() }
    }

    pub(in crate::pool) const fn home(&self) -> usize {
        self.home as usize
    }

    pub(in crate::pool) fn present(&self) -> usize {
        self.present.load(Ordering::Acquire) as usize
    }

    pub(in crate::pool) fn move_to(&self, account: usize) {
        self.present.store(account as u32, Ordering::Release);
    }

    /// Returns the account that its responses have shown, if any.
    pub(in crate::pool) fn shown(&self) -> Option<usize> {
        (self.identity() != 0).then(|| self.present())
    }

    pub(in crate::pool) fn identity(&self) -> u64 {
        self.identity.load(Ordering::Relaxed)
    }

    /// Returns whether the identity in a response changes the known identity.
    pub(in crate::pool) fn is_news(&self, shown: AccountFingerprint) -> bool {
        let known = self.identity();
        !shown.agrees_with(known) && known != Self::WANDERER
    }

    /// Records the identity in a response. Returns the identity before and after.
    pub(in crate::pool) fn note(&self, shown: AccountFingerprint) -> (u64, u64) {
        let moves = self.moves.load(Ordering::Relaxed);
        let now = if moves < Self::MOVES { shown.as_u64() } else { Self::WANDERER };
        self.moves.store(moves.saturating_add(1), Ordering::Relaxed);
        (self.identity.swap(now, Ordering::Relaxed), now)
    }
}
