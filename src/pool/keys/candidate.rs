//! A candidate: one key as seen by one request, with its state at each scope.

use crate::clock::Moment;
use crate::key::Tier;
use crate::limits::{Availability, Cost, Ledger};
use crate::pool::keys::key::Key;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::keys::probe_rounds::ScopeId;
use crate::pool::scope::level::Level;
use crate::pool::scope::ready_bits::{Bar, ReadyBits, only};
use crate::pool::scope::shared_limit::{CanaryGate, SharedLimitDetector};
use crate::pool::scope::slot::{Slot, State};
use crate::provider::ModelId;

/// One candidate key as seen by one request: its slots and limits at the four scopes.
#[derive(Clone, Copy)]
pub(in crate::pool) struct Candidate<'a> {
    pub(in crate::pool) set: &'a KeySet,
    pub(in crate::pool) model: Option<&'a ModelState>,
    pub(in crate::pool) key: usize,
    /// The key's account at the time of creation. The key may move to another account at any time.
    pub(in crate::pool) account: usize,
}

// === impl Candidate ===

impl<'a> Candidate<'a> {
    pub(in crate::pool) fn new(set: &'a KeySet, model: Option<&'a ModelState>, key: usize) -> Self {
        Self { set, model, key, account: set.present_account(key) }
    }

    pub(in crate::pool) fn key(self) -> &'a Key {
        &self.set.keys[self.key]
    }

    /// Returns the scopes that concern the request: those of a model only if the request has a model lane.
    pub(in crate::pool) const fn levels(self) -> &'static [Level] {
        if self.model.is_some() { &Level::ALL } else { &Level::OF_KEY }
    }

    /// Returns the slot of a scope; `None` for the scopes of a model without a model lane.
    pub(in crate::pool) fn slot(self, level: Level) -> Option<&'a Slot> {
        match level {
            Level::Key => Some(&self.key().slot),
            Level::Account => Some(&self.set.accounts[self.account].slot),
            Level::KeyModel => self.model.map(|model| model.keys.at(self.key)),
            Level::AccountModel => self.model.map(|model| model.accounts.at(self.account)),
        }
    }

    /// Returns the identity of a scope.
    pub(in crate::pool) fn scope_id(self, level: Level) -> ScopeId {
        let number = match level {
            Level::Key | Level::KeyModel => self.key,
            Level::Account | Level::AccountModel => self.account,
        };
        ScopeId { level, number, model: self.model_at(level) }
    }

    pub(in crate::pool) fn state(self, level: Level) -> State {
        self.slot(level).map_or_else(State::default, Slot::state)
    }

    /// Returns the known limits of a scope; `None` if there are none.
    pub(in crate::pool) fn ledger(self, level: Level) -> Option<&'a Ledger> {
        match level {
            Level::Key => self.key().ledger.as_deref(),
            Level::Account => self.set.accounts[self.account].ledger.get().map(|ledger| &**ledger),
            Level::KeyModel => self.model?.ledgers.keys.get(self.key)?.get().map(|ledger| &**ledger),
            Level::AccountModel => {
                self.model?.ledgers.accounts.get(self.account)?.get().map(|ledger| &**ledger)
            }
        }
    }

    /// Returns the known limits of all scopes.
    #[inline]
    pub(in crate::pool) fn ledgers(self) -> impl Iterator<Item = (Level, &'a Ledger)> {
        let levels = if self.is_unlimited() { &[] } else { self.levels() };
        levels.iter().filter_map(move |&level| Some((level, self.ledger(level)?)))
    }

    /// Returns whether no limit is known of a key and its account, for a request without a model lane. Most pools have
    /// no limits, and this look costs less than one at each scope.
    #[inline]
    pub(in crate::pool) fn is_unlimited(self) -> bool {
        let account = &self.set.accounts[self.account];
        self.model.is_none() && self.key().ledger.is_none() && account.ledger.get().is_none()
    }

    /// Returns the home scope: the scope whose ledger records the limits that responses report.
    pub(in crate::pool) const fn home(self) -> Level {
        if self.model.is_some() { Level::AccountModel } else { Level::Account }
    }

    /// Returns the ledger of the home scope. Creates it if it does not exist.
    pub(in crate::pool) fn learning(self) -> &'a Ledger {
        let ledgers = match self.model {
            Some(model) => model.ledgers.accounts.at(self.account),
            None => &self.set.accounts[self.account].ledger,
        };
        ledgers.get_or_init(Box::default)
    }

    /// Returns the model, for the scopes of a model.
    pub(in crate::pool) fn model_at(self, level: Level) -> Option<ModelId> {
        self.model.filter(|_| level.is_model()).map(|model_state| model_state.model.clone())
    }

    /// Returns whether no scope refuses the key, as far as that shows without asking for admission.
    pub(in crate::pool) fn is_open(self, now: u64) -> bool {
        let open = |level: &Level| self.bar(*level, now) == Bar::Open;
        !self.key().is_disabled() && Level::ALL.iter().all(open)
    }

    /// Returns the condition that closes a scope to every request.
    pub(in crate::pool) fn bar(self, level: Level, now: u64) -> Bar {
        let cooldown = self.slot(level).map_or(Bar::Open, |slot| slot.bar(now));
        cooldown.max(self.limit(level))
    }

    /// Returns the condition under which limits close a scope to every request.
    pub(in crate::pool) fn limit(self, level: Level) -> Bar {
        let Some(ledger) = self.ledger(level) else { return Bar::Open };
        let now = Moment::now();
        match ledger.availability(&Cost::LEAST, now) {
            Availability::At(at) if at <= now.as_unix_us() => Bar::Open,
            // Rounded down to milliseconds: a request that comes within that millisecond looks again.
            Availability::At(at) => Bar::Until(Moment::from_unix_us(at).as_unix_ms()),
            Availability::AfterAnother | Availability::Never => Bar::Shut,
        }
    }

    /// Returns the shared limit detectors that may hold the key back: for every model, and for its model.
    pub(in crate::pool) fn shared_limits(self) -> [Option<&'a SharedLimitDetector>; 2] {
        [Some(&self.set.common.shared_limit), self.model.map(|model| &model.shared_limit)]
    }

    /// Returns the gate that holds back the key; `None` for a key that is not held back.
    pub(in crate::pool) fn held(
        self,
        shared_limit: Option<&SharedLimitDetector>,
        now: u64,
    ) -> Option<CanaryGate> {
        let gate = shared_limit
            .filter(|shared_limit| shared_limit.is_holding() && self.is_unknown())?
            .gate(self.key, now);
        (gate != CanaryGate::Open).then_some(gate)
    }

    /// Returns whether the account of the key is unknown: neither declared nor shown by a response.
    pub(in crate::pool) fn is_unknown(self) -> bool {
        self.may_be_kin() && self.key().account.identity() == 0
    }

    /// Returns whether the key may turn out to share limits with others.
    pub(in crate::pool) fn may_be_kin(self) -> bool {
        let learns = self.set.common.learn_accounts;
        // Keys with base URLs of their own are refused by different resources.
        let spec = &self.key().spec;
        let is_here = spec.declared_tier() == Tier::Primary && spec.own_base_url().is_none();
        learns && is_here && !self.set.is_declared(self.key)
    }

    /// Brings the ready bits in line with a scope.
    pub(in crate::pool) fn sync(self, level: Level, now: u64) {
        let bar = || self.bar(level, now);
        match (level, self.model) {
            (Level::Key, _) => self.follow_key(now),
            (Level::Account, _) => self.follow_account(&self.set.common.bits, bar),
            (Level::KeyModel, Some(model)) => model.bits.sync(bar, &only(self.key)),
            (Level::AccountModel, Some(model)) => self.follow_account(&model.bits, bar),
            (Level::KeyModel | Level::AccountModel, None) => {}
        }
    }

    /// Returns whether the ready bits show all keys of the account.
    pub(in crate::pool) fn shows_account(self) -> bool {
        let model_state = self.model.map_or(&self.set.common.bits, |model| &model.bits);
        self.set.accounts[self.account].with_members(self.key, |members| model_state.shows(members))
    }

    /// Brings the bit of the key in line with its switch and its slot. Reads the switch again after clearing
    /// the bit, because an operator who enabled the key meanwhile has set the bit already.
    fn follow_key(self, now: u64) {
        if self.key().is_disabled() {
            self.set.common.bits.close(&only(self.key), None);
        }
        if !self.key().is_disabled() {
            self.set.common.bits.sync(|| self.bar(Level::Key, now), &only(self.key));
        }
    }

    fn follow_account(self, model_state: &ReadyBits, bar: impl Fn() -> Bar) {
        let account = &self.set.accounts[self.account];
        account.with_members(self.key, |members| model_state.sync(bar, members));
    }
}
