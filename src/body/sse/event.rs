//! One event.

use std::{fmt, str};

use bytes::Bytes;

/// One event of an event stream.
///
/// `Debug` shows its name and length, never its data.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Event {
    name: Bytes,
    data: Bytes,
}

// === impl Event ===

impl Event {
    /// An event as a decoder would give it.
    pub fn new(name: impl Into<Bytes>, data: impl Into<Bytes>) -> Self {
        Self { name: name.into(), data: data.into() }
    }

    /// The `event:` field; empty if there was none, or if it is not UTF-8.
    pub fn name(&self) -> &str {
        str::from_utf8(&self.name).unwrap_or_default()
    }

    /// The `data:` lines, joined by a line feed.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name: _, data } = self;
        f.debug_struct("Event").field("name", &self.name()).field("bytes", &data.len()).finish()
    }
}
