//! A response body that waits, stalls and breaks in the places that a fault decides.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::in_flight::InFlight;
use crate::error::SimError;

/// The response body of a [`Simulator`](crate::Simulator).
///
/// A stream yields one frame per event; any other body yields frames of at most 64 KiB. A wait before a frame
/// begins when the body is polled for that frame. The call counts as in flight until its body has ended or is
/// dropped.
pub struct SimBody {
    steps: VecDeque<BodyStep>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Number of bytes in `steps`.
    left: u64,
    /// Whether `left` is the length of the rest. A body that a fault cuts has no known length.
    exact: bool,
    in_flight: Option<InFlight>,
}

/// One step of sending a body.
#[derive(Clone, Debug)]
pub(super) enum BodyStep {
    Data(Bytes),
    Wait(Duration),
    /// Returns `Pending` once, so that the transport sends what it has buffered. Without it, a
    /// transport discards its buffer when the body fails.
    Flush,
    /// Never continues.
    Hang,
    /// Fails as if the connection broke.
    Reset,
}

// === impl SimBody ===

impl SimBody {
    pub(super) fn new(steps: impl IntoIterator<Item = BodyStep>, exact: bool, in_flight: InFlight) -> Self {
        let steps: VecDeque<BodyStep> = steps.into_iter().collect();
        let left = steps.iter().map(BodyStep::len).sum();
        // A body without a step has ended already.
        let in_flight = (!steps.is_empty()).then_some(in_flight);
        Self { steps, sleep: None, left, exact, in_flight }
    }

    /// Returns a body that has ended.
    pub(super) const fn empty() -> Self {
        Self { steps: VecDeque::new(), sleep: None, left: 0, exact: true, in_flight: None }
    }

    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, SimError>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(context));
                self.sleep = None;
            }
            match self.steps.front() {
                None => return Poll::Ready(None),
                // No wake-up is registered: the stall ends only when the caller gives up.
                Some(BodyStep::Hang) => return Poll::Pending,
                Some(_) => {}
            }
            match self.steps.pop_front() {
                Some(BodyStep::Data(bytes)) => {
                    self.left = self.left.saturating_sub(bytes.len() as u64);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(BodyStep::Wait(time)) => self.sleep = Some(Box::pin(tokio::time::sleep(time))),
                Some(BodyStep::Flush) => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(BodyStep::Reset) => {
                    self.steps.clear();
                    return Poll::Ready(Some(Err(SimError::reset())));
                }
                Some(BodyStep::Hang) | None => {}
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
        let item = ready!(this.poll_step(context));
        if this.is_end_stream() {
            this.in_flight = None;
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
        let Self { steps, sleep: _, left, exact, in_flight } = self;
        f.debug_struct("SimBody")
            .field("steps", &steps.len())
            .field("bytes_left", left)
            .field("exact", exact)
            .field("in_flight", &in_flight.is_some())
            .finish_non_exhaustive()
    }
}

// === impl BodyStep ===

impl BodyStep {
    fn len(&self) -> u64 {
        match self {
            Self::Data(bytes) => bytes.len() as u64,
            Self::Wait(_) | Self::Flush | Self::Hang | Self::Reset => 0,
        }
    }
}
