//! The handle of a source of secrets.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt};

use crate::clock::Timestamp;
#[cfg(doc)]
use crate::key::ClientCredentials;
use crate::key::source::credential::{Credential, SecretUnavailable};
use crate::key::source::file::SecretFile;
use crate::key::source::issued::Issued;
use crate::key::source::listener::SourceListener;
use crate::key::source::shared::{SourceState, flight};

/// A source of the secret of a key, which may change: an access token, or a key that another program rotates. Cheap to
/// clone: clones share the secret, and so do keys of several pools.
///
/// It calls a tower service: a [`SecretFile`], a [`SecretCommand`](crate::key::SecretCommand), [`ClientCredentials`] of a
/// token endpoint, or a service of the program.
///
/// # When a secret is renewed
///
/// The library starts no task. Spawn [`KeyPool::renewal`](crate::KeyPool::renewal), or [`renewal`](Self::renewal) for each
/// source: these futures fetch the first secret, and renew it ahead of its expiry.
///
/// | event | then |
/// |---|---|
/// | a fifth of the lifetime is left, at most 5 min; up to a twentieth earlier, at random | renewed |
/// | the interval of [`check_every`](Self::check_every) is over | fetched again |
/// | a request finds no valid secret | the request uses another key; without one it waits for the renewal |
/// | a 401 for the secret, which was fetched more than 1 s ago | renewed, and sent again once with the same key |
/// | the renewal fails | tried again after 1 s, up to 60 s apart; a secret that is still valid stays in use |
///
/// A source fetches one secret at a time, however many requests wait for it. Without a spawned future, a request that
/// finds no valid secret fetches it.
///
///
/// ```
/// use std::time::Duration;
/// use tower::{BoxError, service_fn};
/// use tower_key_rotation::key::{Credential, Secret, SecretSource};
/// use tower_key_rotation::{ApiKey, KeyPool, Provider};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let tokens = service_fn(|()| async {
///     // Ask the token service of your cloud here.
///     Ok::<_, BoxError>(Credential::new(Secret::new("ya29.token")?).expires_in(Duration::from_secs(3_600)))
/// });
/// let key = ApiKey::from(SecretSource::new("vertex", tokens));
/// let pool = KeyPool::builder(Provider::gemini()).key(key).build()?;
/// tokio::spawn(pool.renewal());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SecretSource(Arc<SourceState>);

/// Age from which a refused secret counts as old (1 s).
const FRESH: Duration = Duration::from_secs(1);

/// Interval at which a file is read (30 s).
const FILE_EVERY: Duration = Duration::from_secs(30);

// === impl SecretSource ===

impl SecretSource {
    /// Creates a source from a tower service. The name is shown in logs and is the default id of a key.
    ///
    /// One call may take 30 s.
    pub fn new<S>(name: impl Into<Arc<str>>, service: S) -> Self
    where
        S: Service<(), Response = Credential> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
    {
        Self(Arc::new(SourceState::new(name.into(), BoxCloneSyncService::new(service.map_err(Into::into)))))
    }

    /// Creates a source from a [`SecretFile`], named like the file, that is read every 30 s.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let file = SecretFile::new(path);
        let name = file.name().to_owned();
        Self::new(name, file).check_every(FILE_EVERY)
    }

    /// Sets the interval at which the source is asked again, even if the secret has not expired. Less than a
    /// millisecond counts as a millisecond. Default: none; 30 s for a [file](Self::file).
    #[must_use]
    pub fn check_every(self, interval: Duration) -> Self {
        let ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        self.0.check_every.store(ms.max(1), Ordering::Relaxed);
        self
    }

    /// Returns the name of the source.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Waits until the source has a valid secret, and fetches one if it has none.
    ///
    /// # Errors
    ///
    /// Returns [`SecretUnavailable`] if the source fails, and at once if it failed less than
    /// [`retry_in`](SecretUnavailable::retry_in) ago.
    pub async fn ready(&self) -> Result<(), SecretUnavailable> {
        self.fetch().await.map(drop)
    }

    /// Returns a future that keeps the secret fresh. It ends when every other handle of the source is gone. Spawn it
    /// once.
    pub fn renewal(&self) -> impl Future<Output = ()> + Send + use<> {
        let (weak, changed) = (Arc::downgrade(&self.0), Arc::clone(&self.0.changed));
        async move {
            while let Some(shared) = weak.upgrade() {
                let next = shared.next();
                if next > Instant::now() {
                    drop(shared);
                    let _woken = timeout_at(next, changed.notified()).await;
                } else {
                    let flight = flight(&shared);
                    let _told_to_listeners = flight.await;
                }
            }
        }
    }

    /// Returns the present secret, if it is valid.
    pub(crate) fn valid(&self) -> Option<Arc<Issued>> {
        self.0.current.load_full().filter(|issued| issued.is_valid(Timestamp::now))
    }

    /// Returns a valid secret, and fetches one if there is none.
    pub(crate) async fn fetch(&self) -> Result<Arc<Issued>, SecretUnavailable> {
        if let Some(issued) = self.valid() {
            return Ok(issued);
        }
        let waiting = {
            let state = self.0.state();
            let is_waiting = state.next.is_some_and(|next| next > Instant::now());
            state.error.clone().filter(|_| is_waiting)
        };
        match waiting {
            Some(error) => Err(error),
            None => flight(&self.0).await,
        }
    }

    /// Returns the secret that followed the one with this number, which was refused. Fetches it unless the present one
    /// was fetched within the last second. `None` if there is no other.
    pub(crate) async fn after(&self, number: u64) -> Option<Arc<Issued>> {
        let newer = |issued: &Arc<Issued>| issued.number > number;
        if let Some(issued) = self.valid().filter(newer) {
            return Some(issued);
        }
        let is_fresh = self.0.state().began.is_some_and(|began| Instant::now() - began < FRESH);
        if is_fresh && !self.is_in_flight() {
            return None;
        }
        flight(&self.0).await.ok().filter(newer)
    }

    /// Adds a listener, unless it listens already.
    pub(crate) fn listen(&self, listener: Arc<dyn SourceListener>) {
        self.0.listen(listener);
    }

    /// Returns whether both are handles of one source.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns a number that no other source has while this one exists.
    pub(crate) fn number(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    fn is_in_flight(&self) -> bool {
        self.0.state().flight.as_ref().is_some_and(|flight| flight.peek().is_none())
    }
}

impl PartialEq for SecretSource {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretSource").field("name", &self.0.name).finish_non_exhaustive()
    }
}
