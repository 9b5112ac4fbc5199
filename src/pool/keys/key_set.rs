//! A key set: the keys and accounts of a pool between two changes of its keys.
//!
//! Keys and accounts are numbered. A set never changes. When the keys of a pool change, a new set follows it,
//! in which every key and account that stays has the number that it had before, and is the same object. All
//! else that is known by number (ready bits, slots and limits of models) exists once for all sets of a pool.
//! So a lease of an older set settles with the same state as one of the present set.
//!
//! A number of a key that left is given to another key when no older set exists any more (see
//! [`Past`]). A lease holds its set, so no two keys with the same number are in use at a time.
//!
//! A key without a declared account has an account of its own, until its responses show which keys it shares
//! an account with.

use std::fmt;
use std::sync::Arc;

use crate::key::{KeyId, Tier};
use crate::pool::keys::account::Account;
use crate::pool::keys::common::Common;
use crate::pool::keys::current::Current;
use crate::pool::keys::key::Key;
use crate::pool::keys::past::Past;
use crate::pool::keys::quotas::Quotas;
use crate::pool::keys::rendezvous::Rendezvous;
use crate::pool::keys::serving::{KeyMask, Serving};
use crate::pool::keys::tier::TierRing;

pub(crate) struct KeySet {
    pub(in crate::pool) common: Arc<Common>,
    /// Leads to the set that has followed this one.
    pub(in crate::pool) current: Arc<Current<Self>>,
    /// The keys by number. Those of keys that left have no meaning.
    pub(in crate::pool) keys: Box<[Key]>,
    /// The accounts by number.
    pub(in crate::pool) accounts: Box<[Arc<Account>]>,
    /// The numbers of the keys, in the order of the list that was given to the pool.
    pub(in crate::pool) order: Box<[usize]>,
    /// Whether that order is the order of the numbers.
    pub(in crate::pool) is_ascending: bool,
    /// The keys by tier, primaries first.
    pub(in crate::pool) rings: [TierRing; 2],
    pub(in crate::pool) quotas: Quotas,
    /// The keys that may serve some requests only; `None` if every key may serve all.
    pub(in crate::pool) serving: Option<Box<Serving>>,
    /// Whether the keys send requests to more than one base URL.
    pub(in crate::pool) has_several_places: bool,
    /// The assignment of sessions to their home keys.
    pub(in crate::pool) rendezvous: Rendezvous,
    pub(in crate::pool) past: Past<Self>,
}

/// The keys and accounts of a set, by number.
pub(in crate::pool) struct Roster {
    pub(in crate::pool) keys: Vec<Key>,
    pub(in crate::pool) accounts: Vec<Arc<Account>>,
    /// The numbers of the keys, in the order of the list.
    pub(in crate::pool) order: Vec<usize>,
    pub(in crate::pool) quotas: Quotas,
    pub(in crate::pool) past: Past<KeySet>,
}

// === impl KeySet ===

impl KeySet {
    pub(in crate::pool) fn new(common: Arc<Common>, current: Arc<Current<Self>>, roster: Roster) -> Self {
        let Roster { keys, accounts, order, quotas, past } = roster;
        let mut ascending = order.clone();
        ascending.sort_unstable();
        let weights =
            ascending.iter().map(|&key| (key, &keys[key].id, keys[key].spec.declared_weight().get()));
        let restrictions = ascending.iter().map(|&key| (key, keys[key].spec.restriction()));
        let place = |key: &usize| keys[*key].spec.own_base_url();
        Self {
            common,
            current,
            serving: Serving::of(restrictions),
            has_several_places: ascending.iter().any(|key| place(key) != place(&ascending[0])),
            is_ascending: ascending == order,
            rings: [ring(&keys, &ascending, Tier::Primary), ring(&keys, &ascending, Tier::Backup)],
            rendezvous: Rendezvous::new(keys.len(), weights),
            keys: keys.into(),
            accounts: accounts.into(),
            order: order.into(),
            quotas,
            past,
        }
    }

    /// Creates the set of a pool that has no keys yet.
    pub(in crate::pool) fn empty(common: Arc<Common>, quotas: Quotas) -> Self {
        let (keys, accounts, order) = (Vec::new(), Vec::new(), Vec::new());
        Self::new(common, Arc::default(), Roster { keys, accounts, order, quotas, past: Past::default() })
    }

    /// Returns the numbers of the keys, in the order of the list.
    pub(in crate::pool) fn live(&self) -> impl Iterator<Item = usize> + Clone {
        self.order.iter().copied()
    }

    /// Looks at the set that the pool has now: this one, or one that has followed it.
    pub(in crate::pool) fn with_latest<T>(&self, look: impl FnOnce(&Self) -> T) -> T {
        match self.current.get() {
            Some(latest) => look(&latest),
            None => look(self),
        }
    }

    /// Returns whether both sets have the same key with this number.
    pub(in crate::pool) fn agrees_with(&self, other: &Self, key: usize) -> bool {
        let states = [self, other].map(|set| set.keys.get(key).map(|key| Arc::as_ptr(&key.state)));
        states[0] == states[1]
    }

    /// Returns the number of requests in flight with all keys together. It is the number of references to
    /// the sets of the pool, because every request in flight holds its set, and a separate counter would be
    /// one more word that every thread writes to. Waiters hold a set too, and so does a cooldown that may be
    /// undone, so the number may be too high. The two that are subtracted are the pool and the caller.
    pub(in crate::pool) fn in_flight(self: &Arc<Self>) -> usize {
        Arc::strong_count(self).saturating_sub(2) + self.past.references()
    }

    /// Returns the present account of a key. A set that is no longer the latest may not know it; the home of
    /// the key stands for it then.
    pub(in crate::pool) fn present_account(&self, key: usize) -> usize {
        let account = &self.keys[key].account;
        let present = account.present();
        if present < self.accounts.len() { present } else { account.home() }
    }

    /// Returns the keys of the account of a key. `None` if the set does not have the key.
    pub(in crate::pool) fn at_home(&self, home: &KeyId) -> Option<KeyMask> {
        let key = self.live().find(|key| self.keys[*key].id == *home)?;
        let mut members = self.members(self.present_account(key), key);
        members.sort_unstable();
        Some(KeyMask::of(members))
    }

    /// Returns whether the account of a key was declared.
    pub(in crate::pool) fn is_declared(&self, key: usize) -> bool {
        self.accounts[self.keys[key].account.home()].id.is_some()
    }

    /// Returns the keys of an account, of which `asker` is one. A set that is no longer the latest may not
    /// know all of them.
    pub(in crate::pool) fn members(&self, account: usize, asker: usize) -> Vec<usize> {
        let is_known =
            |key: &usize| self.keys.get(*key).is_some_and(|found| *key == asker || !found.is_removed());
        self.accounts[account].with_members(asker, |groups| {
            let of_word = |&(word, bits): &(usize, u64)| {
                let bit = move |bit: &usize| bits >> bit & 1 == 1;
                (0..u64::BITS as usize).filter(bit).map(move |bit| word * u64::BITS as usize + bit)
            };
            groups.iter().flat_map(of_word).filter(is_known).collect()
        })
    }

    /// Returns whether limits or keys are declared for single models.
    pub(in crate::pool) fn needs_models(&self) -> bool {
        self.quotas.are_of_models() || self.serving.as_ref().is_some_and(|serving| serving.is_of_models())
    }
}

/// Returns the ring of the keys of a tier. `numbers` are in ascending order.
fn ring(keys: &[Key], numbers: &[usize], tier: Tier) -> TierRing {
    let members = numbers.iter().filter(|key| keys[**key].spec.declared_tier() == tier);
    let members = members.map(|&key| (key, keys[key].spec.declared_weight().get()));
    TierRing::new(&members.collect::<Vec<_>>())
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.live().map(|key| &self.keys[key].id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;
    use crate::pool::keys::key::KeyState;
    use crate::pool::scope::ready_bits::KeyBits;
    use crate::pool::scope::slot::Slot;

    #[test]
    fn the_state_of_a_key_is_far_below_a_kilobyte() {
        // Size of the texts of name, secret, and header with their reference counts, if they are long.
        let texts = 3 * (16 + 200);
        // The state and the account have reference counts, too.
        let state = size_of::<KeyState>() + size_of::<Account>() + 2 * 16;
        let key = size_of::<Key>() + state + size_of::<KeyBits>() + size_of::<u32>() + 2 * size_of::<usize>();
        println!("{key} bytes a key, {} a key and model", 2 * size_of::<Slot>());
        assert!(key + texts <= 1_200, "{key} bytes");
    }
}
