//! The layer and its settings.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use tower::retry::budget::TpsBudget;
use tower_layer::Layer;

use super::estimate::Estimator;
use super::policy::Policy;
use super::service::KeyRotation;
use crate::body::ReplayBody;
use crate::inspect::Limits;
use crate::limits::Estimate;
use crate::pool::KeyPool;
use crate::provider::ProviderClassifier;

/// Wraps a client service so that each request is served with whichever key of a pool can serve it.
///
/// See the [module docs](super) for what it does and an example. Cloning, and applying it to several
/// services, shares the pool and the retry budget.
#[derive(Clone, Debug)]
pub struct KeyRotationLayer<C = ProviderClassifier> {
    classifier: C,
    config: Arc<Config>,
}

#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) pool: KeyPool,
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) replay_cap: usize,
    pub(super) wait_for_key: bool,
    pub(super) estimator: Estimator,
}

// === impl KeyRotationLayer ===

impl KeyRotationLayer {
    /// Rotates the keys of a pool, judging answers by the provider's own classifier.
    pub fn new(pool: KeyPool) -> Self {
        let classifier = pool.provider().classifier();
        Self::with_classifier(pool, classifier)
    }
}

impl<C> KeyRotationLayer<C> {
    /// Attempts of one request: every usable key once, and at most 16.
    pub const MAX_ATTEMPTS: usize = 16;
    /// Repeats of one request after a fault of the provider: 1.
    pub const MAX_RETRIES: usize = 1;
    /// The time before such a repeat: any between 100 ms and 500 ms.
    pub const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));
    /// The share of requests that may be repeated so, over ten seconds: 20 %; and ten a second in any case.
    pub const RETRY_SHARE: f32 = 0.2;
    /// How much of the body of a refusal is read: 64 KiB; the rest passes through.
    pub const ERROR_BODY: usize = 64 * 1024;
    /// How much of an event stream is looked at before it is taken for good: 64 KiB.
    pub const PEEK_BYTES: usize = 64 * 1024;
    /// How many events of it: 200.
    pub const PEEK_EVENTS: usize = 200;
    /// For how long after its head: 10 s.
    pub const PEEK_TIME: Duration = Duration::from_secs(10);

    /// Rotates the keys of a pool, judging answers by a classifier of one's own.
    pub fn with_classifier(pool: KeyPool, classifier: C) -> Self {
        let policy = Policy {
            max_attempts: Self::MAX_ATTEMPTS,
            max_retries: Self::MAX_RETRIES,
            backoff: Self::BACKOFF,
            budget: Arc::new(TpsBudget::new(Duration::from_secs(10), 10, Self::RETRY_SHARE)),
            resend: false,
        };
        let limits = Limits {
            look_into_streams: true,
            error_body: Self::ERROR_BODY,
            peek_bytes: Self::PEEK_BYTES,
            peek_events: Self::PEEK_EVENTS,
            peek_time: Self::PEEK_TIME,
            late_is_fault: false,
        };
        let config = Config {
            pool,
            policy,
            limits,
            replay_cap: ReplayBody::CAP,
            wait_for_key: false,
            estimator: Estimator::default(),
        };
        Self { classifier, config: Arc::new(config) }
    }

    /// How many attempts a request may have. Default: [`MAX_ATTEMPTS`](Self::MAX_ATTEMPTS).
    #[must_use]
    pub fn max_attempts(self, attempts: usize) -> Self {
        self.configure(|config| config.policy.max_attempts = attempts.max(1))
    }

    /// How often a request may be repeated after a fault of the provider. Default:
    /// [`MAX_RETRIES`](Self::MAX_RETRIES).
    #[must_use]
    pub fn max_retries(self, retries: usize) -> Self {
        self.configure(|config| config.policy.max_retries = retries)
    }

    /// The least and the longest time before such a repeat. Default: [`BACKOFF`](Self::BACKOFF).
    #[must_use]
    pub fn backoff(self, least: Duration, longest: Duration) -> Self {
        self.configure(|config| config.policy.backoff = (least, longest.max(least)))
    }

    /// What limits such repeats over all requests. Default: [`RETRY_SHARE`](Self::RETRY_SHARE).
    #[must_use]
    pub fn retry_budget(self, budget: Arc<TpsBudget>) -> Self {
        self.configure(|config| config.policy.budget = budget)
    }

    /// Whether a request that may have been executed, and billed, is sent again. Default: no, unless its
    /// method is safe or it has an `Idempotency-Key`.
    #[must_use]
    pub fn resend_ambiguous(self, resend: bool) -> Self {
        self.configure(|config| config.policy.resend = resend)
    }

    /// Whether a request that has a [`Deadline`](crate::Deadline) waits for a key when none is usable: first
    /// come, first served, and only if the wait fits. Default: no.
    #[must_use]
    pub fn wait_for_key(self, wait: bool) -> Self {
        self.configure(|config| config.wait_for_key = wait)
    }

    /// How many tokens a request is thought to take, given its URL and what is there of its body; asked only where
    /// some limit of the pool counts tokens. Default: a quarter of the body's bytes for the prompt, and for the
    /// answer the cap that the request names, or 256.
    #[must_use]
    pub fn estimate_with(
        self,
        estimate: impl Fn(&Uri, &[Bytes]) -> Estimate + Send + Sync + 'static,
    ) -> Self {
        self.configure(|config| config.estimator = Estimator::new(estimate))
    }

    /// How much of a streaming request body is recorded for another attempt, in bytes. Default:
    /// [`ReplayBody::CAP`]. A body that comes in one piece is sent again whatever its size.
    #[must_use]
    pub fn replay_cap(self, bytes: usize) -> Self {
        self.configure(|config| config.replay_cap = bytes)
    }

    /// How much of the body of a refusal is read, in bytes. Default: [`ERROR_BODY`](Self::ERROR_BODY).
    #[must_use]
    pub fn error_body(self, bytes: usize) -> Self {
        self.configure(|config| config.limits.error_body = bytes)
    }

    /// How far an event stream is looked into: bytes, events, and time after the head. Default:
    /// [`PEEK_BYTES`](Self::PEEK_BYTES), [`PEEK_EVENTS`](Self::PEEK_EVENTS),
    /// [`PEEK_TIME`](Self::PEEK_TIME).
    #[must_use]
    pub fn peek(self, bytes: usize, events: usize, time: Duration) -> Self {
        self.configure(|config| {
            config.limits.peek_bytes = bytes;
            config.limits.peek_events = events;
            config.limits.peek_time = time;
        })
    }

    fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }
}

impl<S, C: Clone> Layer<S> for KeyRotationLayer<C> {
    type Service = KeyRotation<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        KeyRotation::new(inner, self.classifier.clone(), Arc::clone(&self.config))
    }
}
