//! The delay of a body's error until the data before it can be flushed.
//!
//! HTTP servers buffer the data of a body and flush them when the body has nothing more for now. If a body fails
//! instead, its connection or stream is closed and the buffered data are lost: the last event of a stream, or the
//! head itself. So an error never follows data immediately: the body is pending in between, and wakes its task.

use std::pin::pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::task::yield_now;
use tower::BoxError;

use crate::body::Polled;

/// The state between the last data of a body and its error.
#[derive(Debug, Default)]
pub(super) enum Hold {
    /// The head, or data, was returned since the body was last pending.
    #[default]
    Unflushed,
    /// Nothing was returned since.
    Flushed,
    /// The error follows after the body was pending once more.
    Waits(BoxError),
    /// The error is next.
    Due(BoxError),
}

// === impl Hold ===

impl Hold {
    /// Returns whether an error is still to come.
    pub(super) const fn has_error(&self) -> bool {
        matches!(self, Self::Waits(_) | Self::Due(_))
    }

    /// Returns the error if it is next, or pending if it has to wait. `None` if there is no error.
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

    /// Passes on the result of polling a body. An error waits if there may be something to flush before it. `last`
    /// returns data to pass on before the error.
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

    /// Lets other tasks run before the body is polled again: over HTTP/2 another task flushes.
    fn wait(&mut self, error: BoxError, cx: &mut Context<'_>) -> Polled {
        *self = Self::Due(error);
        if pin!(yield_now()).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
