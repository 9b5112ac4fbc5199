//! Where a request and a key meet: the levels whose leave it takes, and what is known of each.

use super::key_set::{Key, KeySet};
use super::lane::{Bar, Lane, only};
use super::models::ModelLane;
use super::slot::{Slot, State};
use crate::limits::Ledger;

/// The four things a lease needs leave of, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Key = 0,
    Account = 1,
    KeyModel = 2,
    AccountModel = 3,
}

/// What stands between a key and a request: the slots of the four levels.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) set: &'a KeySet,
    pub(super) model: Option<&'a ModelLane>,
    pub(super) key: usize,
    /// The key's account when the question was asked; it may move at any time.
    pub(super) account: usize,
}

// === impl Level ===

impl Level {
    pub(super) const ALL: [Self; 4] = [Self::Key, Self::Account, Self::KeyModel, Self::AccountModel];
    /// What concerns the key whatever the model.
    pub(super) const OF_KEY: [Self; 2] = [Self::Key, Self::Account];

    pub(super) const OF_MODEL: [Self; 2] = [Self::KeyModel, Self::AccountModel];

    pub(super) const OF_ACCOUNT: [Self; 2] = [Self::Account, Self::AccountModel];

    pub(super) const fn is_model(self) -> bool {
        matches!(self, Self::KeyModel | Self::AccountModel)
    }
}

// === impl Place ===

impl<'a> Place<'a> {
    pub(super) fn new(set: &'a KeySet, model: Option<&'a ModelLane>, key: usize) -> Self {
        Self { set, model, key, account: set.keys[key].account.present() }
    }

    pub(super) fn key(self) -> &'a Key {
        &self.set.keys[self.key]
    }

    /// The levels that a request has to do with: those of models only where the model is a matter.
    pub(super) const fn levels(self) -> &'static [Level] {
        if self.model.is_some() { &Level::ALL } else { &Level::OF_KEY }
    }

    /// The slot of a level; `None` where no model has ever been a matter.
    pub(super) fn slot(self, level: Level) -> Option<&'a Slot> {
        match level {
            Level::Key => Some(&self.key().slot),
            Level::Account => Some(&self.set.accounts[self.account].slot),
            Level::KeyModel => self.model.map(|model| &model.keys[self.key]),
            Level::AccountModel => self.model.map(|model| &model.accounts[self.account]),
        }
    }

    pub(super) fn state(self, level: Level) -> State {
        self.slot(level).map_or_else(State::default, Slot::state)
    }

    /// What is known of a level's limits; `None` where nothing is.
    pub(super) fn ledger(self, level: Level) -> Option<&'a Ledger> {
        match level {
            Level::Key => self.key().ledger.as_deref(),
            Level::Account => self.set.accounts[self.account].ledger.get().map(|ledger| &**ledger),
            Level::KeyModel => self.model?.ledgers.keys.get(self.key)?.as_deref(),
            Level::AccountModel => self.model?.ledgers.accounts[self.account].get().map(|ledger| &**ledger),
        }
    }

    /// Those of all levels, as far as there are any.
    pub(super) fn ledgers(self) -> impl Iterator<Item = (Level, &'a Ledger)> {
        self.levels().iter().filter_map(move |&level| Some((level, self.ledger(level)?)))
    }

    /// Whether no level refuses the key, as far as can be told without asking for leave.
    pub(super) fn is_open(self, now: u64) -> bool {
        let open = |level: &Level| self.bar(*level, now) == Bar::Open;
        !self.key().is_disabled() && Level::ALL.iter().all(open)
    }

    /// What closes a level to every request.
    pub(super) fn bar(self, level: Level, now: u64) -> Bar {
        let benched = self.slot(level).map_or(Bar::Open, |slot| slot.bar(now));
        benched.max(self.limit(level))
    }

    /// Brings the lane in line with a level.
    pub(super) fn follow(self, level: Level, now: u64) {
        let bar = || self.bar(level, now);
        match (level, self.model) {
            (Level::Key, _) => self.follow_key(now),
            (Level::Account, _) => self.follow_account(&self.set.lane, bar),
            (Level::KeyModel, Some(model)) => model.bits.follow(bar, &only(self.key)),
            (Level::AccountModel, Some(model)) => self.follow_account(&model.bits, bar),
            (Level::KeyModel | Level::AccountModel, None) => {}
        }
    }

    /// Whether the lane shows all keys of the account.
    pub(super) fn shows_account(self) -> bool {
        let lane = self.model.map_or(&self.set.lane, |model| &model.bits);
        self.set.accounts[self.account].with_members(self.key, |members| lane.shows(members))
    }
}

impl Place<'_> {
    /// Looks at the switch again after closing, because an operator who turned it meanwhile has opened
    /// the bit already.
    fn follow_key(self, now: u64) {
        if self.key().is_disabled() {
            self.set.lane.close(&only(self.key), None);
        }
        if !self.key().is_disabled() {
            self.set.lane.follow(|| self.bar(Level::Key, now), &only(self.key));
        }
    }

    fn follow_account(self, lane: &Lane, bar: impl Fn() -> Bar) {
        let account = &self.set.accounts[self.account];
        account.with_members(self.key, |members| lane.follow(bar, members));
    }
}
