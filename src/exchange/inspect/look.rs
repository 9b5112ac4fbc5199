//! Reading a body piece by piece while keeping what was read.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::time::{Instant, timeout_at};
use tower::BoxError;

/// A body under inspection, with the frames that were read.
pub(crate) struct Look<B> {
    pub(crate) body: Pin<Box<B>>,
    pub(crate) seen: VecDeque<Result<Frame<Bytes>, BoxError>>,
    pub(crate) bytes: usize,
    /// Whether the body has ended without an error.
    pub(crate) ended: bool,
    /// Time limit of the inspection.
    time: Duration,
    began: Instant,
    /// End of the inspection. `None`: the instant is too far away to be represented.
    until: Option<Instant>,
}

/// The result of reading on: data, the end of the body, or a timeout.
pub(crate) enum Seen {
    Data(Bytes),
    End,
    Late,
}

/// Number of time limits for which a stream may be kept alive (10).
const LONGEST: u32 = 10;

/// Number of bytes kept before the clock is checked for each piece (64 KiB). A timer alone never fires while the
/// body always has more data ready.
const FREE: usize = 64 * 1024;

// === impl Look ===

impl<B> Look<B>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    pub(crate) fn new(body: B, time: Duration) -> Self {
        let began = Instant::now();
        let until = began.checked_add(time);
        Self { body: Box::pin(body), seen: VecDeque::new(), bytes: 0, ended: false, time, began, until }
    }

    /// Begins the time limit anew, up to ten limits in total.
    pub(crate) fn prolong(&mut self) {
        let latest = self.began.checked_add(self.time.saturating_mul(LONGEST));
        self.until = Instant::now().checked_add(self.time).into_iter().chain(latest).min();
    }

    /// Returns the memory used for the frames that were read, in bytes.
    pub(crate) fn kept(&self) -> usize {
        self.bytes + self.seen.len() * size_of::<Frame<Bytes>>()
    }

    /// Reads the next data. An error of the body counts as its end, and is kept to be handed on.
    pub(crate) async fn next(&mut self) -> Seen {
        loop {
            if self.kept() > FREE && self.until.is_some_and(|until| until <= Instant::now()) {
                return Seen::Late;
            }
            let next = poll_fn(|cx| self.body.as_mut().poll_frame(cx));
            let frame = match self.until {
                Some(until) => timeout_at(until, next).await,
                None => Ok(next.await),
            };
            match frame {
                Err(_) => return Seen::Late,
                Ok(None) => {
                    self.ended = true;
                    return Seen::End;
                }
                Ok(Some(Err(error))) => {
                    self.seen.push_back(Err(error.into()));
                    return Seen::End;
                }
                Ok(Some(Ok(frame))) => {
                    let data = frame.data_ref().cloned();
                    self.seen.push_back(Ok(frame));
                    if let Some(data) = data {
                        self.bytes += data.len();
                        return Seen::Data(data);
                    }
                }
            }
        }
    }

    /// Reads until `cap` bytes were read, the body has ended, or the time is over.
    pub(crate) async fn read_up_to(&mut self, cap: usize) {
        while self.bytes < cap && matches!(self.next().await, Seen::Data(_)) {}
    }
}

impl<B> Look<B> {
    /// Returns the data read so far as one piece.
    pub(crate) fn gather(&self) -> Bytes {
        let data = |frame: &Result<Frame<Bytes>, BoxError>| frame.as_ref().ok()?.data_ref().cloned();
        let mut pieces = self.seen.iter().filter_map(data);
        match (pieces.next(), pieces.next()) {
            (None, _) => Bytes::new(),
            (Some(only), None) => only,
            (Some(first), Some(second)) => {
                let mut all = BytesMut::with_capacity(self.bytes);
                all.extend_from_slice(&first);
                all.extend_from_slice(&second);
                pieces.for_each(|piece| all.extend_from_slice(&piece));
                all.freeze()
            }
        }
    }
}
