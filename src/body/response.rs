//! The body of a response that passed through a layer of this crate.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use pin_project_lite::pin_project;
use tower::BoxError;

use crate::body::erased::Erased;
use crate::body::error_body::{ErrorBody, RestLimits};
use crate::body::guard::StreamGuard;
use crate::body::hold::Hold;
use crate::body::redact::Redactor;
use crate::body::rest::{Rest, longer};

pin_project! {
    /// The body of a response that came through a layer of this crate.
    ///
    /// The part that the layer has inspected comes first, byte for byte and with errors in their place. The
    /// rest passes through unchanged: nothing is buffered, and back-pressure is kept. Behind a
    /// [chain](crate::fallback) an event stream that ends before its response is complete ends with a
    /// [`StreamError`](crate::body::StreamError).
    ///
    /// An error never follows data immediately: the body is pending once in between, so that a server can flush
    /// its buffer. The default is an empty body.
    pub struct ResponseBody<B> {
        #[pin]
        rest: Rest<B>,
        // Boxed, because a response is moved several times on its way to the caller.
        watchers: Option<Box<Watchers>>,
        hold: Hold,
    }
}

/// The watchers of a body as it passes.
#[derive(Default)]
struct Watchers {
    /// `None`: the key is not known here.
    redactor: Option<Redactor>,
    guard: Option<StreamGuard>,
}

// === impl ResponseBody ===

impl<B> ResponseBody<B> {
    /// Creates a body that was not inspected.
    pub(crate) const fn untouched(body: B) -> Self {
        Self::unwatched(Rest::Untouched { body })
    }

    /// Creates a body that has no guard yet.
    pub(crate) const fn unwatched(rest: Rest<B>) -> Self {
        Self { rest, watchers: None, hold: Hold::Unflushed }
    }

    /// Removes the key from the body, if there is a redactor.
    pub(crate) fn redact(mut self, redactor: Option<Redactor>) -> Self {
        if redactor.is_some() {
            self.watchers().redactor = redactor;
        }
        self
    }

    /// Creates a body from one of another type.
    pub(crate) fn erased(body: UnsyncBoxBody<Bytes, BoxError>) -> Self {
        Self::unwatched(Rest::Erased { body: Erased::new(body) })
    }

    /// Sets the guard of a body that has none yet. It watches the body from the beginning.
    pub(crate) fn watch(&mut self, guard: StreamGuard) {
        self.watchers().guard = Some(guard);
    }

    fn watchers(&mut self) -> &mut Watchers {
        self.watchers.get_or_insert_default()
    }

    #[cfg(test)]
    pub(super) fn guarded(mut self, guard: StreamGuard) -> Self {
        self.watch(guard);
        self
    }
}

impl<B> ResponseBody<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// Limits the body of an error response to its deadline, if there is one. Other responses are not limited
    /// once they are delivered.
    pub(crate) fn limit(response: &mut Response<Self>, limits: RestLimits) {
        let is_error = response.status().is_client_error() || response.status().is_server_error();
        if !is_error || limits.deadline.is_none() || response.body().is_end_stream() {
            return;
        }
        let body = std::mem::take(response.body_mut()).erase();
        *response.body_mut() = Self::erased(ErrorBody::response(body, limits).boxed_unsync());
    }

    /// Erases the type of the inner body.
    pub(crate) fn erase(self) -> UnsyncBoxBody<Bytes, BoxError> {
        match self {
            Self { rest: Rest::Erased { body }, watchers: None, hold } if !hold.has_error() => {
                body.into_inner()
            }
            body => body.boxed_unsync(),
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        if let Some(polled) = this.hold.poll(cx) {
            return polled;
        }
        let Some(watchers) = this.watchers else {
            return this.hold.pass(this.rest.poll_frame(cx), |_| None, cx);
        };
        let Watchers { redactor, guard } = &mut **watchers;
        let poll_rest = |cx: &mut Context<'_>| match redactor {
            Some(redactor) => redactor.poll_frame(this.rest, cx),
            None => this.rest.poll_frame(cx),
        };
        let Some(guard) = guard else {
            return this.hold.pass(poll_rest(cx), |_| None, cx);
        };
        let mut has_stalled = false;
        let polled = match guard.take_error() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None if guard.is_over() => Poll::Ready(None),
            None => {
                let rest = poll_rest(cx);
                has_stalled = rest.is_pending();
                guard.pass(rest, cx)
            }
        };
        let held = redactor.as_mut().filter(|_| has_stalled && polled.is_ready()).and_then(Redactor::release);
        match (held, polled) {
            (None, polled) => this.hold.pass(polled, |error| guard.last_event(error), cx),
            (Some(held), Poll::Ready(Some(Err(error)))) => {
                let last = |error: &BoxError| Some(followed(held, guard.last_event(error)));
                this.hold.pass(Poll::Ready(Some(Err(error))), last, cx)
            }
            // The guard is over, so the end comes next.
            (Some(held), _) => this.hold.pass(Poll::Ready(Some(Ok(Frame::data(held)))), |_| None, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        if self.hold.has_error() {
            return false;
        }
        let says = match &self.rest {
            Rest::Untouched { body } => body.is_end_stream(),
            Rest::Begun { seen, body } => seen.is_empty() && body.as_ref().is_none_or(Body::is_end_stream),
            Rest::Erased { body } => body.is_end_stream(),
            Rest::Whole { data } => data.is_empty(),
        };
        let Some(Watchers { redactor, guard }) = self.watchers.as_deref() else { return says };
        let says = redactor.as_ref().map_or(says, |redactor| redactor.is_end_stream(says));
        guard.as_ref().map_or(says, |guard| guard.is_end_stream(says))
    }

    fn size_hint(&self) -> SizeHint {
        let own = match &self.rest {
            Rest::Untouched { body } => body.size_hint(),
            Rest::Begun { seen, body } => {
                let seen = seen.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref()).map(Bytes::len);
                let rest = body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
                longer(&rest, seen.sum())
            }
            Rest::Erased { body } => body.size_hint(),
            Rest::Whole { data } => SizeHint::with_exact(data.len() as u64),
        };
        let Some(Watchers { redactor, guard }) = self.watchers.as_deref() else { return own };
        let own = match redactor {
            Some(redactor) => redactor.size_hint(own),
            None => own,
        };
        match guard {
            Some(guard) => guard.size_hint(own),
            None => own,
        }
    }
}

impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::unwatched(Rest::Whole { data: Bytes::new() })
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rest, watchers: _, hold: _ } = self;
        let seen = if let Rest::Begun { seen, .. } = rest { seen.len() } else { 0 };
        f.debug_struct("ResponseBody").field("frames_seen", &seen).finish_non_exhaustive()
    }
}

/// Returns the beginning of an event that was cut, followed by the event that reports the error.
fn followed(begun: Bytes, event: Option<Bytes>) -> Bytes {
    let Some(event) = event else { return begun };
    let between = if event.starts_with(b"\n\n") { "" } else { "\n\n" };
    [&*begun, between.as_bytes(), &*event].concat().into()
}
