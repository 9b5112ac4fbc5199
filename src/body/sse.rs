//! Server-sent events, decoded as bytes pass.

use bytes::Bytes;

/// One event of an event stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    name: Option<String>,
    data: Bytes,
}

impl Event {
    /// The `event:` field; empty if there was none.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The `data:` lines, joined by a line feed.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

/// temp
#[derive(Debug, Default)]
pub struct Decoder;
impl Decoder {
    /// temp
    pub fn new() -> Self {
        Self
    }
    /// temp
    pub fn push(&mut self, _: Bytes) {}
    /// temp
    pub fn finish(&mut self) {}
    /// temp
    pub fn next_event(&mut self) -> Option<Event> {
        None
    }
}
