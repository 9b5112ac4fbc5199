//! The body of a response whose ids are remembered.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::affinity::passing::Passing;
use crate::affinity::{Affinity, Origin};

pin_project! {
    /// The body of a response whose ids are remembered as they pass.
    pub(super) struct Learning<B> {
        #[pin]
        body: B,
        affinity: Arc<Affinity>,
        origin: Origin,
        passing: Passing,
    }
}

// === impl Learning ===

impl<B> Learning<B> {
    pub(super) fn new(body: B, affinity: Arc<Affinity>, origin: Origin) -> Self {
        Self { body, affinity, origin, passing: Passing::default() }
    }
}

impl<B: Body<Data = Bytes>> Body for Learning<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.passing.see(data, |id| this.affinity.remember(std::iter::once(id), this.origin));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
