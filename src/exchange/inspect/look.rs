//! Reading a body piece by piece, and keeping what was read.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::time::{Instant, timeout_at};
use tower::BoxError;

/// A body that is being looked at, and what was taken of it.
pub(crate) struct Look<B> {
    pub(crate) body: Pin<Box<B>>,
    pub(crate) seen: VecDeque<Result<Frame<Bytes>, BoxError>>,
    pub(crate) bytes: usize,
    /// The body has come to its end, and was not broken.
    pub(crate) ended: bool,
    /// `None`: it is further away than time goes.
    until: Option<Instant>,
}

/// What looking brought: data, the end, or nothing more in time.
pub(crate) enum Seen {
    Data(Bytes),
    End,
    Late,
}

/// How much is kept before the clock is looked at for each piece: a timer alone is not heard while a body always has
/// more.
const FREE: usize = 64 * 1024;

// === impl Look ===

impl<B> Look<B>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    pub(crate) fn new(body: B, time: Duration) -> Self {
        Self {
            body: Box::pin(body),
            seen: VecDeque::new(),
            bytes: 0,
            ended: false,
            until: Instant::now().checked_add(time),
        }
    }

    /// What is kept of the body, in bytes, with what each frame takes.
    pub(crate) fn kept(&self) -> usize {
        self.bytes + self.seen.len() * size_of::<Frame<Bytes>>()
    }

    /// The next data; an error of the body ends it, and is handed on in its place.
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

    /// Reads up to the cap, or as much as comes in time.
    pub(crate) async fn read_up_to(&mut self, cap: usize) {
        while self.bytes < cap && matches!(self.next().await, Seen::Data(_)) {}
    }

    /// What was seen in one piece.
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
