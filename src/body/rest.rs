//! The part of a response body that is still to come.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::BoxError;

use crate::body::erased::Erased;

pin_project! {
    /// The part of a body that is still to come.
    #[project = RestProjection]
    pub(crate) enum Rest<B> {
        /// Never inspected.
        Untouched { #[pin] body: B },
        /// Inspected and therefore boxed. The frames that were read come first. `None`: they were the whole body.
        Begun { seen: VecDeque<Result<Frame<Bytes>, BoxError>>, body: Option<Pin<Box<B>>> },
        /// Of another type: a response kept in an error, or one made by this crate.
        Erased { body: Erased },
        /// All of it in one piece.
        Whole { data: Bytes },
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
                None => match body {
                    Some(body) => body.as_mut().poll_frame(cx).map_err(Into::into),
                    None => Poll::Ready(None),
                },
            },
            RestProjection::Erased { body } => Pin::new(body).poll_frame(cx),
            RestProjection::Whole { data } => {
                let data = std::mem::take(data);
                Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
            }
        }
    }
}

impl<B> Rest<B> {
    /// Returns a copy of the part that was read.
    pub(crate) fn begun(&self) -> Vec<u8> {
        match self {
            Self::Begun { seen, .. } => {
                let frames = seen.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref());
                frames.flat_map(|data| data.iter().copied()).collect()
            }
            Self::Whole { data } => data.to_vec(),
            Self::Untouched { .. } | Self::Erased { .. } => Vec::new(),
        }
    }
}

/// Returns the size hint of a body with `by` more bytes before it.
pub(super) fn longer(rest: &SizeHint, by: usize) -> SizeHint {
    let mut hint = SizeHint::new();
    hint.set_lower(rest.lower().saturating_add(by as u64));
    if let Some(upper) = rest.upper() {
        hint.set_upper(upper.saturating_add(by as u64));
    }
    hint
}
