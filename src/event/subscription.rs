//! A subscription to an event hub.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use sync_wrapper::SyncWrapper;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::event::Event;

/// A stream of all events that a hub emits from the moment of the subscription, in order.
///
/// Created with [`Events::subscribe`](crate::event::Events::subscribe) or
/// [`KeyPool::subscribe`](crate::KeyPool::subscribe). The stream ends when the hub and all its handles are
/// dropped. A subscriber that reads too slowly misses the oldest events and gets [`Missed`] with their
/// number.
pub struct Subscription {
    stream: SyncWrapper<BoxStream<'static, Result<Event, Missed>>>,
    _subscriber: CountedSubscriber,
}

/// A number of events that were dropped before the subscriber read them. The events after them are complete
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} events were missed: read faster, or give the hub more capacity")]
pub struct Missed(u64);

/// Guard that counts one subscriber.
struct CountedSubscriber(Arc<AtomicUsize>);

// === impl Subscription ===

impl Subscription {
    /// Creates a subscription. `on_missed` is called with the number of missed events.
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
        Self {
            stream: SyncWrapper::new(Box::pin(stream.fuse())),
            _subscriber: CountedSubscriber::new(subscribers),
        }
    }

    /// Returns the next event. `None`, from then on, if the hub is gone and no more events will come.
    ///
    /// Cancel safe: no event is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// Returns [`Missed`] in place of events that were dropped. The next call continues after them.
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
        let Self { stream: _, _subscriber: _ } = self;
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

// === impl Missed ===

impl Missed {
    /// Returns the number of missed events.
    pub const fn count(self) -> u64 {
        self.0
    }
}

// === impl CountedSubscriber ===

impl CountedSubscriber {
    fn new(subscribers: &Arc<AtomicUsize>) -> Self {
        subscribers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(subscribers))
    }
}

impl Drop for CountedSubscriber {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
