//! The outcome of one attempt, the input of a classifier.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, StatusCode};

use crate::body::sse::Event;
use crate::clock::Timestamp;

/// The outcome of one attempt: a response head with a part of its body, a response head with one event of its
/// stream, or a transport error.
///
/// The body of a successful response that is not an event stream is usually not read; see
/// [`body`](Self::body). Of an event stream the classifier sees one event after the other, each in an
/// `Outcome` of its own, until its verdict is no longer [`Inspect`](crate::classify::Verdict::Inspect).
///
/// Cloning is cheap.
///
/// ```
/// use bytes::Bytes;
/// use http::{Response, StatusCode};
/// use tower::ServiceExt;
/// use tower_key_rotation::Provider;
/// use tower_key_rotation::classify::{Outcome, Reason, Verdict};
/// use tower_key_rotation::clock::Timestamp;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (head, ()) = Response::builder().status(StatusCode::UNAUTHORIZED).body(()).unwrap().into_parts();
/// let outcome = Outcome::response(head, Bytes::new(), Timestamp::now());
/// let verdict = Provider::openai().classifier().oneshot(outcome).await.unwrap();
/// assert_eq!(verdict.fault().map(|fault| fault.reason()), Some(Reason::InvalidKey));
/// # });
/// ```
#[derive(Clone)]
pub struct Outcome {
    kind: Kind,
    now: Timestamp,
    /// Path of the request.
    path: Option<PathAndQuery>,
}

#[derive(Clone)]
enum Kind {
    UpstreamResponse { head: Arc<Parts>, body: Bytes },
    Streaming { head: Arc<Parts>, event: Option<Event> },
    Transport(Transport),
}

/// The way in which an attempt failed without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// The request did not reach the provider: the connection was refused, the host was not resolved, or the
    /// connection was reset before the request was written.
    Unsent,
    /// The connection failed after the request, or a part of it, may have been written.
    Broken,
    /// No response arrived in time.
    Timeout,
}

// === impl Outcome ===

impl Outcome {
    /// Creates the outcome of a response with this head, which is copied. `body` is the part of its body that
    /// was read; empty if none was.
    pub fn response(head: impl Borrow<Parts>, body: Bytes, now: Timestamp) -> Self {
        Self::with_body(Arc::new(head.borrow().clone()), body, now)
    }

    /// Creates the outcome of one event of a stream whose response has this head, which is copied. `None` is
    /// the end of the stream.
    pub fn streaming(head: impl Borrow<Parts>, event: Option<Event>, now: Timestamp) -> Self {
        Self::with_event(Arc::new(head.borrow().clone()), event, now)
    }

    /// Like [`response`](Self::response), with a shared head.
    pub(crate) fn with_body(head: Arc<Parts>, body: Bytes, now: Timestamp) -> Self {
        Self { kind: Kind::UpstreamResponse { head, body }, now, path: None }
    }

    /// Like [`streaming`](Self::streaming), with a shared head.
    pub(crate) fn with_event(head: Arc<Parts>, event: Option<Event>, now: Timestamp) -> Self {
        Self { kind: Kind::Streaming { head, event }, now, path: None }
    }

    /// Creates the outcome of an attempt that got no response.
    pub fn transport(transport: Transport, now: Timestamp) -> Self {
        Self { kind: Kind::Transport(transport), now, path: None }
    }

    /// Sets the path of the request, as it was sent to the provider. Default: not known.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<Option<PathAndQuery>>) -> Self {
        self.path = path.into();
        self
    }

    /// Returns the path of the request as it was sent to the provider, without its query; `None` if it is not
    /// known.
    pub fn path(&self) -> Option<&str> {
        self.path.as_ref().map(PathAndQuery::path)
    }

    /// Returns the status; `None` if there was no response.
    pub fn status(&self) -> Option<StatusCode> {
        self.head().map(|head| head.status)
    }

    /// Returns the headers; `None` if there was no response.
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.head().map(|head| &head.headers)
    }

    /// Returns the part of the body that was read.
    ///
    /// Of an error response that is at most 64 KiB by default. The body of a successful response is read only
    /// if the [provider puts errors there](crate::Provider::errors_in_ok_bodies), and is empty otherwise. It
    /// is always empty for an event stream and for a transport error.
    pub fn body(&self) -> &[u8] {
        match &self.kind {
            Kind::UpstreamResponse { body, .. } => body,
            Kind::Streaming { .. } | Kind::Transport(_) => &[],
        }
    }

    /// Returns the event to classify; `None` if this is not an event stream, or at its end.
    pub fn event(&self) -> Option<&Event> {
        match &self.kind {
            Kind::Streaming { event, .. } => event.as_ref(),
            Kind::UpstreamResponse { .. } | Kind::Transport(_) => None,
        }
    }

    /// Returns whether this is an event stream that ended before the classifier had decided.
    pub const fn is_stream_end(&self) -> bool {
        matches!(&self.kind, Kind::Streaming { event: None, .. })
    }

    /// Returns how the attempt failed; `None` if there was a response.
    pub const fn error(&self) -> Option<Transport> {
        match self.kind {
            Kind::Transport(transport) => Some(transport),
            Kind::UpstreamResponse { .. } | Kind::Streaming { .. } => None,
        }
    }

    /// Returns the time at which the outcome was observed. Absolute times in the response are compared with
    /// it.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    fn head(&self) -> Option<&Parts> {
        match &self.kind {
            Kind::UpstreamResponse { head, .. } | Kind::Streaming { head, .. } => Some(head),
            Kind::Transport(_) => None,
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, now, path: _ } = self;
        let mut out = f.debug_struct("Outcome");
        match kind {
            Kind::UpstreamResponse { head, body } => {
                out.field("status", &head.status).field("body_bytes", &body.len())
            }
            Kind::Streaming { head, event } => {
                out.field("status", &head.status).field("event", &event.as_ref().map(Event::name))
            }
            Kind::Transport(transport) => out.field("error", transport),
        };
        out.field("now", now).finish()
    }
}
