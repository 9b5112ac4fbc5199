//! The places of one caller among the requests in flight.
//!
//! A request in flight can't be taken back, and a stream may last for minutes. So the share of a caller is a bound that
//! holds at all times, even while no other caller needs the rest: otherwise the first caller with a burst would leave no
//! place to the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Response;

/// The number of requests of one caller that are in flight.
#[derive(Debug, Default)]
pub(super) struct Places(AtomicU32);

/// The place of one request, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Places>);

/// Keeps the place of a caller until the response has ended.
pub(crate) fn in_place<B>(mut response: Response<B>, place: Option<Place>) -> Response<B> {
    if let Some(place) = place {
        response.extensions_mut().insert(Arc::new(place));
    }
    response
}

// === impl Places ===

impl Places {
    /// Takes a place, if the caller has fewer than `most`.
    pub(super) fn take(self: &Arc<Self>, most: u32) -> Option<Place> {
        let more = |taken: u32| (taken < most).then_some(taken + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Place(Arc::clone(self)))
    }

    pub(super) fn taken(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
