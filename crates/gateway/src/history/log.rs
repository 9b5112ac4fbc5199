//! The history: the latest events, without those of single attempts.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::event::{Event, EventKind};

/// One event of the history.
///
/// It serializes to one flat object: `id`, and the fields of an [`Event`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// Number of the entry. Numbers ascend by one, beginning with 1 when the process starts.
    pub id: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// A selection of the history. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "give it to a recorder"]
pub struct HistoryQuery {
    after: u64,
    since: Option<Timestamp>,
    provider: Option<String>,
    key: Option<String>,
    caller: Option<String>,
    event: Option<String>,
    limit: Option<usize>,
}

/// The latest events of both kinds. What requests did must not push out changes of state, which are rarer.
#[derive(Default)]
pub(super) struct HistoryLog {
    last_id: u64,
    changes: VecDeque<Entry>,
    of_requests: VecDeque<Entry>,
}

// === impl HistoryLog ===

impl HistoryLog {
    /// Maximum number of entries of each kind.
    pub(super) const MAX: usize = 1_000;

    /// Adds an event. Returns its entry, or `None` if the history keeps no events of its kind.
    pub(super) fn add(&mut self, event: &Event) -> Option<&Entry> {
        let entries = match &event.kind {
            EventKind::Attempt { .. } | EventKind::Metered { .. } => return None,
            EventKind::Rotated { .. }
            | EventKind::FellOver { .. }
            | EventKind::PoolFailed { .. }
            | EventKind::ChainFailed { .. }
            | EventKind::StreamFailed { .. }
            | EventKind::Checked { .. } => &mut self.of_requests,
            _ => &mut self.changes,
        };
        if entries.len() >= Self::MAX {
            entries.pop_front();
        }
        self.last_id += 1;
        entries.push_back(Entry { id: self.last_id, event: event.clone() });
        entries.back()
    }

    /// Returns the entries of a selection as JSON, the latest first.
    pub(super) fn find(&self, query: &HistoryQuery) -> Vec<Value> {
        let mut entries: Vec<_> = self.changes.iter().chain(&self.of_requests).collect();
        entries.retain(|entry| query.may_select(entry));
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.id));
        let values = entries.into_iter().filter_map(|entry| serde_json::to_value(entry).ok());
        values.filter(|value| query.selects(value)).take(query.limit.unwrap_or(usize::MAX)).collect()
    }
}

// === impl HistoryQuery ===

impl HistoryQuery {
    /// Selects entries with a greater number.
    pub const fn after(mut self, id: u64) -> Self {
        self.after = id;
        self
    }

    /// Selects entries from this time on.
    pub const fn since(mut self, at: Timestamp) -> Self {
        self.since = Some(at);
        self
    }

    /// Selects entries of one provider.
    pub fn provider(mut self, name: impl Into<String>) -> Self {
        self.provider = Some(name.into());
        self
    }

    /// Selects entries about one key, by its id.
    pub fn key(mut self, id: impl Into<String>) -> Self {
        self.key = Some(id.into());
        self
    }

    /// Selects entries about requests of one caller, by its name.
    pub fn caller(mut self, name: impl Into<String>) -> Self {
        self.caller = Some(name.into());
        self
    }

    /// Selects entries of one kind, by its name in snake case: `rotated`, `cooled_down`, …
    pub fn event(mut self, name: impl Into<String>) -> Self {
        self.event = Some(name.into());
        self
    }

    /// Sets the maximum number of entries. The latest are kept. Default: all.
    pub const fn limit(mut self, entries: usize) -> Self {
        self.limit = Some(entries);
        self
    }

    fn may_select(&self, entry: &Entry) -> bool {
        entry.id > self.after
            && self.since.is_none_or(|since| entry.event.at >= since)
            && self.provider.as_deref().is_none_or(|provider| provider == &*entry.event.provider)
    }

    fn selects(&self, entry: &Value) -> bool {
        let has = |field: &str, wanted: &Option<String>| {
            wanted.as_deref().is_none_or(|wanted| entry.get(field).and_then(Value::as_str) == Some(wanted))
        };
        has("key", &self.key) && has("caller", &self.caller) && has("event", &self.event)
    }
}
