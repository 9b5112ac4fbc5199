//! The record of a request body, and the right of its readers to pull more.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::time::Instant;
use tower::BoxError;

pub(in crate::body) type Source = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;
pub(in crate::body) type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

/// The frames that were pulled from a source, as far as they are kept, and the state of the source.
pub(in crate::body) struct Record {
    /// `None`: it has ended.
    pub(in crate::body) source: Option<Source>,
    /// The frames from number `base` on.
    pub(in crate::body) record: Vec<Bytes>,
    pub(in crate::body) base: usize,
    pub(in crate::body) recorded: usize,
    pub(in crate::body) cap: usize,
    pub(in crate::body) mode: Mode,
    pub(in crate::body) trailers: Option<HeaderMap>,
    pub(in crate::body) failure: Failure,
    /// The cursors that polled for more than the source had. While there are any, the caller is waited for.
    pub(in crate::body) asking: Vec<u64>,
    /// The time at which the caller was last waited for.
    pub(in crate::body) waited: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::body) enum Mode {
    /// Every frame is kept, and every cursor may read.
    Recording,
    /// Frames pass. The first cursor that reads claims the source.
    Open,
    /// Frames pass. Only this cursor may read.
    Claimed(u64),
}

pub(in crate::body) enum Failure {
    None,
    /// The source's error, which is returned once.
    New(BoxError),
    Told,
}

/// The error of a clone that can't return more frames.
#[derive(Debug, thiserror::Error)]
pub(in crate::body) enum Unavailable {
    #[error("the request body failed")]
    Failed,
    #[error("the request body is longer than what is recorded for another attempt")]
    NotRecorded,
}

// === impl Record ===

impl Record {
    /// Returns whether this cursor may read. The first one claims an open source.
    pub(in crate::body) fn admits(&mut self, id: u64) -> bool {
        match self.mode {
            Mode::Recording => true,
            Mode::Claimed(by) => by == id,
            Mode::Open => {
                self.mode = Mode::Claimed(id);
                true
            }
        }
    }

    pub(in crate::body) fn recorded_at(&mut self, at: usize) -> Option<Bytes> {
        let data = self.record.get(at.checked_sub(self.base)?).cloned();
        if data.is_none() && self.mode != Mode::Recording {
            self.base += self.record.len();
            self.record = Vec::new();
        }
        data
    }

    /// Pulls a frame. Returns its data, or `None` at the end.
    pub(in crate::body) fn pull(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(source) = &mut self.source else { return Poll::Ready(None) };
        let Poll::Ready(pulled) = source.as_mut().poll_frame(cx) else { return Poll::Pending };
        if !self.asking.is_empty() {
            self.asking.clear();
            self.waited = Some(Instant::now());
        }
        Poll::Ready(self.take_in(pulled))
    }

    pub(in crate::body) fn has_ended(&self) -> bool {
        self.source.as_ref().is_none_or(Body::is_end_stream)
    }

    pub(in crate::body) fn ask(&mut self, by: u64) {
        if !self.asking.contains(&by) {
            self.asking.push(by);
        }
    }

    /// Returns whether this cursor was the last that waited for the caller.
    pub(in crate::body) fn stop_asking(&mut self, by: u64) -> bool {
        let before = self.asking.len();
        self.asking.retain(|id| *id != by);
        before > 0 && self.asking.is_empty()
    }

    /// Records data that were pulled for no cursor, even past the cap: then the record is full.
    pub(in crate::body) fn keep(&mut self, data: Bytes) {
        self.recorded = self.recorded.saturating_add(data.len());
        if self.recorded > self.cap {
            self.mode = Mode::Open;
        }
        self.record.push(data);
    }

    pub(in crate::body) fn take_in(
        &mut self,
        pulled: Option<Result<Frame<Bytes>, BoxError>>,
    ) -> Option<Bytes> {
        match pulled.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => return Some(data),
            Some(Ok(Err(other))) => self.trailers = other.into_trailers().ok(),
            Some(Err(error)) => self.failure = Failure::New(error),
            None => {}
        }
        self.source = None;
        None
    }

    /// Records data that this cursor pulled, or lets them pass once the record is full.
    pub(in crate::body) fn enter(&mut self, data: &Bytes, by: u64) {
        if self.mode == Mode::Recording && self.recorded.saturating_add(data.len()) > self.cap {
            self.mode = Mode::Claimed(by);
            self.base += self.record.len();
            self.record = Vec::new();
        }
        if self.mode == Mode::Recording {
            self.recorded += data.len();
            self.record.push(data.clone());
        } else {
            self.base += 1;
        }
    }

    pub(in crate::body) fn end(&self, trailers_sent: &mut bool) -> Option<Result<Frame<Bytes>, BoxError>> {
        if !matches!(self.failure, Failure::None) {
            return Some(Err(Unavailable::Failed.into()));
        }
        let trailers = self.trailers.as_ref().filter(|_| !*trailers_sent)?;
        *trailers_sent = true;
        Some(Ok(Frame::trailers(trailers.clone())))
    }
}
