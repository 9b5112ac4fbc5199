//! Learning from answers which keys share an account.
//!
//! Ten keys of one organisation that nobody declared are refused ten times for one limit. Some providers
//! name the organisation in their answers; keys that show the same name live in one account from then on,
//! and whatever that account was benched for, or they alone before it was known, counts for all.
//!
//! What was declared is never overruled: a declared key stays where it is, whatever it shows. Keys that
//! nobody declared join the one declared account whose keys show what they show; if keys of two declared
//! accounts show it, somebody has split it with intent, and the others keep to themselves. A key that
//! shows another name later has moved and is moved; one that does so time and again has no account of its
//! own to speak of, and is left alone.
//!
//! This happens a few times in the life of a key, under a lock, and costs a look at every key. What happens
//! at each answer is one comparison.

use std::sync::PoisonError;

use super::account::Membership;
use super::key_set::KeySet;
use super::lane::only;
use super::models::ModelLane;
use super::place::{Level, Place};
use super::slot::{Pass, Slot};
use crate::clock::Timestamp;
use crate::provider::AccountFingerprint;

impl KeySet {
    /// An answer to a key was counted for this account.
    pub(super) fn learn(&self, key: usize, shown: AccountFingerprint) {
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

    pub(super) fn is_declared(&self, key: usize) -> bool {
        self.accounts[self.keys[key].account.home()].id.is_some()
    }

    /// Goes home, and leaves there what was benched elsewhere.
    fn leave(&self, key: usize) {
        let account = &self.keys[key].account;
        let (from, home) = (account.present(), account.home());
        if from != home {
            self.settle(key, home);
            self.recount(from);
        }
    }

    /// Brings together the undeclared keys that show an identity.
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
        // Where there was no move there is nothing to bring in line.
        if let Some(&key) = movable.first() {
            self.follow_everywhere(key, now);
        }
    }

    /// Where these keys live: with the declared ones, or where the first of them does that lives with one
    /// of them.
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
        // Members first: whoever finds the key in the account finds it among the members.
        self.accounts[account].set_members((0..self.keys.len()).filter(living));
        self.keys[key].account.move_to(account);
        // It may have been closed for what is none of its business now; that it is not is found by looking.
        self.lane.open(&only(key));
        self.models.all().iter().for_each(|lane| lane.bits.open(&only(key)));
    }

    fn recount(&self, account: usize) {
        let living = |key: &usize| self.keys[*key].account.present() == account;
        self.accounts[account].set_members((0..self.keys.len()).filter(living));
    }

    /// What an account is benched for now concerns another, too.
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
