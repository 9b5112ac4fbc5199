//! A single server-sent event.

use std::{fmt, str};

use bytes::Bytes;

/// One event of an event stream, as a [`Decoder`](crate::body::sse::Decoder) yields it.
///
/// `Debug` shows its name and the length of its data, never the data itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Event {
    name: Bytes,
    data: Bytes,
}

// === impl Event ===

impl Event {
    /// Creates an event from the value of its `event:` field and its joined `data:` lines. An empty `name`
    /// means none.
    pub fn new(name: impl Into<Bytes>, data: impl Into<Bytes>) -> Self {
        Self { name: name.into(), data: data.into() }
    }

    /// Returns the value of the `event:` field. Empty if there was none, or if it is not UTF-8.
    pub fn name(&self) -> &str {
        str::from_utf8(&self.name).unwrap_or_default()
    }

    /// Returns the `data:` lines, joined by line feeds.
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
