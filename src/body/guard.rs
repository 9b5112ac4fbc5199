//! The guard of a response body after the commit, when the request can't be sent again any more.
//!
//! A stream that is cut looks like one that ended, a stalled one looks like a model that thinks, and a complete
//! one may never end. The guard decodes events as their bytes pass, holds nothing back and changes nothing, and
//! checks the end: a cut, a break, an error among the events and a pause that is too long become a
//! [`StreamError`] in place of a clean end. A malformed event ends the stream. It is the last thing that
//! passes.
//!
//! A response may be complete before its stream ends. After a finish reason the usage and the terminator may
//! follow, so the guard waits, but only for [`GRACE`](idle::GRACE); a break in that time is not an error. After
//! the terminator only the end of the connection's own framing follows. The guard waits for that up to
//! [`LINGER`](idle::LINGER), because a connection that is abandoned earlier can't be reused and the next
//! request would pay for a new one.
//!
//! A pause is counted only while the reader polls: a slow reader is not a stall of the provider. Comments,
//! pings and other events without content keep a stream alive, but not forever: see [`idle`].
//!
//! All this is for a chain, which promises that a stream is complete. Without a chain the guard only reads the
//! usage from the body, and passes its end on unchanged.

mod document;
mod error;
mod events;
mod in_band;
mod outline;
mod watch;

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tower::BoxError;

use crate::body::Polled;
pub use crate::body::guard::error::{StreamError, StreamErrorKind};
use crate::body::guard::idle::IdleTimer;
pub(crate) use crate::body::guard::in_band::EventDialect;
pub(crate) use crate::body::guard::outline::Shape;
pub(crate) use crate::body::guard::usage_slot::{BodyEnd, EndListener, Settle, UsageSlot};
use crate::body::guard::watch::{End, StreamMonitor};

/// Watches a body as it passes.
pub(crate) struct StreamGuard {
    watch: StreamMonitor,
    /// `None`: only the usage is read, and the end is not checked.
    idle: Option<IdleTimer>,
    /// The error that follows a malformed event. Boxed, because most streams have none.
    error: Option<Box<StreamError>>,
}

// === impl StreamGuard ===

impl StreamGuard {
    /// Creates a guard that reads the usage and changes nothing. `streamed`: the body is a readable event stream.
    pub(crate) fn metering(streamed: bool, usage: UsageSlot) -> Self {
        Self { watch: StreamMonitor::new(streamed, false, Some(usage)), idle: None, error: None }
    }

    /// Creates a guard that reads and changes nothing. It keeps the usage slot for a layer that can read the body.
    pub(crate) const fn holding(usage: UsageSlot) -> Self {
        Self { watch: StreamMonitor::holding(usage), idle: None, error: None }
    }

    /// Creates a guard that checks the end of an event stream, and limits each pause of any body to `idle`.
    pub(crate) fn strict(streamed: bool, usage: Option<UsageSlot>, idle: Option<Duration>) -> Self {
        Self {
            watch: StreamMonitor::new(streamed, true, usage),
            idle: Some(IdleTimer::new(idle)),
            error: None,
        }
    }

    /// Checks the end of a success whose body is not known to be an event stream: it is one if it begins like one. A body of
    /// a known shape is truncated without its end. For a strict guard.
    pub(crate) fn of_success(mut self, shape: Shape) -> Self {
        if self.idle.is_some() {
            self.watch.expect(shape);
        }
        self
    }

    /// Sets whether an error is also reported as the last event of an event stream. The event has the dialect
    /// of the events that passed, or else the given one. `None`: no such event.
    pub(crate) fn set_error_events(&mut self, dialect: Option<EventDialect>) {
        if let Some(supposed) = dialect {
            self.watch.tell_errors(supposed);
        }
    }

    /// Returns whether nothing follows any more.
    pub(super) const fn is_over(&self) -> bool {
        self.watch.is_over() && self.error.is_none()
    }

    /// Takes the error of a malformed stream.
    pub(super) fn take_error(&mut self) -> Option<BoxError> {
        self.error.take().map(|error| error as BoxError)
    }

    /// Returns the event that reports an error to the caller, before the error itself.
    pub(super) fn last_event(&self, error: &BoxError) -> Option<Bytes> {
        self.watch.last_event(error)
    }

    /// Checks the result of polling the body, and returns the result for the reader.
    pub(super) fn pass(&mut self, polled: Polled, cx: &mut Context<'_>) -> Polled {
        let end = match polled {
            // A server takes trailers for the end, and sends no error behind them.
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() && self.idle.is_some() => {
                let worth = self.watch.end(End::Clean);
                return Poll::Ready(Some(worth.map_or(Ok(frame), |worth| Err(worth.into()))));
            }
            Poll::Ready(Some(Ok(frame))) => {
                let frame = self.see(frame);
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(Some(Err(error))) if self.idle.is_none() => {
                self.watch.finish(BodyEnd::Failed(StreamErrorKind::Broken));
                return Poll::Ready(Some(Err(error)));
            }
            Poll::Ready(Some(Err(error))) => End::Broken(error),
            Poll::Ready(None) => End::Clean,
            Poll::Pending => {
                let Some(idle) = &mut self.idle else { return Poll::Pending };
                std::task::ready!(idle.poll(self.watch.allowed_idle(), cx));
                End::Silent(idle.limit)
            }
        };
        let worth = self.watch.end(end);
        Poll::Ready(worth.map(|worth| Err(worth.into())))
    }

    /// Checks a frame, and cuts it off behind a malformed event.
    fn see(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let looks = self.idle.as_mut().is_some_and(|idle| idle.is_due(self.watch.allowed_idle()));
        let sound = frame.data_ref().and_then(|data| Some(data.slice(..self.watch.see(data, looks)?)));
        if let Some(idle) = &mut self.idle {
            idle.interrupt(self.watch.is_idle(), looks, self.watch.allowed_idle());
        }
        match sound {
            Some(sound) => {
                self.error = self.watch.end(End::Malformed).map(Box::new);
                Frame::data(sound)
            }
            None => frame,
        }
    }

    /// Returns whether the body ends here. `says`: the body's own statement.
    pub(super) fn is_end_stream(&self, says: bool) -> bool {
        self.is_over() || (says && (self.idle.is_none() || self.watch.may_end()))
    }

    /// Returns the size hint of the rest of a body, given the body's own hint.
    pub(super) fn size_hint(&self, own: SizeHint) -> SizeHint {
        if self.is_over() {
            return SizeHint::with_exact(0);
        }
        if self.watch.tells_errors() {
            return SizeHint::new();
        }
        let is_checked = self.watch.is_events() || self.watch.has_outline();
        if self.idle.is_none() || !is_checked || own.exact() == Some(0) {
            return own;
        }
        if !self.watch.is_events() {
            // A server sends no error behind the last byte of a length that it has stated.
            let mut hint = SizeHint::new();
            hint.set_lower(own.lower());
            return hint;
        }
        // An event stream may end before its body does.
        let mut hint = SizeHint::new();
        if let Some(upper) = own.upper() {
            hint.set_upper(upper);
        }
        hint
    }
}

pub(in crate::body) mod idle;
#[cfg(test)]
mod tests;
pub(in crate::body) mod usage_slot;
