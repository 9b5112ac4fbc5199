//! A response body after the commit: nothing can be sent again any more, but nothing has to be believed.
//!
//! A stream that is cut looks like one that ended, one that stalls looks like one that thinks, and one that is
//! complete may never end. The guard decodes events as their bytes pass, holds nothing back and changes
//! nothing, and says at the end what the end was worth: a cut, a break, an error among the events and a
//! silence that is too long become a [`StreamError`] in place of a clean end. A malformed event ends the stream
//! where it is: it is the last thing that passes.
//!
//! An answer may be complete before its stream ends. After a finish reason the usage and the terminator may
//! follow, so the guard waits, but only for [`GRACE`](idle::GRACE); what breaks then breaks nothing. After the terminator
//! nothing follows but the end of the connection's own framing. The guard stays for that as long as
//! [`LINGER`](idle::LINGER), since a connection that is left earlier can't be used again and the next request would pay
//! for a new one.
//!
//! Silence is counted only while the reader asks: a reader that is slow is no stall of the provider. Comments, pings
//! and other events without content keep a stream alive, but not for ever: see [`idle`].
//!
//! All that is what a chain wants, which promises that a stream is complete. Without one the guard only notes
//! what the body says of its usage, and passes its end on as it is.

mod error;
mod events;
mod in_band;
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
pub(crate) use crate::body::guard::usage_slot::{BodyEnd, EndListener, Settle, UsageSlot};
use crate::body::guard::watch::{End, StreamMonitor};

/// Watches a body as it passes.
pub(crate) struct StreamGuard {
    watch: StreamMonitor,
    /// `None`: only the usage is noted, and the end is what it is.
    idle: Option<IdleTimer>,
    /// What comes in place of what follows: the stream is malformed. In a box, for most are not.
    error: Option<Box<StreamError>>,
}

// === impl Guard ===

impl StreamGuard {
    /// Notes what the body says of its usage, and changes nothing. `streamed`: it is an event stream that can
    /// be read.
    pub(crate) fn metering(streamed: bool, usage: UsageSlot) -> Self {
        Self { watch: StreamMonitor::new(streamed, false, Some(usage)), idle: None, error: None }
    }

    /// Changes nothing, and reads nothing; holds on to the usage for whoever can read the body.
    pub(crate) const fn holding(usage: UsageSlot) -> Self {
        Self { watch: StreamMonitor::holding(usage), idle: None, error: None }
    }

    /// Believes the end of an event stream only if it is one, and waits for any body no longer than `idle`.
    pub(crate) fn strict(streamed: bool, usage: Option<UsageSlot>, idle: Option<Duration>) -> Self {
        Self {
            watch: StreamMonitor::new(streamed, true, usage),
            idle: Some(IdleTimer::new(idle)),
            error: None,
        }
    }

    /// Has an error told as the last event too, if the body is an event stream; in the dialect of the events
    /// that pass, or else in this one. `None`: it is not told.
    pub(crate) fn with_error_events(mut self, dialect: Option<EventDialect>) -> Self {
        if let Some(supposed) = dialect {
            self.watch.tell_errors(supposed);
        }
        self
    }

    /// Nothing comes any more.
    pub(super) const fn is_over(&self) -> bool {
        self.watch.is_over() && self.error.is_none()
    }

    /// The error of a stream that was malformed.
    pub(super) fn take_error(&mut self) -> Option<BoxError> {
        self.error.take().map(|error| error as BoxError)
    }

    /// The event that tells an error to the caller, before the error itself.
    pub(super) fn last_event(&self, error: &BoxError) -> Option<Bytes> {
        self.watch.last_event(error)
    }

    /// Looks at what polling the body brought; says what it is worth.
    pub(super) fn pass(&mut self, polled: Polled, cx: &mut Context<'_>) -> Polled {
        let end = match polled {
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

    /// Looks at a frame; it is cut off behind a malformed event.
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

    /// Whether the body ends here, which says so itself or does not.
    pub(super) fn is_end_stream(&self, says: bool) -> bool {
        self.is_over() || (says && (self.idle.is_none() || self.watch.may_end()))
    }

    /// What is left of a body, whose own hint is given.
    pub(super) fn size_hint(&self, own: SizeHint) -> SizeHint {
        if self.is_over() {
            return SizeHint::with_exact(0);
        }
        if self.watch.tells_errors() {
            return SizeHint::new();
        }
        if self.idle.is_none() || !self.watch.is_events() {
            return own;
        }
        // An event stream may be left before its end.
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
