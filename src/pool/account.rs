//! Which keys share an account.
//!
//! Each key has a home: the account that was declared for it, or one of its own. A key that nobody declared
//! anything for may move, when its answers name an account that other keys' answers name too; it lives then
//! where they do (see `learn`). Who stands between a key and a request is always told by one number, read
//! once for each question.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

use super::lane::{Group, group, only};
use super::slot::Slot;
use crate::key::AccountId;
use crate::limits::Ledger;
use crate::provider::AccountFingerprint;

pub(super) struct Account {
    /// `None`: nobody declared one, it is the home of a single key.
    pub(super) id: Option<AccountId>,
    pub(super) slot: Slot,
    /// Limits that concern no single model; made when the first is known.
    pub(super) ledger: OnceLock<Box<Ledger>>,
    /// The keys that share it. `None`: none but the key whose home it is, and none other ever has; it never
    /// becomes `None` again, so that whoever comes late for a key that has moved finds the truth.
    members: ArcSwapOption<Box<[Group]>>,
}

/// The account of a key. All that changes does so under the lock of the set's `learning`.
pub(super) struct Membership {
    home: u32,
    /// Home, or where keys live that show the same identity.
    present: AtomicU32,
    /// The identity that its answers showed last; zero: none; [`WANDERER`](Self::WANDERER).
    identity: AtomicU64,
    /// How often that has changed; stops at [`MOVES`](Self::MOVES).
    moves: AtomicU32,
}

// === impl Account ===

impl Account {
    /// `members` in rising order.
    pub(super) fn new(id: Option<AccountId>, members: Vec<usize>, ledger: Option<Box<Ledger>>) -> Self {
        let shared = id.is_some() || members.len() != 1;
        let members = ArcSwapOption::from_pointee(shared.then(|| group(members)));
        let ledger = ledger.map_or_else(OnceLock::new, OnceLock::from);
        Self { id, slot: Slot::default(), ledger, members }
    }

    /// Shows the keys that share it; `asker` is one of them, or was.
    pub(super) fn with_members<T>(&self, asker: usize, look: impl FnOnce(&[Group]) -> T) -> T {
        match &*self.members.load() {
            Some(members) => look(members),
            None => look(&only(asker)),
        }
    }

    /// `members` in rising order.
    pub(super) fn set_members(&self, members: impl IntoIterator<Item = usize>) {
        self.members.store(Some(Arc::new(group(members))));
    }
}

// === impl Membership ===

impl Membership {
    /// The identity of a key that has shown too many: its callers name an account in each request, so that
    /// the key has none.
    pub(super) const WANDERER: u64 = u64::MAX;

    /// How many identities in a row are believed.
    const MOVES: u32 = 4;

    pub(super) fn new(home: usize) -> Self {
        let home = home as u32;
        Self { home, present: home.into(), identity: 0.into(), moves: 0.into() }
    }

    pub(super) const fn home(&self) -> usize {
        self.home as usize
    }

    pub(super) fn present(&self) -> usize {
        self.present.load(Ordering::Acquire) as usize
    }

    pub(super) fn move_to(&self, account: usize) {
        self.present.store(account as u32, Ordering::Release);
    }

    /// The account that its answers have shown, unless that is nothing.
    pub(super) fn shown(&self) -> Option<usize> {
        (self.identity() != 0).then(|| self.present())
    }

    pub(super) fn identity(&self) -> u64 {
        self.identity.load(Ordering::Relaxed)
    }

    /// Whether an answer's identity changes what is known.
    pub(super) fn is_news(&self, shown: AccountFingerprint) -> bool {
        let known = self.identity();
        !shown.agrees_with(known) && known != Self::WANDERER
    }

    /// Takes down what an answer showed. Returns what was known before and what is known now.
    pub(super) fn note(&self, shown: AccountFingerprint) -> (u64, u64) {
        let moves = self.moves.load(Ordering::Relaxed);
        let now = if moves < Self::MOVES { shown.as_u64() } else { Self::WANDERER };
        self.moves.store(moves.saturating_add(1), Ordering::Relaxed);
        (self.identity.swap(now, Ordering::Relaxed), now)
    }
}
