//! The part of a request body that its caller has not sent yet.
//!
//! A caller may send its body slowly, or stop in the middle of it. That time is the caller's own: it must not count
//! against a provider, and nothing that other requests need may be held meanwhile.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout_at};

use crate::body::replay::tee::Watcher;

/// Observes the arrival of a request body. Reads the body only in [`record`](Self::record).
pub(crate) struct Upload(Option<Watcher>);

/// Interval at which a body that can't be recorded is checked for a pause (1 s).
const CHECK: Duration = Duration::from_secs(1);

// === impl Upload ===

impl Upload {
    /// The upload of a body that has arrived as a whole.
    pub(super) const WHOLE: Self = Self(None);

    pub(super) const fn new(watcher: Watcher) -> Self {
        Self(Some(watcher))
    }

    /// Returns whether the caller has sent all of the body.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.as_ref().is_none_or(Watcher::has_ended)
    }

    /// Records the body until it ends, fails, or exceeds the replay cap. The next reader begins with the record.
    pub(crate) async fn record(&self) {
        if let Some(watcher) = &self.0 {
            poll_fn(|cx| watcher.poll_record(cx)).await;
        }
    }

    /// Returns when the caller is slower than the reader of the body. Checked every second. Never returns for a
    /// body that has ended.
    pub(crate) async fn pauses(&self) {
        loop {
            sleep(CHECK).await;
            if self.0.as_ref().is_some_and(Watcher::is_awaited) {
                return;
            }
        }
    }

    /// Returns the output of `call`, unless it takes longer than `limit` and the caller is not the cause.
    ///
    /// The limit starts at `began`, and anew each time that the caller sends more of the body after the reader
    /// had to wait for it. It does not run while the reader waits for the caller.
    pub(crate) async fn limit<F>(
        &self,
        limit: Duration,
        began: Instant,
        call: F,
    ) -> Result<F::Output, Elapsed>
    where
        F: Future + Unpin,
    {
        let mut call = call;
        let mut since = began;
        loop {
            let Some(until) = since.checked_add(limit) else { return Ok(call.await) };
            let late = match timeout_at(until, &mut call).await {
                Ok(output) => return Ok(output),
                Err(late) => late,
            };
            let turn = pin!(poll_fn(|cx| self.poll_turn(cx)));
            match select(&mut call, turn).await {
                Either::Left((output, _)) => return Ok(output),
                Either::Right((Some(sent), _)) if sent > since => since = sent,
                Either::Right(_) => return Err(late),
            }
        }
    }

    /// Ready while the reader does not wait for the caller, with the last time at which it did.
    fn poll_turn(&self, cx: &Context<'_>) -> Poll<Option<Instant>> {
        self.0.as_ref().map_or(Poll::Ready(None), |watcher| watcher.poll_turn(cx))
    }
}
