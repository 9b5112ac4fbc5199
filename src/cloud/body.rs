//! The body of a response that came through a [`CloudLayer`](crate::cloud::CloudLayer).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Either;
use http_body_util::combinators::UnsyncBoxBody;
use pin_project_lite::pin_project;
use tower::BoxError;

pin_project! {
    /// The body of a response that came through a [`CloudLayer`](crate::cloud::CloudLayer): as it came, or converted.
    pub struct CloudBody<B> {
        #[pin]
        body: Either<B, UnsyncBoxBody<Bytes, BoxError>>,
    }
}

// === impl CloudBody ===

impl<B> CloudBody<B> {
    pub(super) const fn unchanged(body: B) -> Self {
        Self { body: Either::Left(body) }
    }

    #[cfg(any(feature = "eventstream", feature = "sigv4"))]
    pub(super) const fn converted(body: UnsyncBoxBody<Bytes, BoxError>) -> Self {
        Self { body: Either::Right(body) }
    }
}

impl<B> Body for CloudBody<B>
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
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for CloudBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CloudBody")
    }
}
