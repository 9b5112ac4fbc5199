//! Letting a key set follow another one.
//!
//! The order matters:
//!
//! 1. All that is known by number forgets what it knew of the numbers of new keys and accounts. No set is in
//!    use any more in which they belonged to others.
//! 2. The new set becomes the present one. From then on, every search sees the new keys.
//! 3. The keys that left are closed. A search in the old set, which finds them closed, looks again. Before
//!    that it may have leased one; such a request ends as if it had come a moment earlier.
//! 4. Waiters look again.

use std::sync::Arc;

use crate::clock::Moment;
use crate::pool::build::successor::Successor;
use crate::pool::keys::account::Account;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model_counters::ModelLedgers;
use crate::pool::learn::outage;
use crate::pool::scope::ready_bits::only;
use crate::pool::shared::Shared;

/// Lets a set follow `before`. The caller holds the lock of the assignment of keys to accounts.
pub(super) fn follow(pool: &Shared, before: &KeySet, next: Successor) {
    let Successor { set, new_keys, new_accounts, requoted, changed: _, left } = next;
    let set = Arc::new(set);
    pool.follow(Arc::clone(&set), |set| {
        clean(set, &new_keys, &new_accounts);
        declare(set, &[&new_keys[..], &requoted].concat(), &new_accounts);
        regroup(before, set, &new_keys, &left);
    });
    left.iter().for_each(|key| before.keys[*key].remove());
    outage::note(&set);
    set.common.released.tell();
}

/// Forgets the state of the numbers of new keys and accounts.
fn clean(set: &KeySet, keys: &[usize], accounts: &[usize]) {
    let now = Moment::now().as_unix_ms();
    let common = &set.common;
    for &key in keys {
        common.bits.open(&only(key));
        common.shared_limit.set_free(key);
        common.provisionals().forget(key);
    }
    for model_state in common.models.all() {
        for &key in keys {
            model_state.keys.get(key).into_iter().for_each(|slot| slot.reset(now));
            model_state.bits.open(&only(key));
            model_state.shared_limit.set_free(key);
        }
        let slots = accounts.iter().filter_map(|account| model_state.accounts.get(*account));
        slots.for_each(|slot| slot.reset(now));
    }
}

/// Declares the quotas for models at new keys and accounts, and at keys with other quotas than before.
fn declare(set: &KeySet, keys: &[usize], accounts: &[usize]) {
    let declare = |ledgers: &ModelLedgers, model: &str| {
        let account = |&number: &usize| (number, &*set.accounts[number]);
        let keys = keys.iter().map(|&number| (number, &set.keys[number].spec));
        set.quotas.declare(ledgers, model, accounts.iter().map(account), keys);
    };
    for model_state in set.common.models.all() {
        declare(&model_state.ledgers, model_state.model.as_str());
    }
    // A group has patterns of its own, so its models need no name.
    set.common.counters.for_each(|name, ledgers| declare(ledgers, name.unwrap_or_default()));
}

/// Sets the members of the accounts that stay and get or lose a key.
fn regroup(before: &KeySet, set: &KeySet, new_keys: &[usize], left: &[usize]) {
    let joined = new_keys.iter().map(|key| set.keys[*key].account.home());
    let mut accounts: Vec<_> =
        joined.chain(left.iter().map(|key| before.keys[*key].account.present())).collect();
    accounts.sort_unstable();
    accounts.dedup();
    for account in accounts {
        let lives = |key: &usize| {
            let key = &set.keys[*key];
            !key.is_removed() && key.account.present() == account
        };
        let members: Vec<_> = (0..set.keys.len()).filter(lives).collect();
        if !members.is_empty() && !is_alone(set, &set.accounts[account], account, &members) {
            set.accounts[account].set_members(members);
        }
    }
}

/// Returns whether the account has only the key that was its only one from the start.
fn is_alone(set: &KeySet, account: &Account, number: usize, members: &[usize]) -> bool {
    account.is_private() && members.len() == 1 && set.keys[members[0]].account.home() == number
}
