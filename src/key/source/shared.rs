//! The state of a source: its present secret, and the single flight that fetches the next one.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared as SharedFuture};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt};

use crate::clock::Timestamp;
use crate::key::source::credential::{Credential, SecretUnavailable};
use crate::key::source::issued::Issued;
use crate::key::source::listener::SourceListener;
use crate::key::source::schedule::{renew_in, retry_in};
use crate::scrub;

pub(super) struct SourceState {
    pub(super) name: Arc<str>,
    service: BoxCloneSyncService<(), Credential, BoxError>,
    pub(super) current: ArcSwapOption<Issued>,
    /// Interval at which the source is asked in any case, in milliseconds; zero for none.
    pub(super) check_every: AtomicU64,
    /// Held briefly, never across an await.
    state: Mutex<State>,
    /// Held briefly, never across an await.
    listeners: Mutex<Vec<Arc<dyn SourceListener>>>,
    /// Notified when the time of the next renewal has changed, and when the last handle is gone.
    pub(super) changed: Arc<Notify>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) flight: Option<Flight>,
    /// The time at which the latest flight began.
    pub(super) began: Option<Instant>,
    /// Failures in a row: without a valid secret, and with one.
    failures: [u32; 2],
    pub(super) error: Option<SecretUnavailable>,
    /// The time of the next renewal. `None`: at once if there is no secret, otherwise never.
    pub(super) next: Option<Instant>,
}

/// The call under way, shared by all that wait for it.
pub(super) type Flight = SharedFuture<BoxFuture<'static, Result<Arc<Issued>, SecretUnavailable>>>;

/// Time limit of one call of the service (30 s).
const TIMEOUT: Duration = Duration::from_secs(30);

/// A year, which stands for no time at all.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[derive(Debug, thiserror::Error)]
#[error("the source did not respond within {TIMEOUT:?}")]
struct Late;

#[derive(Debug, thiserror::Error)]
#[error("the source panicked")]
struct Panicked;

#[derive(Debug, thiserror::Error)]
#[error("the source gave a secret that has expired")]
struct Expired;

#[derive(Debug, thiserror::Error)]
#[error("the source was dropped")]
struct Dropped;

/// Returns the call under way, or begins one.
pub(super) fn flight(source: &Arc<SourceState>) -> Flight {
    let mut state = source.state();
    if let Some(flight) = state.flight.as_ref().filter(|flight| flight.peek().is_none()) {
        return flight.clone();
    }
    let flight = call(Arc::downgrade(source), source.service.clone()).boxed().shared();
    state.began = Some(Instant::now());
    state.flight = Some(flight.clone());
    flight
}

/// Calls the service, and settles the result with the source if that still exists.
async fn call(
    source: Weak<SourceState>,
    service: BoxCloneSyncService<(), Credential, BoxError>,
) -> Result<Arc<Issued>, SecretUnavailable> {
    // A panic would end all that wait for this call now, and all that ask for its result later.
    let called = AssertUnwindSafe(service.oneshot(())).catch_unwind();
    let called = match timeout(TIMEOUT, called).await {
        Ok(Ok(called)) => called,
        Ok(Err(_panic)) => Err(Panicked.into()),
        Err(_elapsed) => Err(Late.into()),
    };
    match source.upgrade() {
        Some(source) => source.settle(called),
        None => Err(SecretUnavailable { name: "".into(), source: Arc::new(Dropped), retry_in: YEAR }),
    }
}

// === impl SourceState ===

impl SourceState {
    pub(super) fn new(name: Arc<str>, service: BoxCloneSyncService<(), Credential, BoxError>) -> Self {
        Self {
            name,
            service,
            current: ArcSwapOption::empty(),
            check_every: AtomicU64::new(0),
            state: Mutex::default(),
            listeners: Mutex::default(),
            changed: Arc::default(),
        }
    }

    /// Adds a listener, in place of one with the same number.
    pub(super) fn listen(&self, listener: Arc<dyn SourceListener>) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|known| !known.is_gone() && known.number() != listener.number());
        listeners.push(listener);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time at which the source is to be asked next.
    pub(super) fn next(&self) -> Instant {
        let now = Instant::now();
        let has_secret = self.current.load().is_some();
        self.state().next.unwrap_or_else(|| if has_secret { now + YEAR } else { now })
    }

    fn settle(&self, called: Result<Credential, BoxError>) -> Result<Arc<Issued>, SecretUnavailable> {
        let now = Timestamp::now();
        let settled = match called {
            Ok(credential) if credential.expires_at.is_none_or(|at| at > now) => {
                Ok(self.issue(credential, now))
            }
            Ok(_) => Err(self.fail(Expired.into(), now)),
            Err(error) => Err(self.fail(error, now)),
        };
        self.changed.notify_one();
        settled
    }

    fn issue(&self, credential: Credential, now: Timestamp) -> Arc<Issued> {
        let lifetime = credential.expires_at.map(|at| at.saturating_since(now));
        let before = self.current.load_full();
        let is_same = |it: &Arc<Issued>| it.secret().expose() == credential.secret.expose();
        let is_new = !before.as_ref().is_some_and(is_same);
        let number = before.map_or(0, |before| before.number) + u64::from(is_new);
        let issued = Arc::new(Issued::new(credential, number));
        self.current.store(Some(Arc::clone(&issued)));
        let every = self.check_every.load(Ordering::Relaxed);
        let every = (every > 0).then(|| Duration::from_millis(every));
        let next = lifetime.map(renew_in).into_iter().chain(every).min();
        {
            let mut state = self.state();
            (state.failures, state.error) = ([0, 0], None);
            state.next = next.and_then(|wait| Instant::now().checked_add(wait));
        }
        if is_new {
            self.listeners().iter().for_each(|listener| listener.renewed(lifetime));
        }
        issued
    }

    fn fail(&self, error: BoxError, now: Timestamp) -> SecretUnavailable {
        let current = self.current.load_full().filter(|issued| issued.is_valid(|| now));
        let error = match &current {
            Some(current) => scrub::redact(error, current.secret().expose()),
            None => error,
        };
        let left = current.map(|issued| issued.expires_at().map_or(YEAR, |at| at.saturating_since(now)));
        let unavailable = {
            let mut state = self.state();
            let failures = &mut state.failures[usize::from(left.is_some())];
            *failures = failures.saturating_add(1);
            let retry_in = retry_in(*failures, left);
            state.next = Instant::now().checked_add(retry_in);
            let error = SecretUnavailable { name: Arc::clone(&self.name), source: error.into(), retry_in };
            state.error = Some(error.clone());
            error
        };
        self.listeners().iter().for_each(|listener| listener.failed(&unavailable, left));
        unavailable
    }

    fn listeners(&self) -> Vec<Arc<dyn SourceListener>> {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| !listener.is_gone());
        listeners.clone()
    }
}

impl Drop for SourceState {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}
