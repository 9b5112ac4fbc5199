//! The differences between the keys of a pool before and after a reload.

use crate::key::KeyId;
use crate::pool::build::successor::Successor;
use crate::pool::keys::key_set::KeySet;
use crate::pool::reload::draining::Draining;

/// The keys that a [reload](crate::KeyPool::reload) changed, by their ids.
#[derive(Debug)]
#[non_exhaustive]
pub struct KeyChanges {
    /// The keys that are new.
    pub added: Vec<KeyId>,
    /// The keys with another secret, base URL or account, which start clean.
    pub replaced: Vec<KeyId>,
    /// The keys with other settings or another id, whose state stays.
    pub changed: Vec<KeyId>,
    /// The keys that are gone.
    pub removed: Vec<KeyId>,
    /// Number of keys that stay as they were.
    pub unchanged: usize,
    /// The requests in flight with keys that were removed or replaced.
    pub draining: Draining,
}

// === impl KeyChanges ===

impl KeyChanges {
    /// Returns whether the keys and their settings are the same as before.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.replaced.is_empty()
            && self.changed.is_empty()
            && self.removed.is_empty()
    }

    /// Returns the differences between a set and the one that follows it.
    pub(super) fn between(before: &KeySet, next: &Successor) -> Self {
        let ids = |set: &KeySet, numbers: &[usize]| -> Vec<KeyId> {
            numbers.iter().map(|number| set.keys[*number].id.clone()).collect()
        };
        let (new, mut removed) = (ids(&next.set, &next.new_keys), ids(before, &next.left));
        let (replaced, added): (Vec<_>, Vec<_>) = new.into_iter().partition(|id| removed.contains(id));
        removed.retain(|id| !replaced.contains(id));
        let left = next.left.iter().map(|number| before.keys[*number].state.clone());
        Self {
            added,
            replaced,
            changed: ids(&next.set, &next.changed),
            removed,
            unchanged: next.set.order.len() - next.new_keys.len() - next.changed.len(),
            draining: Draining::new(&before.common, left.collect()),
        }
    }
}
