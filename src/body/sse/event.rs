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
    status: Option<u16>,
}

// === impl Event ===

impl Event {
    /// Creates an event from the value of its `event:` field and its joined `data:` lines. An empty `name`
    /// means none.
    pub fn new(name: impl Into<Bytes>, data: impl Into<Bytes>) -> Self {
        Self { name: name.into(), data: data.into(), status: None }
    }

    /// Returns the same event with the status of a comment before it.
    pub(super) const fn with_status(mut self, status: Option<u16>) -> Self {
        self.status = status;
        self
    }

    /// Returns the value of the `event:` field. Empty if there was none, or if it is not UTF-8.
    pub fn name(&self) -> &str {
        str::from_utf8(&self.name).unwrap_or_default()
    }

    /// Returns the HTTP status in a comment of the event. DashScope writes `:HTTP_STATUS/429` beside an error,
    /// whose stream began with 200.
    pub const fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns the `data:` lines, joined by line feeds.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name: _, data, status } = self;
        let mut out = f.debug_struct("Event");
        out.field("name", &self.name()).field("bytes", &data.len()).field("status", status).finish()
    }
}
