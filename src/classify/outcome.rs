//! What one attempt brought.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, StatusCode};

use crate::body::sse::Event;
use crate::clock::Timestamp;

/// What one attempt brought: a response head with the error body or one event of a stream, or a
/// transport error.
///
/// Of a successful answer that is no event stream the body is not read: [`body`](Self::body) is empty
/// then. Of an event stream the classifier sees one event after the other, an [`Outcome`] each, until
/// it no longer answers [`Inspect`](super::Verdict::Inspect). Cloning is cheap.
#[derive(Clone)]
pub struct Outcome {
    kind: Kind,
    now: Timestamp,
}

#[derive(Clone)]
enum Kind {
    Answer { head: Arc<Parts>, body: Bytes },
    Streaming { head: Arc<Parts>, event: Option<Event> },
    Transport(Transport),
}

/// How an attempt failed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// The request did not reach the provider: refused, unresolved, or reset before it was written.
    Unsent,
    /// The connection failed after the request, or a part of it, may have been written.
    Broken,
    /// No answer in time.
    Timeout,
}

// === impl Outcome ===

impl Outcome {
    /// A response with this head, which is copied. `body` is the part of its body that was read: empty if it
    /// was not.
    pub fn answer(head: impl Borrow<Parts>, body: Bytes, now: Timestamp) -> Self {
        Self::with_body(Arc::new(head.borrow().clone()), body, now)
    }

    /// An event of a stream whose response has this head, which is copied; `None` at the end of the stream.
    pub fn streaming(head: impl Borrow<Parts>, event: Option<Event>, now: Timestamp) -> Self {
        Self::with_event(Arc::new(head.borrow().clone()), event, now)
    }

    /// [`answer`](Self::answer) with a head that is shared.
    pub(crate) fn with_body(head: Arc<Parts>, body: Bytes, now: Timestamp) -> Self {
        Self { kind: Kind::Answer { head, body }, now }
    }

    /// [`streaming`](Self::streaming) with a head that is shared.
    pub(crate) fn with_event(head: Arc<Parts>, event: Option<Event>, now: Timestamp) -> Self {
        Self { kind: Kind::Streaming { head, event }, now }
    }

    /// No response.
    pub fn transport(transport: Transport, now: Timestamp) -> Self {
        Self { kind: Kind::Transport(transport), now }
    }

    /// The status, if there was a response.
    pub fn status(&self) -> Option<StatusCode> {
        self.head().map(|head| head.status)
    }

    /// The headers, if there was a response.
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.head().map(|head| &head.headers)
    }

    /// What was read of the body: of a refusal up to 64 KiB, of a success nothing unless the provider
    /// is known to put errors there, of an event stream nothing.
    pub fn body(&self) -> &[u8] {
        match &self.kind {
            Kind::Answer { body, .. } => body,
            Kind::Streaming { .. } | Kind::Transport(_) => &[],
        }
    }

    /// The event to judge, if this is an event stream that has not ended.
    pub fn event(&self) -> Option<&Event> {
        match &self.kind {
            Kind::Streaming { event, .. } => event.as_ref(),
            Kind::Answer { .. } | Kind::Transport(_) => None,
        }
    }

    /// Whether this is an event stream that ended before the classifier had decided.
    pub const fn is_stream_end(&self) -> bool {
        matches!(&self.kind, Kind::Streaming { event: None, .. })
    }

    /// How the attempt failed, if there was no response.
    pub const fn error(&self) -> Option<Transport> {
        match self.kind {
            Kind::Transport(transport) => Some(transport),
            Kind::Answer { .. } | Kind::Streaming { .. } => None,
        }
    }

    /// When the outcome was seen: what absolute times in it are measured against.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    fn head(&self) -> Option<&Parts> {
        match &self.kind {
            Kind::Answer { head, .. } | Kind::Streaming { head, .. } => Some(head),
            Kind::Transport(_) => None,
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, now } = self;
        let mut out = f.debug_struct("Outcome");
        match kind {
            Kind::Answer { head, body } => out.field("status", &head.status).field("body_bytes", &body.len()),
            Kind::Streaming { head, event } => {
                out.field("status", &head.status).field("event", &event.as_ref().map(Event::name))
            }
            Kind::Transport(transport) => out.field("error", transport),
        };
        out.field("now", now).finish()
    }
}
