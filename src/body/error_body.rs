//! The body of a response that reports an error.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, SizeHint};
use http_body_util::Full;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::BoxError;

use crate::body::erased::Erased;
use crate::body::hold::Hold;
use crate::body::{Polled, StreamError};

/// The body of a response that reports an error: a JSON text, or the body of the provider's last response.
///
/// The part of the provider's response that was read comes first, byte for byte. The rest passes under a time limit
/// for each pause, and until the request's deadline. Past either limit the body ends with an error. The default is
/// an empty body.
#[derive(Default)]
pub struct ErrorBody(Kind);

enum Kind {
    Text(Full<Bytes>),
    /// Boxed, because it is several times as large.
    Response(Box<Limited>),
}

/// The time limits for the rest of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestLimits {
    /// Maximum length of a pause.
    pub(crate) idle: Duration,
    pub(crate) deadline: Option<Instant>,
}

/// A response's body with its time limits.
struct Limited {
    body: Erased,
    limits: RestLimits,
    /// Number of bytes that still pass without a look at the clock, because they may have been read before.
    free: usize,
    /// Runs while nothing comes.
    timer: Option<Pin<Box<Sleep>>>,
    is_over: bool,
    hold: Hold,
}

/// The error of a response whose rest did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("the deadline passed before the rest of the response came")]
struct DeadlinePassed;

/// Number of bytes that pass without a look at the clock (64 KiB): the default amount that is read of an error
/// response.
const FREE: usize = 64 * 1024;

// === impl RestLimits ===

impl RestLimits {
    /// Maximum length of a pause if no other limit is set (10 s).
    const IDLE: Duration = Duration::from_secs(10);

    pub(crate) fn new(idle: Option<Duration>, deadline: Option<Instant>) -> Self {
        Self { idle: idle.unwrap_or(Self::IDLE), deadline }
    }
}

// === impl ErrorBody ===

impl ErrorBody {
    pub(crate) fn text(text: String) -> Self {
        Self(Kind::Text(Full::from(text)))
    }

    /// Creates the body of a response.
    pub(crate) fn response(body: UnsyncBoxBody<Bytes, BoxError>, limits: RestLimits) -> Self {
        let body = Erased::new(body);
        let hold = Hold::Unflushed;
        Self(Kind::Response(Box::new(Limited {
            body,
            limits,
            free: FREE,
            timer: None,
            is_over: false,
            hold,
        })))
    }
}

impl Body for ErrorBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        match &mut self.0 {
            Kind::Text(text) => Pin::new(text).poll_frame(cx).map_err(|never| match never {}),
            Kind::Response(response) => response.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Text(text) => text.is_end_stream(),
            Kind::Response(response) => {
                !response.hold.has_error() && (response.is_over || response.body.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Text(text) => text.size_hint(),
            Kind::Response(response) if response.is_over => SizeHint::with_exact(0),
            Kind::Response(response) => response.body.size_hint(),
        }
    }
}

impl fmt::Debug for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErrorBody")
    }
}

impl Default for Kind {
    fn default() -> Self {
        Self::Text(Full::default())
    }
}

// === impl Limited ===

impl Limited {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        if let Some(polled) = self.hold.poll(cx) {
            return polled;
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        let polled = self.poll_in_time(cx);
        self.hold.pass(polled, |_| None, cx)
    }

    fn poll_in_time(&mut self, cx: &mut Context<'_>) -> Polled {
        if self.free == 0 && self.is_late() {
            return self.end(DeadlinePassed.into());
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.free = self.free.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                self.timer = None;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => {
                self.is_over = true;
                Poll::Ready(end)
            }
            Poll::Pending => {
                ready!(self.poll_timer(cx));
                let idle = StreamError::Idle(self.limits.idle);
                self.end(if self.is_late() { DeadlinePassed.into() } else { idle.into() })
            }
        }
    }

    fn end(&mut self, error: BoxError) -> Polled {
        self.is_over = true;
        Poll::Ready(Some(Err(error)))
    }

    fn is_late(&self) -> bool {
        self.limits.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = match &mut self.timer {
            Some(timer) => timer,
            none => {
                let idle = Instant::now().checked_add(self.limits.idle);
                let Some(until) = idle.into_iter().chain(self.limits.deadline).min() else {
                    return Poll::Pending;
                };
                none.insert(Box::pin(sleep_until(until)))
            }
        };
        timer.as_mut().poll(cx)
    }
}
