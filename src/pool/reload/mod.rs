//! Changing the keys of a pool at run time.

mod changes;
mod draining;
mod error;
mod follow;

use std::sync::Arc;

pub use self::changes::KeyChanges;
pub use self::draining::Draining;
pub use self::error::ReloadError;
use crate::event::{EventKind, Severity};
use crate::key::{ApiKey, KeyId, Secret};
use crate::pool::build::successor::successor;
use crate::pool::keys::key_set::KeySet;
use crate::pool::operate::find;
use crate::pool::reload::follow::follow;
use crate::pool::report::drained::left;
use crate::pool::{BuildError, KeyPool, UnknownKey};

impl KeyPool {
    /// Makes these keys the keys of the pool, in this order. Every clone of the pool, and every layer that
    /// was built with it, uses them from then on. Requests that wait for a key look again.
    ///
    /// A key stays if its secret and its declared account stay. It keeps its state: cooldowns, counters,
    /// learned limits, learned accounts, sessions and requests in flight. Its id, tier, weight and quotas may
    /// change; quotas that changed start to count anew. Every other key starts clean.
    ///
    /// A key that is not in the list takes no new request, and finishes those in flight; see
    /// [`KeyChanges::draining`]. The change is atomic: no search for a key finds the pool between the two
    /// lists. It costs a pass over all keys, and never delays a request.
    ///
    /// # Errors
    ///
    /// Returns [`ReloadError::Keys`] if [`build`](crate::pool::KeyPoolBuilder::build) would fail with these
    /// keys. The pool is unchanged then.
    ///
    /// # Example
    ///
    /// ```
    /// use tower_key_rotation::{ApiKey, KeyPool, Provider};
    ///
    /// let one = || Ok::<_, Box<dyn std::error::Error>>(ApiKey::new("sk-one")?.id("one"));
    /// let pool = KeyPool::builder(Provider::openai()).key(one()?).build()?;
    /// let changes = pool.reload([one()?, ApiKey::new("sk-two")?.id("two")])?;
    /// assert_eq!((changes.added.len(), changes.unchanged), (1, 1));
    /// assert_eq!(pool.usable(None), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reload(&self, keys: impl IntoIterator<Item = ApiKey>) -> Result<KeyChanges, ReloadError> {
        let mut keys: Vec<_> = keys.into_iter().collect();
        let provider = self.provider();
        if keys.is_empty() && provider.needs_key() {
            let provider = provider.name().to_owned();
            return Err(BuildError::NoKeys { provider, searched: Vec::new(), findings: Vec::new() }.into());
        } else if keys.is_empty() {
            keys.push(ApiKey::not_needed());
        }
        self.change(|_| Ok(keys))
    }

    /// Adds a key behind the others. The others stay as they are.
    ///
    /// # Errors
    ///
    /// Returns [`ReloadError::Keys`] if the pool has its secret or its id already, or if its name or secret
    /// is invalid. The pool is unchanged then.
    pub fn add(&self, key: ApiKey) -> Result<(), ReloadError> {
        self.change(|set| Ok(specs(set).chain([key]).collect()))?;
        Ok(())
    }

    /// Replaces the secret of a key. The key keeps its id and its settings, and starts clean. Requests in
    /// flight with the old secret go on, and what they report counts for the old secret only.
    ///
    /// # Errors
    ///
    /// Returns [`ReloadError::UnknownKey`] if no key has this id, and [`ReloadError::Keys`] if another key
    /// has the secret. The pool is unchanged then.
    pub fn replace(&self, key: &KeyId, secret: Secret) -> Result<Draining, ReloadError> {
        let changes = self.change(|set| {
            let number = find(set, key)?;
            let spec = set.keys[number].spec.clone().with_secret(secret).id(key.clone());
            let replaced =
                |other: usize| if other == number { spec.clone() } else { set.keys[other].spec.clone() };
            Ok(set.live().map(replaced).collect())
        })?;
        Ok(changes.draining)
    }

    /// Removes a key. It takes no new request, and finishes those in flight.
    ///
    /// # Errors
    ///
    /// Returns [`ReloadError::UnknownKey`] if no key has this id, and [`ReloadError::LastKey`] if it is the
    /// only key of the pool.
    pub fn remove(&self, key: &KeyId) -> Result<Draining, ReloadError> {
        let changes = self.change(|set| {
            let number = find(set, key)?;
            if set.order.len() == 1 {
                return Err(ReloadError::LastKey(key.clone()));
            }
            let others = set.live().filter(|other| *other != number);
            Ok(others.map(|other| set.keys[other].spec.clone()).collect())
        })?;
        Ok(changes.draining)
    }

    /// [Disables](Self::disable) a key, and returns a handle that waits for the end of its last request in
    /// flight. Then an [event](EventKind::Drained) is emitted. The key stays in the pool and can be
    /// [enabled](Self::enable) again.
    ///
    /// # Errors
    ///
    /// Returns [`UnknownKey`] if no key has this id.
    pub fn drain(&self, key: &KeyId) -> Result<Draining, UnknownKey> {
        self.disable(key)?;
        let set = self.0.set.load();
        let entry = &set.keys[find(&set, key)?];
        entry.drain();
        left(&set.common, entry);
        Ok(Draining::new(&set.common, vec![Arc::clone(&entry.state)]))
    }

    fn change(
        &self,
        keys: impl FnOnce(&KeySet) -> Result<Vec<ApiKey>, ReloadError>,
    ) -> Result<KeyChanges, ReloadError> {
        let one_at_a_time = self.0.common.learning();
        let before = self.0.set.load_full();
        let next = successor(&before, keys(&before)?)?;
        let (changes, gone) = (KeyChanges::between(&before, &next), next.left.clone());
        follow(&self.0, &before, next);
        drop(one_at_a_time);
        self.announce(&changes);
        for key in gone {
            let key = &before.keys[key];
            key.drain();
            left(&before.common, key);
        }
        Ok(changes)
    }

    /// Emits an event for each key that has changed.
    fn announce(&self, changes: &KeyChanges) {
        let KeyChanges { added, replaced, changed, removed, unchanged: _, draining: _ } = changes;
        let emit = |keys: &[KeyId], kind: fn(KeyId) -> EventKind| {
            keys.iter().for_each(|key| self.emit(Severity::Change, || kind(key.clone())));
        };
        emit(added, |key| EventKind::Added { key });
        emit(replaced, |key| EventKind::Replaced { key });
        emit(changed, |key| EventKind::Changed { key });
        emit(removed, |key| EventKind::Removed { key });
    }
}

/// Returns the keys of a set as they were given to the pool.
fn specs(set: &KeySet) -> impl Iterator<Item = ApiKey> {
    set.live().map(|key| set.keys[key].spec.clone())
}
