//! An adapter that turns any request body into one of `Bytes` and forwards its length and its end.
//!
//! The adapter of `http-body-util` that maps frames loses the length, and with it `Content-Length`.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::BoxError;

pin_project! {
    pub(in crate::body) struct IntoBytes<B> {
        #[pin]
        pub(in crate::body) body: B,
    }
}

impl<B> Body for IntoBytes<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let into_bytes = |mut data: B::Data| data.copy_to_bytes(data.remaining());
        let frame = self.project().body.poll_frame(cx);
        frame
            .map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(into_bytes)).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
