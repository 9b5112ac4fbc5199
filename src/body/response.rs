//! A response body that was looked at before it was passed on, is watched as it passes, and does not show a key.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use pin_project_lite::pin_project;
use tower::BoxError;

use super::guard::Guard;
use super::redact::Redactor;

pin_project! {
    /// The body of a response that came through a layer of this crate.
    ///
    /// What was looked at comes first, byte for byte and errors in their place; the rest passes through
    /// untouched, with nothing buffered and back-pressure kept. Out of a [chain](crate::fallback) an event
    /// stream that ends before its answer is complete ends with a [`StreamError`](super::StreamError).
    pub struct ResponseBody<B> {
        #[pin]
        rest: Rest<B>,
        // `None`: no key is known here.
        redactor: Option<Redactor>,
        guard: Option<Guard>,
    }
}

pin_project! {
    /// What is still to come of a body.
    #[project = RestProjection]
    pub(crate) enum Rest<B> {
        /// Never looked at.
        Untouched { #[pin] body: B },
        /// Looked at, hence pinned to a place; what was seen of it comes before it.
        Begun { seen: VecDeque<Result<Frame<Bytes>, BoxError>>, body: Pin<Box<B>> },
        /// Of another type: an answer kept in an error, or one of our own.
        Erased { body: UnsyncBoxBody<Bytes, BoxError> },
    }
}

// === impl ResponseBody ===

impl<B> ResponseBody<B> {
    /// A body that nobody looked at.
    pub(crate) const fn untouched(body: B) -> Self {
        Self::unwatched(Rest::Untouched { body })
    }

    /// A body that has no guard yet.
    pub(crate) const fn unwatched(rest: Rest<B>) -> Self {
        Self { rest, redactor: None, guard: None }
    }

    /// Has the key taken out of the body.
    pub(crate) fn redact(mut self, redactor: Option<Redactor>) -> Self {
        self.redactor = redactor;
        self
    }

    /// A body of another type.
    pub(crate) const fn erased(body: UnsyncBoxBody<Bytes, BoxError>) -> Self {
        Self::unwatched(Rest::Erased { body })
    }

    /// Has the body watched from its beginning; it has no guard yet.
    pub(crate) fn watch(&mut self, guard: Guard) {
        self.guard = Some(guard);
    }

    #[cfg(test)]
    pub(super) fn guarded(mut self, guard: Guard) -> Self {
        self.watch(guard);
        self
    }
}

impl<B> ResponseBody<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// Forgets the type of the body within.
    pub(crate) fn erase(self) -> UnsyncBoxBody<Bytes, BoxError> {
        match self {
            Self { rest: Rest::Erased { body }, redactor: None, guard: None } => body,
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
        if this.guard.as_ref().is_some_and(Guard::is_over) {
            return Poll::Ready(None);
        }
        let polled = match this.redactor {
            Some(redactor) => redactor.poll_frame(this.rest, cx),
            None => this.rest.poll_frame(cx),
        };
        match this.guard {
            Some(guard) => guard.pass(polled, cx),
            None => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        let says = match &self.rest {
            Rest::Untouched { body } => body.is_end_stream(),
            Rest::Begun { seen, body } => seen.is_empty() && body.is_end_stream(),
            Rest::Erased { body } => body.is_end_stream(),
        };
        let says = self.redactor.as_ref().map_or(says, |redactor| redactor.is_end_stream(says));
        self.guard.as_ref().map_or(says, |guard| guard.is_end_stream(says))
    }

    fn size_hint(&self) -> SizeHint {
        let own = match &self.rest {
            Rest::Untouched { body } => body.size_hint(),
            Rest::Begun { seen, body } => {
                let seen = seen.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref()).map(Bytes::len);
                longer(&body.size_hint(), seen.sum())
            }
            Rest::Erased { body } => body.size_hint(),
        };
        let own = match &self.redactor {
            Some(redactor) => redactor.size_hint(own),
            None => own,
        };
        match &self.guard {
            Some(guard) => guard.size_hint(own),
            None => own,
        }
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rest, redactor: _, guard: _ } = self;
        let seen = if let Rest::Begun { seen, .. } = rest { seen.len() } else { 0 };
        f.debug_struct("ResponseBody").field("frames_seen", &seen).finish_non_exhaustive()
    }
}

// === impl Rest ===

impl<B> Rest<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    pub(super) fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project() {
            RestProjection::Untouched { body } => body.poll_frame(cx).map_err(Into::into),
            RestProjection::Begun { seen, body } => match seen.pop_front() {
                Some(frame) => Poll::Ready(Some(frame)),
                None => body.as_mut().poll_frame(cx).map_err(Into::into),
            },
            RestProjection::Erased { body } => Pin::new(body).poll_frame(cx),
        }
    }
}

/// The hint for a body with so many bytes before it.
pub(super) fn longer(rest: &SizeHint, by: usize) -> SizeHint {
    let mut hint = SizeHint::new();
    hint.set_lower(rest.lower().saturating_add(by as u64));
    if let Some(upper) = rest.upper() {
        hint.set_upper(upper.saturating_add(by as u64));
    }
    hint
}
