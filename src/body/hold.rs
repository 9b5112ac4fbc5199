//! An error of a body that waits until the data before it can be flushed.
//!
//! HTTP servers buffer what a body gives and flush it when the body has nothing more for now. A body that
//! fails instead has its connection or stream closed, and what is buffered is lost: the last event of a stream, or the
//! head itself. So an error never follows data at once: the body is pending in between, and wakes its task.

use std::pin::pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::task::yield_now;
use tower::BoxError;

use crate::body::Polled;

/// What stands between the last data of a body and its error.
#[derive(Debug, Default)]
pub(super) enum Hold {
    /// The head, or data, was given since the body was last pending.
    #[default]
    Unflushed,
    /// Nothing was given since.
    Flushed,
    /// The error comes after one more pending.
    Waits(BoxError),
    /// The error comes next.
    Due(BoxError),
}

// === impl Hold ===

impl Hold {
    /// Whether an error is yet to come.
    pub(super) const fn has_error(&self) -> bool {
        matches!(self, Self::Waits(_) | Self::Due(_))
    }

    /// The error, if there is one to come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Option<Polled> {
        match std::mem::replace(self, Self::Flushed) {
            Self::Waits(error) => Some(self.wait(error, cx)),
            Self::Due(error) => Some(Poll::Ready(Some(Err(error)))),
            quiet => {
                *self = quiet;
                None
            }
        }
    }

    /// Passes on what polling a body brought; an error waits if there may be something to flush before it.
    /// `last` is data to give before the error.
    pub(super) fn pass(
        &mut self,
        polled: Polled,
        last: impl FnOnce(&BoxError) -> Option<Bytes>,
        cx: &mut Context<'_>,
    ) -> Polled {
        match polled {
            Poll::Ready(Some(Err(error))) => match last(&error) {
                Some(data) => {
                    *self = Self::Waits(error);
                    Poll::Ready(Some(Ok(Frame::data(data))))
                }
                None if matches!(self, Self::Unflushed) => self.wait(error, cx),
                None => Poll::Ready(Some(Err(error))),
            },
            Poll::Ready(Some(Ok(frame))) => {
                *self = Self::Unflushed;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                *self = Self::Flushed;
                Poll::Pending
            }
        }
    }

    /// Lets other tasks run before the body is asked again: over HTTP/2 it is another task that flushes.
    fn wait(&mut self, error: BoxError, cx: &mut Context<'_>) -> Polled {
        *self = Self::Due(error);
        if pin!(yield_now()).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
