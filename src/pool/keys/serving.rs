//! The keys that may serve a request, in a pool in which some keys may not serve all.
//!
//! Keys with equal restrictions form a group, which is checked once for a request. The result is a bitmap of keys that
//! the search reads together with the ready bits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::key::Restriction;
use crate::pool::scope::queue::WaitQueues;
use crate::pool::scope::ready_bits::{KeyBits, group};
use crate::provider::ModelId;

const WORD: usize = u64::BITS as usize;

/// The restrictions of the keys of a pool.
pub(in crate::pool) struct Serving {
    /// All keys.
    all: KeyMask,
    groups: Vec<(Arc<Restriction>, Box<[KeyBits]>)>,
    of_models: bool,
    /// The queues of requests that wait for the same keys. Held briefly, never across an await.
    queues: Mutex<HashMap<Waiting, Arc<WaitQueues>>>,
}

/// The requests that wait for the same keys: the model of their lane, if there is one, and the keys.
type Waiting = (Option<ModelId>, KeyMask);

/// The keys that may serve a request: one bit for each key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::pool) struct KeyMask(Box<[u64]>);

// === impl Serving ===

impl Serving {
    /// Collects the restrictions of keys, in ascending order of their numbers. `None` if no key has one.
    pub(in crate::pool) fn of<'a>(
        keys: impl Iterator<Item = (usize, Option<&'a Arc<Restriction>>)> + Clone,
    ) -> Option<Box<Self>> {
        let mut members: HashMap<&Arc<Restriction>, Vec<usize>> = HashMap::new();
        for (key, restriction) in keys.clone() {
            if let Some(restriction) = restriction {
                members.entry(restriction).or_default().push(key);
            }
        }
        if members.is_empty() {
            return None;
        }
        let of_models = members.keys().any(|restriction| restriction.is_of_models());
        let groups = members.into_iter().map(|(restriction, keys)| (Arc::clone(restriction), group(keys)));
        let all = KeyMask::of(keys.map(|(key, _)| key));
        Some(Box::new(Self { all, groups: groups.collect(), of_models, queues: Mutex::default() }))
    }

    /// Returns whether a key may be used for some models only.
    pub(in crate::pool) const fn is_of_models(&self) -> bool {
        self.of_models
    }

    /// Returns the keys that may serve a request to this path and model.
    pub(in crate::pool) fn mask(&self, model: Option<&ModelId>, endpoint: Option<&str>) -> KeyMask {
        let mut mask = self.all.clone();
        let model = model.map(ModelId::as_str);
        for (_, keys) in self.groups.iter().filter(|(restriction, _)| !restriction.allows(model, endpoint)) {
            for &(word, bits) in keys {
                mask.0[word] &= !bits;
            }
        }
        mask
    }

    /// Returns the queues of the requests that wait for these keys. `model` is the model of a lane, if there is one.
    pub(in crate::pool) fn queues(&self, model: Option<&ModelId>, mask: &KeyMask) -> Arc<WaitQueues> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (model.cloned(), mask.clone());
        if let Some(known) = queues.get(&key) {
            return Arc::clone(known);
        }
        // A queue without waiters is held by the map alone.
        queues.retain(|_, queues| Arc::strong_count(queues) > 1);
        Arc::clone(queues.entry(key).or_default())
    }
}

// === impl KeyMask ===

impl KeyMask {
    /// Creates the mask of these keys, in ascending order of their numbers.
    pub(in crate::pool) fn of(keys: impl IntoIterator<Item = usize>) -> Self {
        let groups = group(keys);
        let mut words = vec![0; groups.last().map_or(0, |(word, _)| word + 1)];
        for &(word, bits) in &groups {
            words[word] = bits;
        }
        Self(words.into())
    }

    pub(in crate::pool) fn word(&self, word: usize) -> u64 {
        self.0.get(word).copied().unwrap_or_default()
    }

    pub(in crate::pool) fn has(&self, key: usize) -> bool {
        (self.word(key / WORD) >> (key % WORD)) & 1 == 1
    }

    /// Returns the keys of both masks.
    pub(in crate::pool) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().enumerate().map(|(word, bits)| bits & other.word(word)).collect())
    }

    /// Returns whether no key may serve the request.
    pub(in crate::pool) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_equal_restrictions_are_one_group() {
        let free = Arc::new(Restriction { endpoints: vec!["/v1/chat".into()], ..Restriction::default() });
        let same = Arc::new(Restriction::clone(&free));
        let restriction = |key: usize| (key % 2 == 1).then_some(if key > 64 { &same } else { &free });
        let keys: Vec<_> = (0..130).map(|key| (key, restriction(key))).collect();
        let serving = Serving::of(keys.into_iter()).unwrap();
        assert_eq!(serving.groups.len(), 1);
        let served = |path: &str| (0..131).filter(|key| serving.mask(None, Some(path)).has(*key)).count();
        assert_eq!((served("/v1/chat/completions"), served("/v1/batches")), (130, 65));
        assert!(!serving.mask(None, Some("/v1/batches")).is_empty());
        assert!(Serving::of([(0, None), (1, None)].into_iter()).is_none());
    }
}
