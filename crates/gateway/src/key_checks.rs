//! Checks of the keys of a configuration: all at once, and on a schedule.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tower::Layer;
use tower_key_rotation::check::{KeyCheck, KeyChecks};
use tower_key_rotation::cloud::{CloudLayer, CloudService};
use tower_key_rotation::key::KeyId;

use crate::client::{self, HttpClient};
use crate::config::{CheckSettings, Config, ProviderSettings};

/// The checks of the keys of one provider.
type Checks = KeyChecks<CloudService<HttpClient>>;

/// The result of a check of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckedKey {
    /// Name of the provider.
    pub provider: String,
    /// The key.
    pub key: KeyId,
    /// The result. `None` if the key was removed meanwhile.
    pub check: Option<KeyCheck>,
}

/// Time after which a refusal is confirmed while an operator waits for the result (1 s).
const CONFIRM_AFTER: Duration = Duration::from_secs(1);

/// Checks every key of a configuration, one after the other.
///
/// See [`KeyChecks`] for the rules. A refusal is confirmed after a second, unless `[checks]` sets another time.
pub async fn check_keys(config: &Config) -> Vec<CheckedKey> {
    let client = client::client();
    let mut checked = Vec::new();
    for provider in config.providers() {
        let checks = checks_of(config, provider, &client);
        let checks = match config.checks().confirm_after() {
            Some(_) => checks,
            None => checks.confirm_after(CONFIRM_AFTER),
        };
        for key in provider.pool().snapshot().keys {
            let check = checks.check(&key.id).await.ok();
            checked.push(CheckedKey { provider: provider.name().to_owned(), key: key.id, check });
        }
    }
    checked
}

/// Returns the checks of the keys of one provider. They make the calls of the provider's cloud, if it is one.
pub(crate) fn checks_of(config: &Config, provider: &ProviderSettings, client: &HttpClient) -> Checks {
    let CheckSettings { confirm_after, timeout, .. } = *config.checks();
    let client = CloudLayer::new(provider.cloud().cloned()).layer(client.clone());
    let checks = KeyChecks::new(provider.pool().clone(), client);
    let checks = checks.base_url(provider.base_url().to_string());
    let checks = provider.check_path().into_iter().fold(checks, |it, path| it.path(path.to_owned()));
    let checks = confirm_after.into_iter().fold(checks, KeyChecks::confirm_after);
    timeout.into_iter().fold(checks, KeyChecks::timeout)
}

/// The tasks that check keys on a schedule, one for each provider.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    /// `None` until they are started.
    tasks: Mutex<Option<Vec<AbortHandle>>>,
}

// === impl Schedule ===

impl Schedule {
    /// Starts the tasks if the configuration asks for them, unless they run already. Outside a tokio runtime the method
    /// does nothing.
    pub(crate) fn start(&self, config: &Config, client: &HttpClient) {
        let Some(every) = config.checks().every() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.get_or_insert_with(|| {
            let providers = config.providers().iter();
            let checks = providers.map(|provider| checks_of(config, provider, client));
            checks.map(|checks| runtime.spawn(checks.every(every)).abort_handle()).collect()
        });
    }

    /// Ends the tasks. They are not started again.
    pub(crate) fn stop(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.replace(Vec::new()).into_iter().flatten().for_each(|task| task.abort());
    }
}
