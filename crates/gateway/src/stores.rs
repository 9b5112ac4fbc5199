//! The tasks that keep and share the state of keys.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_key_rotation::store::{FileStore, FileStoreError, RedisStore};

use crate::config::{Config, ProviderSettings};

/// Time for which the start waits for what other gateways know (1 s). The gateway starts without it then.
const FIRST_NEWS: Duration = Duration::from_secs(1);

/// The running stores of a configuration: `state_file`, and the `[redis]` table.
///
/// They keep the pools that the configuration had at the start. A provider that a reload adds, or whose pool it builds
/// anew, is kept from the next start on.
#[derive(Debug)]
#[must_use = "stop it, so that the last changes are written"]
pub struct Stores {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

// === impl Stores ===

impl Stores {
    /// Restores the state of all keys, and starts the tasks that keep and share it. Waits up to a second for Redis.
    ///
    /// # Errors
    ///
    /// Returns [`FileStoreError`] if the state file can't be used, or if another process uses it.
    pub async fn start(config: &Config) -> Result<Self, FileStoreError> {
        let (mut tasks, stop) = (JoinSet::new(), watch::Sender::new(false));
        let stopped = || {
            let mut stop = stop.subscribe();
            async move { drop(stop.wait_for(|stop| *stop).await) }
        };
        let pools = || config.providers().iter().map(ProviderSettings::pool);
        if let Some(path) = config.stores().file() {
            let mut store = FileStore::open(path)?;
            pools().for_each(|pool| store.add(pool));
            let saving = store.run(stopped());
            // Errors are events of the pools.
            tasks.spawn(async move { drop(saving.await) });
        }
        if let Some(store) = config.stores().redis() {
            let store = pools().fold(store, RedisStore::pool);
            let status = store.status();
            tasks.spawn(store.run(stopped()));
            let _in_time = timeout(FIRST_NEWS, status.connected()).await;
        }
        Ok(Self { tasks, stop })
    }

    /// Writes the last changes, and ends the tasks.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}
