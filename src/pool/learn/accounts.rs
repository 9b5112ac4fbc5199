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

use crate::clock::Timestamp;
use crate::pool::keys::account::Membership;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::scope::level::Level;
use crate::pool::scope::ready_bits::only;
use crate::pool::scope::slot::{Permit, Slot};
use crate::provider::AccountFingerprint;

/// Records that a response counted the key for this account.
pub(in crate::pool) fn learn(set: &KeySet, key: usize, shown: AccountFingerprint) {
    if set.common.learn_accounts && set.keys[key].account.is_news(shown) {
        relearn(set, key, shown);
    }
}

#[cold]
fn relearn(lease_set: &KeySet, key: usize, shown: AccountFingerprint) {
    let _one_at_a_time = lease_set.common.learning();
    lease_set.with_latest(|set| {
        // A key that was removed meanwhile has no account to move to.
        if set.agrees_with(lease_set, key) {
            move_key(set, key, shown);
        }
    });
}

fn move_key(set: &KeySet, key: usize, shown: AccountFingerprint) {
    let account = &set.keys[key].account;
    if !account.is_news(shown) {
        return;
    }
    let now = Timestamp::now().as_unix_ms();
    let (before, after) = account.note(shown);
    if !set.is_declared(key) {
        leave(set, key);
    }
    for identity in [before, after] {
        if identity != 0 && identity != Membership::WANDERER {
            gather(set, identity, now);
        }
    }
    set.common.released.tell();
}

/// Moves a key back to its home account. Cooldowns of the other account stay there.
fn leave(set: &KeySet, key: usize) {
    let account = &set.keys[key].account;
    let (from, home) = (account.present(), account.home());
    if from != home {
        settle(set, key, home);
        recount(set, from);
    }
}

/// Moves all undeclared keys that show an identity into one account.
fn gather(set: &KeySet, identity: u64, now: u64) {
    let showing = || set.live().filter(|key| set.keys[*key].account.identity() == identity);
    let (declared, movable): (Vec<_>, Vec<_>) = showing().partition(|key| set.is_declared(*key));
    let Some(host) = host(set, &declared, &movable) else { return };
    for &key in movable.iter().filter(|key| set.keys[**key].account.present() != host) {
        let from = set.keys[key].account.present();
        carry_all(set, from, host, now);
        settle(set, key, host);
        recount(set, from);
    }
    // Without a move there is nothing to bring in line.
    if let Some(&key) = movable.first() {
        follow_everywhere(set, key, now);
    }
}

/// Returns the account for these keys: the account of the declared ones, or else the one in which the
/// first of them lives that already lives with one of them.
fn host(set: &KeySet, declared: &[usize], movable: &[usize]) -> Option<usize> {
    let account = |key: &usize| &set.keys[*key].account;
    if let Some(first) = declared.first().map(|key| account(key).home())
        && declared.iter().all(|key| account(key).home() == first)
    {
        return Some(first);
    }
    let homes: Vec<_> = movable.iter().map(|key| account(key).home()).collect();
    let kept = movable.iter().map(|key| account(key).present()).find(|present| homes.contains(present));
    kept.or_else(|| homes.first().copied())
}

fn settle(set: &KeySet, key: usize, account: usize) {
    let living = |other: &usize| set.keys[*other].account.present() == account || *other == key;
    // Members first: a reader that finds the key in the account finds it among the members, too.
    set.accounts[account].set_members(ascending(set).filter(living));
    set.keys[key].account.move_to(account);
    // The bits may be cleared for state that no longer concerns the key. The next search finds out.
    set.common.bits.open(&only(key));
    set.common.models.all().iter().for_each(|model_state| model_state.bits.open(&only(key)));
}

fn recount(set: &KeySet, account: usize) {
    let living = |key: &usize| set.keys[*key].account.present() == account;
    set.accounts[account].set_members(ascending(set).filter(living));
}

/// Returns the numbers of the keys in ascending order.
fn ascending(set: &KeySet) -> impl Iterator<Item = usize> {
    (0..set.keys.len()).filter(|key| !set.keys[*key].is_removed())
}

/// Copies the present cooldowns of an account to another account.
fn carry_all(set: &KeySet, from: usize, to: usize, now: u64) {
    carry(&set.accounts[from].slot, &set.accounts[to].slot, now);
    for model_state in set.common.models.all() {
        carry(model_state.accounts.at(from), model_state.accounts.at(to), now);
    }
}

fn follow_everywhere(set: &KeySet, key: usize, now: u64) {
    Candidate::new(set, None, key).sync(Level::Account, now);
    let sync =
        |model_state: &ModelState| Candidate::new(set, Some(model_state), key).sync(Level::AccountModel, now);
    set.common.models.all().iter().for_each(|model_state| sync(model_state));
}

fn carry(from: &Slot, to: &Slot, now: u64) {
    let (from, known) = (from.state(), to.state());
    if let Some(cause) = from.cause.filter(|_| from.until > now.max(known.until)) {
        to.begin_cooldown(Permit { epoch: known.epoch, ..Permit::default() }, cause, now, |_| from.until);
    }
}
