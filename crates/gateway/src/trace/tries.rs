//! The calls that providers got for one request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::uri::Authority;
use http::{Request, StatusCode};
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::key::{ChosenKey, KeyId};

/// Request extension: the tries of a request.
#[derive(Clone, Default)]
pub(crate) struct Tries(Arc<Mutex<Vec<Try>>>);

/// The names of a provider.
#[derive(Debug)]
pub(crate) struct ProviderNames {
    /// Its name in the configuration.
    pub(crate) name: String,
    /// The company's name in OpenTelemetry's conventions.
    pub(crate) company: String,
}

/// One call of a provider.
pub(crate) struct Try {
    pub(crate) provider: Arc<ProviderNames>,
    pub(crate) key: Option<KeyId>,
    pub(crate) server: Option<Authority>,
    pub(crate) began: SystemTime,
    /// `None` if the call was abandoned.
    pub(crate) result: Option<TryResult>,
}

/// The result of a call, at the head of its response.
pub(crate) struct TryResult {
    pub(crate) at: SystemTime,
    /// `None` if no response came.
    pub(crate) status: Option<StatusCode>,
}

/// A call that is under way.
pub(crate) struct OpenTry {
    tries: Tries,
    index: usize,
}

/// Returns the time for a span, in milliseconds.
pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(Timestamp::now().as_unix_ms())
}

// === impl Tries ===

impl Tries {
    /// Begins a try, if the request has a trace.
    pub(crate) fn begin<B>(provider: &Arc<ProviderNames>, request: &Request<B>) -> Option<OpenTry> {
        let tries = request.extensions().get::<Self>()?;
        let key = request.extensions().get::<ChosenKey>();
        let mut list = tries.lock();
        list.push(Try {
            provider: Arc::clone(provider),
            key: key.map(|key| key.id().clone()),
            server: request.uri().authority().cloned(),
            began: now(),
            result: None,
        });
        Some(OpenTry { tries: tries.clone(), index: list.len() - 1 })
    }

    /// Takes all tries.
    pub(super) fn take(&self) -> Vec<Try> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Try>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl OpenTry ===

impl OpenTry {
    /// Ends the try: with the status of the response, or without one if none came.
    pub(crate) fn end(self, status: Option<StatusCode>) {
        if let Some(it) = self.tries.lock().get_mut(self.index) {
            it.result = Some(TryResult { at: now(), status });
        }
    }
}
