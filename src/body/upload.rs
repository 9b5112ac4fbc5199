//! The part of a request body that its caller has not sent yet.
//!
//! A caller may send its body slowly, or stop in the middle of it. That time belongs to the caller: it must not
//! count against a provider, and nothing that others need may be held meanwhile.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout_at};

use crate::body::replay::tee::Watcher;

/// The arrival of a request body, as seen from beside it. Reads nothing of the body unless told to.
pub(crate) struct Upload(Option<Watcher>);

/// How often a body that can't be recorded is checked for a pause: every second.
const CHECK: Duration = Duration::from_secs(1);

// === impl Upload ===

impl Upload {
    /// The upload of a body that is there as a whole.
    pub(super) const WHOLE: Self = Self(None);

    pub(super) const fn new(watcher: Watcher) -> Self {
        Self(Some(watcher))
    }

    /// Whether the caller has sent all of the body.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.as_ref().is_none_or(Watcher::has_ended)
    }

    /// Records the body until it ends, fails, or is longer than what is recorded. Whoever sends it afterwards
    /// begins with the record.
    pub(crate) async fn record(&self) {
        if let Some(watcher) = &self.0 {
            poll_fn(|cx| watcher.poll_record(cx)).await;
        }
    }

    /// Returns when the caller is slower than whoever sends the body on. Checked every second; never returns for
    /// a body that has ended.
    pub(crate) async fn pauses(&self) {
        loop {
            sleep(CHECK).await;
            if self.0.as_ref().is_some_and(Watcher::is_awaited) {
                return;
            }
        }
    }

    /// The output of `call`, unless it takes longer than `limit` without the caller being to blame.
    ///
    /// The limit runs from `began`, and again from each time that the caller was waited for and sent more of the
    /// body. While the caller is waited for it does not run.
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

    /// Ready while it is not the caller who is waited for, with the time when that was last the case.
    fn poll_turn(&self, cx: &Context<'_>) -> Poll<Option<Instant>> {
        self.0.as_ref().map_or(Poll::Ready(None), |watcher| watcher.poll_turn(cx))
    }
}
