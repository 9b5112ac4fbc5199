//! The checks of the keys of one pool, on demand and on a schedule.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use tokio::time::sleep;
use tower::BoxError;
use tower_service::Service;

use crate::body::ReplayBody;
use crate::check::ask::CallResult;
use crate::check::examine::Examination;
use crate::classify::Classify;
use crate::clock::Timestamp;
use crate::key::{CheckResult, KeyCheck, KeyId};
use crate::pool::{CheckedKey, KeyPool, UnknownKey};
use crate::provider::{CheckCall, KeyCall, Proof, ProviderClassifier};

/// Checks the keys of a pool with calls that cost nothing.
///
/// See the [module docs](crate::check) for the rules and an example. It takes the same client service as a
/// [`KeyRotationLayer`](crate::KeyRotationLayer), and starts no task.
#[derive(Clone, Debug)]
#[must_use = "call `check` or spawn `every`"]
pub struct KeyChecks<S, C = ProviderClassifier> {
    pool: KeyPool,
    service: S,
    classifier: C,
    base_url: Option<String>,
    path: Option<Cow<'static, str>>,
    confirm_after: Duration,
    timeout: Duration,
}

/// Stands for the base URL of a provider that has none. Keys with base URLs of their own replace it, and no key goes there.
const NO_BASE: &str = "http://base-url.invalid";

// === impl KeyChecks ===

impl KeyChecks<()> {
    /// Time between a refusal and the call that confirms it (5 s).
    pub const CONFIRM_AFTER: Duration = Duration::from_secs(5);
    /// Maximum time of one call (10 s).
    pub const TIMEOUT: Duration = Duration::from_secs(10);
    /// Shortest interval of a schedule (1 s).
    pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
}

impl<S> KeyChecks<S> {
    /// Creates checks of the keys of a pool through this client. Responses are judged by the provider's own
    /// classifier.
    pub fn new(pool: KeyPool, client: S) -> Self {
        let classifier = pool.provider().classifier();
        Self::with_classifier(pool, client, classifier)
    }
}

impl<S, C> KeyChecks<S, C> {
    /// Creates checks with a custom classifier, which should be that of the pool's layer.
    pub const fn with_classifier(pool: KeyPool, client: S, classifier: C) -> Self {
        Self {
            pool,
            service: client,
            classifier,
            base_url: None,
            path: None,
            confirm_after: KeyChecks::CONFIRM_AFTER,
            timeout: KeyChecks::TIMEOUT,
        }
    }

    /// Returns the pool whose keys are checked.
    pub const fn pool(&self) -> &KeyPool {
        &self.pool
    }

    /// Sets the base URL of the provider, for keys without one of their own. Default: that of the provider's
    /// [preset](crate::Provider::base_url). Without any, checks end as
    /// [`Unreachable`](CheckResult::Unreachable).
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Sets the path of the call, which follows the base URL and begins with a slash: `/account`. It is made with the
    /// method `GET`, and must not cost anything. Default: the provider's own, which is the list of models for most; no
    /// call for a provider without such a list.
    pub fn path(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Sets the time between a refusal and the call that confirms it. Default:
    /// [`CONFIRM_AFTER`](KeyChecks::CONFIRM_AFTER).
    pub const fn confirm_after(mut self, wait: Duration) -> Self {
        self.confirm_after = wait;
        self
    }

    /// Sets the maximum time of one call. Default: [`TIMEOUT`](KeyChecks::TIMEOUT).
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Checks a key: one call, and up to two more if it is refused or if the provider may serve every caller.
    ///
    /// # Errors
    ///
    /// Returns [`UnknownKey`] if no key of the pool has this id.
    pub fn check<B>(
        &self,
        key: &KeyId,
    ) -> impl Future<Output = Result<KeyCheck, UnknownKey>> + Send + use<S, C, B>
    where
        S: Service<Request<ReplayBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        C: Classify,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let begun = CheckedKey::begin(&self.pool, key);
        let (service, classifier) = (self.service.clone(), self.classifier.clone());
        let (confirm_after, timeout) = (self.confirm_after, self.timeout);
        let look_into_success = self.pool.provider().errors_in_ok_bodies();
        let call = self.call();
        async move {
            let checked = &begun?;
            let found = match &call {
                None => CallResult::new(CheckResult::NoCall, None),
                Some((uri, proof, call)) => {
                    let classifier = &classifier;
                    let (uri, proof, call) = (uri, *proof, *call);
                    let examination = Examination {
                        service,
                        classifier,
                        checked,
                        uri,
                        proof,
                        call,
                        look_into_success,
                        confirm_after,
                        timeout,
                    };
                    examination.examine().await
                }
            };
            let status = found.status.map(|status| status.as_u16());
            let check = KeyCheck::new(Timestamp::now(), found.result, status);
            checked.record(check);
            Ok(check)
        }
    }

    /// Returns a future that checks every key of the pool once in each interval, one after the other, at random times.
    /// It never ends: spawn it, and abort it to stop. Keys that are added later are included.
    ///
    /// An interval below [`SHORTEST_INTERVAL`](KeyChecks::SHORTEST_INTERVAL) counts as that, and one above a year as a year.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_key_rotation::check::KeyChecks;
    /// use tower_key_rotation::{ApiKey, KeyPool, Provider};
    /// use tower_key_rotation_sim::{SimKey, Simulator};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Simulator::openai().key(SimKey::new("a", "sk-a")).build();
    /// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-a")?.id("a")).build()?;
    /// let checks = tokio::spawn(KeyChecks::new(pool.clone(), client).every(Duration::from_secs(600)));
    /// tokio::time::sleep(Duration::from_secs(1200)).await;
    /// assert!(pool.snapshot().keys[0].last_check.is_some());
    /// checks.abort();
    /// # Ok(())
    /// # }
    /// ```
    pub fn every<B>(&self, interval: Duration) -> impl Future<Output = ()> + Send + use<S, C, B>
    where
        S: Service<Request<ReplayBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        C: Classify,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut checks = self.clone();
        async move {
            loop {
                let keys = checks.pool.snapshot().keys;
                let number = u32::try_from(keys.len()).unwrap_or(u32::MAX).max(1);
                let share = interval.clamp(KeyChecks::SHORTEST_INTERVAL, LONGEST_INTERVAL) / number;
                for key in keys {
                    sleep(jittered(share)).await;
                    // A mutable reference, so that the service need not be `Sync`.
                    let checks = &mut checks;
                    // A key that was removed meanwhile needs no check.
                    let _known = checks.check(&key.id).await;
                }
            }
        }
    }

    /// Returns the URL of the call, what a success proves, and whose path it is; `None` if no call is known.
    fn call(&self) -> Option<(Uri, Proof, CheckCall)> {
        let provider = self.pool.provider();
        let base = self.base_url.as_deref().or_else(|| provider.base_url()).unwrap_or(NO_BASE);
        let own = self.path.as_deref().map(|path| (path, false, Proof::Unknown, CheckCall::Operator));
        let of_provider = || {
            let KeyCall { path, is_at_origin, proof } = provider.key_call()?;
            Some((path, is_at_origin, proof, CheckCall::Preset))
        };
        let (path, is_at_origin, proof, call) = own.or_else(of_provider)?;
        let base = if is_at_origin { origin(base) } else { base.trim_end_matches('/') };
        Some(([base, path].concat().parse().ok()?, proof, call))
    }
}

/// Longest interval (a year). A longer one counts as that.
const LONGEST_INTERVAL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Returns the part of a URL before its path.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + "://".len());
    url[host..].find('/').map_or(url, |path| &url[..host + path])
}

/// Returns a random time from half to one and a half of `mean`.
fn jittered(mean: Duration) -> Duration {
    mean.mul_f64(0.5 + fastrand::f64())
}
