//! Account learning: responses show which keys share an account.
//!
//! Ten undeclared keys of one organisation would be refused ten times for one limit. Some providers name the
//! organisation in their responses. Keys that show the same name share one account from then on. Every
//! cooldown of that account counts for all of them, and so does a cooldown that one of the keys had alone
//! before.
//!
//! Learning never overrules a declaration: a declared key stays in its account, whatever it shows. Undeclared
//! keys join the one declared account whose keys show the same identity. If keys of two declared accounts
//! show it, the split is intentional, and the undeclared keys stay apart. A key that later shows another name
//! has moved, and is moved. A key that changes repeatedly has no account of its own, and is left alone.
//!
//! Learning happens a few times in the life of a key, under a lock, and costs a look at every key. Each other
//! response costs one comparison.

use std::sync::PoisonError;

use crate::clock::Timestamp;
use crate::pool::keys::account::Membership;
use crate::pool::keys::candidate::Place;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelLane;
use crate::pool::scope::level::Level;
use crate::pool::scope::ready_bits::only;
use crate::pool::scope::slot::{Pass, Slot};
use crate::provider::AccountFingerprint;

impl KeySet {
    /// Records that a response counted the key for this account.
    pub(in crate::pool) fn learn(&self, key: usize, shown: AccountFingerprint) {
        if self.common.learn_accounts && self.keys[key].account.is_news(shown) {
            self.relearn(key, shown);
        }
    }

    #[cold]
    fn relearn(&self, key: usize, shown: AccountFingerprint) {
        let _one_at_a_time = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        let account = &self.keys[key].account;
        if !account.is_news(shown) {
            return;
        }
        let now = Timestamp::now().as_unix_ms();
        let (before, after) = account.note(shown);
        if !self.is_declared(key) {
            self.leave(key);
        }
        for identity in [before, after] {
            if identity != 0 && identity != Membership::WANDERER {
                self.gather(identity, now);
            }
        }
        self.common.freed.tell();
    }

    pub(in crate::pool) fn is_declared(&self, key: usize) -> bool {
        self.accounts[self.keys[key].account.home()].id.is_some()
    }

    /// Moves a key back to its home account. Cooldowns of the other account stay there.
    fn leave(&self, key: usize) {
        let account = &self.keys[key].account;
        let (from, home) = (account.present(), account.home());
        if from != home {
            self.settle(key, home);
            self.recount(from);
        }
    }

    /// Moves all undeclared keys that show an identity into one account.
    fn gather(&self, identity: u64, now: u64) {
        let showing = || (0..self.keys.len()).filter(|key| self.keys[*key].account.identity() == identity);
        let (declared, movable): (Vec<_>, Vec<_>) = showing().partition(|key| self.is_declared(*key));
        let Some(host) = self.host(&declared, &movable) else { return };
        for &key in movable.iter().filter(|key| self.keys[**key].account.present() != host) {
            let from = self.keys[key].account.present();
            self.carry(from, host, now);
            self.settle(key, host);
            self.recount(from);
        }
        // Without a move there is nothing to bring in line.
        if let Some(&key) = movable.first() {
            self.follow_everywhere(key, now);
        }
    }

    /// Returns the account for these keys: the account of the declared ones, or else the one in which the
    /// first of them lives that already lives with one of them.
    fn host(&self, declared: &[usize], movable: &[usize]) -> Option<usize> {
        let account = |key: &usize| &self.keys[*key].account;
        if let Some(first) = declared.first().map(|key| account(key).home())
            && declared.iter().all(|key| account(key).home() == first)
        {
            return Some(first);
        }
        let homes: Vec<_> = movable.iter().map(|key| account(key).home()).collect();
        let kept = movable.iter().map(|key| account(key).present()).find(|present| homes.contains(present));
        kept.or_else(|| homes.first().copied())
    }

    fn settle(&self, key: usize, account: usize) {
        let living = |other: &usize| self.keys[*other].account.present() == account || *other == key;
        // Members first: a reader that finds the key in the account finds it among the members, too.
        self.accounts[account].set_members((0..self.keys.len()).filter(living));
        self.keys[key].account.move_to(account);
        // The bits may be cleared for state that no longer concerns the key. The next search finds out.
        self.lane.open(&only(key));
        self.models.all().iter().for_each(|lane| lane.bits.open(&only(key)));
    }

    fn recount(&self, account: usize) {
        let living = |key: &usize| self.keys[*key].account.present() == account;
        self.accounts[account].set_members((0..self.keys.len()).filter(living));
    }

    /// Copies the present cooldowns of an account to another account.
    fn carry(&self, from: usize, to: usize, now: u64) {
        carry(&self.accounts[from].slot, &self.accounts[to].slot, now);
        for lane in self.models.all() {
            carry(&lane.accounts[from], &lane.accounts[to], now);
        }
    }

    fn follow_everywhere(&self, key: usize, now: u64) {
        Place::new(self, None, key).follow(Level::Account, now);
        let follow = |lane: &ModelLane| Place::new(self, Some(lane), key).follow(Level::AccountModel, now);
        self.models.all().iter().for_each(|lane| follow(lane));
    }
}

fn carry(from: &Slot, to: &Slot, now: u64) {
    let (from, known) = (from.state(), to.state());
    if let Some(cause) = from.cause.filter(|_| from.until > now.max(known.until)) {
        to.bench(Pass { epoch: known.epoch, ..Pass::default() }, cause, now, |_| from.until);
    }
}
