//! An ear.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use sync_wrapper::SyncWrapper;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::Event;

/// What is said to a hub since it was subscribed to, in order: a stream that ends when the hub and all that has
/// it are gone.
///
/// Whoever reads too slowly, or not at all, misses the oldest events and is told how many.
pub struct Subscription {
    stream: SyncWrapper<BoxStream<'static, Result<Event, Missed>>>,
    _counted: Counted,
}

/// So many events came and went before they were read; what follows is complete again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} events were missed: read faster, or give the hub more capacity")]
pub struct Missed(u64);

/// One of the subscribers.
struct Counted(Arc<AtomicUsize>);

// === impl Subscription ===

impl Subscription {
    /// `on_missed` hears how many events were missed.
    pub(super) fn new(receiver: Receiver<Event>, subscribers: &Arc<AtomicUsize>, on_missed: fn(u64)) -> Self {
        let stream = stream::unfold(receiver, move |mut receiver| async move {
            match receiver.recv().await {
                Ok(event) => Some((Ok(event), receiver)),
                Err(RecvError::Lagged(missed)) => {
                    on_missed(missed);
                    Some((Err(Missed(missed)), receiver))
                }
                Err(RecvError::Closed) => None,
            }
        });
        Self { stream: SyncWrapper::new(Box::pin(stream)), _counted: Counted::new(subscribers) }
    }

    /// The next event; `None` when there will be no more. May be dropped at any time, nothing is lost.
    ///
    /// # Errors
    ///
    /// [`Missed`], where events were. The next call goes on after them.
    pub async fn next(&mut self) -> Option<Result<Event, Missed>> {
        self.stream.get_mut().next().await
    }
}

impl Stream for Subscription {
    type Item = Result<Event, Missed>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.get_mut().as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream: _, _counted: _ } = self;
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

// === impl Missed ===

impl Missed {
    /// How many.
    pub const fn count(self) -> u64 {
        self.0
    }
}

// === impl Counted ===

impl Counted {
    fn new(subscribers: &Arc<AtomicUsize>) -> Self {
        subscribers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(subscribers))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
