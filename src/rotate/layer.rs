//! The layer and its settings.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use tower_layer::Layer;

use crate::exchange::inspect::Limits;
use crate::exchange::retry::{RetryBudget, RetryDelay};
use crate::limits::Estimate;
use crate::pool::KeyPool;
use crate::provider::ProviderClassifier;
use crate::rotate::config::Config;
use crate::rotate::estimate::Estimator;
use crate::rotate::policy::Policy;
use crate::rotate::service::KeyRotation;

/// Wraps a client service so that each request is sent with a usable key of a [`KeyPool`], and with another key if
/// the first is refused.
///
/// See the [module docs](super) for the rules and an example. Clones, and services made by the same layer, share
/// the pool and the retry budget.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
///
/// # fn main() -> Result<(), tower::BoxError> {
/// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?).build()?;
/// let layer = KeyRotationLayer::new(pool)
///     .max_attempts(4)
///     .head_timeout(Duration::from_secs(30))
///     .deadline(Duration::from_secs(60))
///     .wait_for_key(true);
/// # drop(layer);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KeyRotationLayer<C = ProviderClassifier> {
    classifier: C,
    config: Arc<Config>,
}

// === impl KeyRotationLayer ===

/// The default settings, and a constructor with the provider's own classifier.
impl KeyRotationLayer {
    /// Maximum number of attempts of one request (16). Every usable key is tried once.
    pub const MAX_ATTEMPTS: usize = Policy::MAX_ATTEMPTS;
    /// Maximum number of retries of one request after a fault of the provider (1).
    pub const MAX_RETRIES: usize = Policy::MAX_RETRIES;
    /// Shortest and longest delay before a retry (100 ms and 500 ms). The delay is random in between.
    pub const BACKOFF: (Duration, Duration) = RetryDelay::DEFAULT.bounds();
    /// Maximum number of bytes of an error response that are read (64 KiB). The rest passes through.
    pub const ERROR_BODY: usize = Limits::DEFAULT.error_body;
    /// Maximum number of bytes of an event stream that are inspected before it is delivered (64 KiB).
    pub const PEEK_BYTES: usize = Limits::DEFAULT.peek_bytes;
    /// Maximum number of events of a stream that are inspected before it is delivered (200).
    pub const PEEK_EVENTS: usize = Limits::DEFAULT.peek_events;
    /// Maximum time after its head for which an event stream is inspected before it is delivered (10 s).
    pub const PEEK_TIME: Duration = Limits::DEFAULT.peek_time;

    /// Creates a layer that rotates the keys of a pool. Responses are classified by the provider's own classifier.
    pub fn new(pool: KeyPool) -> Self {
        let classifier = pool.provider().classifier();
        Self::with_classifier(pool, classifier)
    }
}

impl<C> KeyRotationLayer<C> {
    /// Creates a layer that rotates the keys of a pool, with a custom classifier for responses.
    pub fn with_classifier(pool: KeyPool, classifier: C) -> Self {
        Self { classifier, config: Arc::new(Config::new(pool)) }
    }

    /// Sets the maximum number of attempts of one request; 0 counts as 1. Default:
    /// [`MAX_ATTEMPTS`](KeyRotationLayer::MAX_ATTEMPTS).
    #[must_use]
    pub fn max_attempts(self, attempts: usize) -> Self {
        self.configure(|config| config.policy.max_attempts = attempts.max(1))
    }

    /// Sets the maximum number of retries of one request after a fault of the provider. Default:
    /// [`MAX_RETRIES`](KeyRotationLayer::MAX_RETRIES).
    #[must_use]
    pub fn max_retries(self, retries: usize) -> Self {
        self.configure(|config| config.policy.max_retries = retries)
    }

    /// Sets the shortest and longest delay before a retry. The delay is random in between. A longest delay
    /// below the shortest counts as the shortest. Default: [`BACKOFF`](KeyRotationLayer::BACKOFF).
    #[must_use]
    pub fn backoff(self, least: Duration, longest: Duration) -> Self {
        self.configure(|config| config.policy.backoff = RetryDelay::between(least, longest))
    }

    /// Sets the budget that limits retries over all requests. Default: [`RetryBudget::default`].
    #[must_use]
    pub fn retry_budget(self, budget: RetryBudget) -> Self {
        self.configure(|config| config.policy.budget = budget)
    }

    /// Sets the time limit for the head of a response, for each attempt. Default: no limit, because reasoning
    /// models are silent for minutes.
    ///
    /// A request that exceeds it may have been executed, and billed: see
    /// [`resend_ambiguous`](Self::resend_ambiguous). In a chain the shorter of this limit and the chain's own
    /// applies.
    #[must_use]
    pub fn head_timeout(self, limit: Duration) -> Self {
        self.configure(|config| config.head_timeout = Some(limit))
    }

    /// Sets the time limit of a request until its response is delivered: all attempts, delays and waits for a key.
    /// Default: no limit.
    ///
    /// The [`Deadline`](crate::Deadline) of a request applies if it is earlier. A retry whose delay leaves no
    /// time for an attempt is not made. The body of a delivered success is not bounded. The body of an error
    /// response is, and it may not pause for more than 10 s either.
    #[must_use]
    pub fn deadline(self, limit: Duration) -> Self {
        self.configure(|config| config.deadline = Some(limit))
    }

    /// Sets whether a request is sent again that may have been executed, and billed: its response is late,
    /// broken or cut before its first content. Default: `false`, unless the request has a safe method or an
    /// `Idempotency-Key`. [Paid once](crate::rotate::paid_once) lists each fault.
    #[must_use]
    pub fn resend_ambiguous(self, resend: bool) -> Self {
        self.configure(|config| config.policy.resend = resend)
    }

    /// Sets whether a request waits for a key if none is usable. Default: `false`.
    ///
    /// Waiting requests are served in order of arrival. A request waits only if the wait ends before its
    /// [`deadline`](Self::deadline) or [`Deadline`](crate::Deadline). A request without either does not wait.
    #[must_use]
    pub fn wait_for_key(self, wait: bool) -> Self {
        self.configure(|config| config.wait_for_key = wait)
    }

    /// Sets whether requests keep the `Accept-Encoding` header of their caller. Default: `false`, so that responses
    /// come uncompressed and their errors can be read.
    ///
    /// A compressed error response is decoded and classified if the feature `decompress` is enabled. If it
    /// can't be decoded, it is classified by its status alone, its body is withheld, and a warning is logged
    /// once per pool. Compressed successes, event streams included, are neither inspected nor searched for the
    /// key. A layer *inside* the rotation layer that asks for compression and decodes responses itself needs no
    /// setting.
    #[must_use]
    pub fn keep_accept_encoding(self, keep: bool) -> Self {
        self.configure(|config| config.keep_accept_encoding = keep)
    }

    /// Sets the function that estimates the tokens of a request, from its URL and the part of its body that has
    /// arrived. It is called only if some limit of the pool counts tokens. Default: a quarter of the body's
    /// bytes for the prompt, and for the response the cap that the request names, or 256.
    #[must_use]
    pub fn estimate_with(
        self,
        estimate: impl Fn(&Uri, &[Bytes]) -> Estimate + Send + Sync + 'static,
    ) -> Self {
        self.configure(|config| config.estimator = Estimator::new(estimate))
    }

    /// Sets the number of bytes of a streaming request body that are recorded for another attempt. Default:
    /// [`ReplayBody::CAP`](crate::body::ReplayBody::CAP). A body that comes in one piece can be sent again whatever its size.
    #[must_use]
    pub fn replay_cap(self, bytes: usize) -> Self {
        self.configure(|config| config.replay_cap = bytes)
    }

    /// Sets the maximum number of bytes of an error response that are read. The rest passes through. Default:
    /// [`ERROR_BODY`](KeyRotationLayer::ERROR_BODY).
    #[must_use]
    pub fn error_body(self, bytes: usize) -> Self {
        self.configure(|config| config.limits.error_body = bytes)
    }

    /// Sets how far an event stream is inspected before it is delivered: bytes, events, and time after the head.
    /// Default: [`PEEK_BYTES`](KeyRotationLayer::PEEK_BYTES), [`PEEK_EVENTS`](KeyRotationLayer::PEEK_EVENTS),
    /// [`PEEK_TIME`](KeyRotationLayer::PEEK_TIME).
    #[must_use]
    pub fn peek(self, bytes: usize, events: usize, time: Duration) -> Self {
        self.configure(|config| {
            config.limits.peek_bytes = bytes;
            config.limits.peek_events = events;
            config.limits.peek_time = time;
        })
    }

    /// Sets whether an event stream that breaks after it was handed over also reports the error in a last
    /// event, in the dialect of the stream. The body ends with the error in any case. Default: `false`.
    #[must_use]
    pub fn error_events(self, tell: bool) -> Self {
        self.configure(|config| config.error_events = tell)
    }

    /// Sets whether every attempt names its key to the inner service in a [`ChosenKey`](crate::key::ChosenKey)
    /// extension. Default: `false`; then only attempts with keys that have a base URL, headers or names of models of
    /// their own do.
    #[must_use]
    pub fn tell_key(self, tell: bool) -> Self {
        self.configure(|config| config.tell_key = tell)
    }

    fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }
}

impl<S, C: Clone> Layer<S> for KeyRotationLayer<C> {
    type Service = KeyRotation<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        KeyRotation::with_config(inner, self.classifier.clone(), Arc::clone(&self.config))
    }
}
