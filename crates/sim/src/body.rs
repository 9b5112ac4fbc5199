//! A response body that waits, stops and breaks as its script says.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::error::SimError;
use super::state::Open;

/// The response body of a [`Simulator`](super::Simulator).
///
/// A stream yields one frame per event; any other body yields frames of at most 64 KiB. A wait before a frame
/// begins when the body is polled for that frame. The call counts as in flight until its body has ended or is
/// dropped.
pub struct SimBody {
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Bytes that are still in `steps`.
    left: u64,
    /// Whether the body will have exactly the length that was announced.
    exact: bool,
    open: Option<Open>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Data(Bytes),
    Wait(Duration),
    /// Returns `Pending` once, so that the transport sends what it has buffered. A body that failed at once
    /// would make the transport throw that away.
    Flush,
    Hang,
    Reset,
}

// === impl SimBody ===

impl SimBody {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>, exact: bool, open: Open) -> Self {
        let steps: VecDeque<Step> = steps.into_iter().collect();
        let left = steps.iter().map(Step::len).sum();
        let open = (!steps.is_empty()).then_some(open);
        Self { steps, sleep: None, left, exact, open }
    }

    fn step(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, SimError>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(context));
                self.sleep = None;
            }
            match self.steps.front() {
                None => return Poll::Ready(None),
                // No wake-up is registered: the stall ends only when the caller gives up.
                Some(Step::Hang) => return Poll::Pending,
                Some(_) => {}
            }
            match self.steps.pop_front() {
                Some(Step::Data(bytes)) => {
                    self.left = self.left.saturating_sub(bytes.len() as u64);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Step::Wait(time)) => self.sleep = Some(Box::pin(tokio::time::sleep(time))),
                Some(Step::Flush) => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Reset) => {
                    self.steps.clear();
                    return Poll::Ready(Some(Err(SimError::reset())));
                }
                Some(Step::Hang) | None => {}
            }
        }
    }
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = SimError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SimError>>> {
        let this = self.get_mut();
        let item = ready!(this.step(context));
        if this.is_end_stream() {
            this.open = None;
        }
        Poll::Ready(item.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.sleep.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.exact { SizeHint::with_exact(self.left) } else { SizeHint::default() }
    }
}

impl fmt::Debug for SimBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, sleep: _, left, exact, open } = self;
        f.debug_struct("SimBody")
            .field("steps", &steps.len())
            .field("bytes_left", left)
            .field("exact", exact)
            .field("open", &open.is_some())
            .finish_non_exhaustive()
    }
}

// === impl Step ===

impl Step {
    fn len(&self) -> u64 {
        match self {
            Self::Data(bytes) => bytes.len() as u64,
            Self::Wait(_) | Self::Flush | Self::Hang | Self::Reset => 0,
        }
    }
}
