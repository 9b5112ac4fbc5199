//! A response body that was looked at before it was passed on.

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

pin_project! {
    /// The body of a response that came through a layer of this crate.
    ///
    /// What was looked at comes first, byte for byte and errors in their place; the rest passes through
    /// untouched, with nothing buffered and back-pressure kept.
    pub struct ResponseBody<B> {
        seen: VecDeque<Result<Frame<Bytes>, BoxError>>,
        #[pin]
        rest: Rest<B>,
    }
}

pin_project! {
    #[project = RestProjection]
    enum Rest<B> {
        /// Never looked at.
        Untouched { #[pin] body: B },
        /// Looked at, hence pinned to a place.
        Begun { body: Pin<Box<B>> },
        /// Of another type: an answer kept in an error, or one of our own.
        Erased { body: UnsyncBoxBody<Bytes, BoxError> },
    }
}

// === impl ResponseBody ===

impl<B> ResponseBody<B> {
    /// A body that nobody looked at.
    pub(crate) const fn untouched(body: B) -> Self {
        Self { seen: VecDeque::new(), rest: Rest::Untouched { body } }
    }

    /// A body of which `seen` was taken.
    pub(crate) const fn begun(seen: VecDeque<Result<Frame<Bytes>, BoxError>>, body: Pin<Box<B>>) -> Self {
        Self { seen, rest: Rest::Begun { body } }
    }

    /// A body of another type.
    pub(crate) const fn erased(body: UnsyncBoxBody<Bytes, BoxError>) -> Self {
        Self { seen: VecDeque::new(), rest: Rest::Erased { body } }
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
            Self { seen, rest: Rest::Erased { body } } if seen.is_empty() => body,
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
        if let Some(frame) = this.seen.pop_front() {
            return Poll::Ready(Some(frame));
        }
        match this.rest.project() {
            RestProjection::Untouched { body } => body.poll_frame(cx).map_err(Into::into),
            RestProjection::Begun { body } => body.as_mut().poll_frame(cx).map_err(Into::into),
            RestProjection::Erased { body } => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.seen.is_empty()
            && match &self.rest {
                Rest::Untouched { body } => body.is_end_stream(),
                Rest::Begun { body } => body.is_end_stream(),
                Rest::Erased { body } => body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let rest = match &self.rest {
            Rest::Untouched { body } => body.size_hint(),
            Rest::Begun { body } => body.size_hint(),
            Rest::Erased { body } => body.size_hint(),
        };
        let seen = self.seen.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref()).map(Bytes::len);
        longer(&rest, seen.sum())
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seen, rest: _ } = self;
        f.debug_struct("ResponseBody").field("frames_seen", &seen.len()).finish_non_exhaustive()
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
