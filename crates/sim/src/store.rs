//! The objects that an account has made: files, batches, responses and conversations.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

/// Maximum number of objects that an account keeps (1,000). Each further one drops the oldest of its kind.
const KEPT: usize = 1_000;

/// The objects of one account.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// Objects by id. An id begins with the prefix of its kind and continues with the number of its call, so
    /// that the order of ids is that of creation.
    objects: BTreeMap<String, Stored>,
}

/// One object.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The object as the provider shows it.
    pub(crate) object: Value,
    /// The content of a file.
    pub(crate) content: Bytes,
    /// The input items of a response.
    pub(crate) input: Value,
}

// === impl Store ===

impl Store {
    /// Keeps an object, whose id begins with `prefix`.
    pub(crate) fn insert(&mut self, prefix: &str, stored: Stored) {
        let Some(id) = stored.id().map(str::to_owned) else { return };
        if self.list(prefix).count() >= KEPT {
            let oldest = self.objects.keys().find(|id| id.starts_with(prefix)).cloned();
            oldest.map(|id| self.objects.remove(&id));
        }
        self.objects.insert(id, stored);
    }

    /// Returns the object of a kind with this id.
    pub(crate) fn get(&mut self, prefix: &str, id: &str) -> Option<&mut Stored> {
        self.objects.get_mut(id).filter(|_| id.starts_with(prefix))
    }

    pub(crate) fn remove(&mut self, prefix: &str, id: &str) -> Option<Stored> {
        if id.starts_with(prefix) { self.objects.remove(id) } else { None }
    }

    /// Returns the objects of a kind, newest first.
    pub(crate) fn list(&self, prefix: &str) -> impl Iterator<Item = &Value> {
        let kind = self.objects.iter().rev().filter(move |(id, _)| id.starts_with(prefix));
        kind.map(|(_, stored)| &stored.object)
    }
}

// === impl Stored ===

impl Stored {
    /// Returns the id of the object, which Gemini calls its name.
    fn id(&self) -> Option<&str> {
        self.object["id"].as_str().or_else(|| self.object["name"].as_str())
    }

    /// Returns an object without content and input.
    pub(crate) fn new(object: Value) -> Self {
        Self { object, content: Bytes::new(), input: Value::Null }
    }
}
