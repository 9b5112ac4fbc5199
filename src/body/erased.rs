//! A body whose type is erased and which is `Sync`.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use sync_wrapper::SyncWrapper;
use tower::BoxError;

/// A boxed body. The wrapper that makes it `Sync` gives no access without `&mut`, so the end and the size hint are
/// read after each poll.
pub(super) struct Erased {
    body: SyncWrapper<UnsyncBoxBody<Bytes, BoxError>>,
    ended: bool,
    hint: SizeHint,
}

// === impl Erased ===

impl Erased {
    pub(super) fn new(body: UnsyncBoxBody<Bytes, BoxError>) -> Self {
        let (ended, hint) = (body.is_end_stream(), body.size_hint());
        Self { body: SyncWrapper::new(body), ended, hint }
    }

    pub(super) fn into_inner(self) -> UnsyncBoxBody<Bytes, BoxError> {
        self.body.into_inner()
    }
}

impl Body for Erased {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { body, ended, hint } = &mut *self;
        let body = body.get_mut();
        let polled = Pin::new(&mut *body).poll_frame(cx);
        (*ended, *hint) = (body.is_end_stream(), body.size_hint());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
