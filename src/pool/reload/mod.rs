//! Changing the keys of a pool at run time.

mod changes;
mod draining;
mod error;
mod follow;

use std::sync::Arc;

pub use self::changes::KeyChanges;
pub use self::draining::Draining;
pub use self::error::ReloadError;
use crate::event::{OperatorEvent, Severity};
use crate::key::{ApiKey, KeyId, Secret};
use crate::pool::build::successor::successor;
use crate::pool::keys::key_set::KeySet;
use crate::pool::reload::follow::follow;
use crate::pool::report::drained::left;
use crate::pool::state::register::Switch;
use crate::pool::verbs::{find, switch};
use crate::pool::{BuildError, KeyPool, UnknownKey};

/// See [`KeyPool::reload`].
pub(in crate::pool) fn reload(pool: &KeyPool, mut keys: Vec<ApiKey>) -> Result<KeyChanges, ReloadError> {
    let provider = pool.provider();
    if keys.is_empty() && provider.needs_key() {
        let provider = provider.name().to_owned();
        return Err(BuildError::NoKeys { provider, searched: Vec::new(), findings: Vec::new() }.into());
    } else if keys.is_empty() {
        keys.push(ApiKey::not_needed());
    }
    change(pool, |_| Ok(keys))
}

/// See [`KeyPool::add`].
pub(in crate::pool) fn add(pool: &KeyPool, key: ApiKey) -> Result<(), ReloadError> {
    change(pool, |set| Ok(specs(set).chain([key]).collect()))?;
    Ok(())
}

/// See [`KeyPool::replace`].
pub(in crate::pool) fn replace(pool: &KeyPool, key: &KeyId, secret: Secret) -> Result<Draining, ReloadError> {
    let changes = change(pool, |set| {
        let number = find(set, key)?;
        let spec = set.keys[number].spec.clone().with_secret(secret).id(key.clone());
        let replaced =
            |other: usize| if other == number { spec.clone() } else { set.keys[other].spec.clone() };
        Ok(set.live().map(replaced).collect())
    })?;
    Ok(changes.draining)
}

/// See [`KeyPool::remove`].
pub(in crate::pool) fn remove(pool: &KeyPool, key: &KeyId) -> Result<Draining, ReloadError> {
    let changes = change(pool, |set| {
        let number = find(set, key)?;
        if set.order.len() == 1 {
            return Err(ReloadError::LastKey(key.clone()));
        }
        let others = set.live().filter(|other| *other != number);
        Ok(others.map(|other| set.keys[other].spec.clone()).collect())
    })?;
    Ok(changes.draining)
}

/// See [`KeyPool::drain`].
pub(in crate::pool) fn drain(pool: &KeyPool, key: &KeyId) -> Result<Draining, UnknownKey> {
    switch(pool, key, Switch::Drained)?;
    let set = pool.0.set.load();
    let entry = &set.keys[find(&set, key)?];
    entry.drain();
    left(&set.common, entry);
    Ok(Draining::new(&set.common, vec![Arc::clone(&entry.state)]))
}

fn change(
    pool: &KeyPool,
    keys: impl FnOnce(&KeySet) -> Result<Vec<ApiKey>, ReloadError>,
) -> Result<KeyChanges, ReloadError> {
    let one_at_a_time = pool.0.common.learning();
    let before = pool.0.set.load_full();
    let next = successor(&before, keys(&before)?)?;
    let (changes, gone) = (KeyChanges::between(&before, &next), next.left.clone());
    follow(&pool.0, &before, next);
    drop(one_at_a_time);
    announce(pool, &changes);
    for key in gone {
        let key = &before.keys[key];
        key.drain();
        left(&before.common, key);
    }
    Ok(changes)
}

/// Emits an event for each key that has changed.
fn announce(pool: &KeyPool, changes: &KeyChanges) {
    let KeyChanges { added, replaced, changed, removed, unchanged: _, draining: _ } = changes;
    let emit = |keys: &[KeyId], kind: fn(KeyId) -> OperatorEvent| {
        keys.iter().for_each(|key| pool.emit(Severity::Change, || kind(key.clone()).into()));
    };
    emit(added, |key| OperatorEvent::Added { key });
    emit(replaced, |key| OperatorEvent::Replaced { key });
    emit(changed, |key| OperatorEvent::Changed { key });
    emit(removed, |key| OperatorEvent::Removed { key });
}

/// Returns the keys of a set as they were given to the pool.
fn specs(set: &KeySet) -> impl Iterator<Item = ApiKey> {
    set.live().map(|key| set.keys[key].spec.clone())
}
