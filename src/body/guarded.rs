//! A response body after the commit: nothing can be sent again any more, but nothing has to be believed.
//!
//! A stream that is cut looks like one that ended, one that stalls looks like one that thinks, and one that is
//! complete may never end. The guard decodes events as their bytes pass, holds nothing back and changes
//! nothing, and says at the end what the end was worth: a cut, a break, an error among the events and a
//! silence that is too long become a [`StreamError`] in place of a clean end.
//!
//! An answer may be complete before its stream ends. After a finish reason the usage and the terminator may
//! follow, so the guard waits, but only for [`GRACE`]; what breaks then breaks nothing. After the terminator
//! nothing follows but the end of the connection's own framing. The guard stays for that as long as
//! [`LINGER`], since a connection that is left earlier can't be used again and the next request would pay
//! for a new one.
//!
//! Silence is counted only while somebody asks: a reader that is slow is no stall of the provider.

mod error;
mod watch;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::BoxError;

pub use self::error::StreamError;
pub(crate) use self::watch::UsageCell;
use self::watch::{End, Patience, Watch};

/// How long to wait for what may follow a finish reason.
const GRACE: Duration = Duration::from_secs(2);

/// How long to wait for the connection's own end after the terminator.
const LINGER: Duration = Duration::from_millis(50);

/// What to guard against, and where to say what was used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    /// How long nothing may come.
    pub(crate) idle: Option<Duration>,
    pub(crate) usage: UsageCell,
}

pin_project! {
    /// A response body whose end can be believed.
    ///
    /// Its bytes pass as they come; an end that is none is a [`StreamError`].
    pub(crate) struct GuardedBody<B> {
        #[pin]
        inner: B,
        watch: Watch,
        silence: Silence,
    }
}

/// How long nothing has come.
struct Silence {
    limit: Option<Duration>,
    /// Made when it is first needed, and then kept.
    timer: Option<Pin<Box<Sleep>>>,
    /// The timer runs for the silence of now.
    running: bool,
}

// === impl GuardedBody ===

impl<B> GuardedBody<B> {
    /// Guards an event stream. Of a body that has been looked at, `inner` is what gives all of it again; or
    /// else what was taken is to be [shown](Self::seen).
    pub(crate) fn new(inner: B, guard: Guard) -> Self {
        Self::with(inner, guard.idle, Watch::events(guard.usage))
    }

    /// Guards any other body: only against silence.
    pub(crate) fn plain(inner: B, guard: Guard) -> Self {
        Self::with(inner, guard.idle, Watch::answer(guard.usage))
    }

    fn with(inner: B, limit: Option<Duration>, watch: Watch) -> Self {
        Self { inner, watch, silence: Silence { limit, timer: None, running: false } }
    }
}

impl<B> Body for GuardedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        if this.watch.is_over() {
            return Poll::Ready(None);
        }
        let end = match this.inner.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.silence.running = false;
                if let Some(data) = frame.data_ref() {
                    this.watch.see(data);
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(Some(Err(error))) => End::Broken(error.into()),
            Poll::Ready(None) => End::Clean,
            Poll::Pending => {
                let patience = this.silence.patience(this.watch.patience());
                std::task::ready!(this.silence.poll(patience, cx));
                End::Silent(this.silence.limit)
            }
        };
        Poll::Ready(this.watch.end(end).map(|error| Err(error.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.watch.is_over() || (self.inner.is_end_stream() && self.watch.may_end())
    }

    fn size_hint(&self) -> SizeHint {
        if self.watch.is_over() {
            return SizeHint::with_exact(0);
        }
        let inner = self.inner.size_hint();
        match inner.upper() {
            // An event stream may be left before its end.
            Some(upper) if self.watch.is_events() => {
                let mut hint = SizeHint::new();
                hint.set_upper(upper);
                hint
            }
            None if self.watch.is_events() => SizeHint::new(),
            _ => inner,
        }
    }
}

impl<B> fmt::Debug for GuardedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner: _, watch, silence } = self;
        f.debug_struct("GuardedBody")
            .field("over", &watch.is_over())
            .field("idle", &silence.limit)
            .finish_non_exhaustive()
    }
}

// === impl Silence ===

impl Silence {
    fn patience(&self, patience: Patience) -> Option<Duration> {
        let least = |most: Duration| Some(self.limit.map_or(most, |limit| limit.min(most)));
        match patience {
            Patience::Limit => self.limit,
            Patience::Grace => least(GRACE),
            Patience::Linger => least(LINGER),
        }
    }

    fn poll(&mut self, patience: Option<Duration>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.running {
            let Some(until) = patience.and_then(|patience| Instant::now().checked_add(patience)) else {
                return Poll::Pending;
            };
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(until),
                None => self.timer = Some(Box::pin(sleep_until(until))),
            }
            self.running = true;
        }
        self.timer.as_mut().map_or(Poll::Pending, |timer| timer.as_mut().poll(cx))
    }
}

#[cfg(test)]
mod tests;
