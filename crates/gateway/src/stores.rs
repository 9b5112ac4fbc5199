//! The tasks that keep and share the state of keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower_key_rotation::KeyPool;
use tower_key_rotation::store::{FileStore, FileStoreError, StorePools};

use crate::config::{Config, ProviderSettings, RedisSettings};

/// Time for which the start waits for what other gateways know (1 s). The gateway starts without it then.
const FIRST_NEWS: Duration = Duration::from_secs(1);

/// The running stores of a configuration: `state_file`, and the `[redis]` table. Clones are handles to the same stores.
#[derive(Clone, Debug)]
#[must_use = "stop it, so that the last changes are written"]
pub struct Stores(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    file: Option<Store<PathBuf>>,
    redis: Option<Store<RedisSettings>>,
}

/// A running store.
#[derive(Debug)]
struct Store<S> {
    settings: S,
    pools: StorePools,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

// === impl Stores ===

impl Stores {
    /// Restores the state of all keys, and starts the tasks that keep and share it. Waits up to a second for Redis.
    ///
    /// # Errors
    ///
    /// Returns [`FileStoreError`] if the state file can't be used, or if another process uses it.
    pub async fn start(config: &Config) -> Result<Self, FileStoreError> {
        let pools = pools(config);
        let file = config.stores().file().map(|path| keep(path, &pools)).transpose()?;
        let redis = match config.stores().redis() {
            Some(settings) => share(settings, &pools).await,
            None => None,
        };
        Ok(Self(Arc::new(Mutex::new(Running { file, redis }))))
    }

    /// Follows a configuration that was loaded again: keeps and shares the state of its pools from now on, by its
    /// stores. A state file that can't be used is logged, and the one before stays in use.
    pub async fn follow(&self, config: &Config) {
        let (pools, running) = (pools(config), &mut *self.0.lock().await);
        follow_file(running, config.stores().file(), &pools).await;
        let same = running.redis.as_ref().map(|store| &store.settings) == config.stores().redis();
        if let Some(store) = running.redis.as_ref().filter(|_| same) {
            store.pools.set(pools);
        } else if !same {
            stop(running.redis.take()).await;
            if let Some(settings) = config.stores().redis() {
                running.redis = share(settings, &pools).await;
            }
        }
    }

    /// Writes the last changes, and ends the tasks.
    pub async fn stop(self) {
        let Running { file, redis } = std::mem::take(&mut *self.0.lock().await);
        // The file has what the last news of others say.
        stop(redis).await;
        stop(file).await;
    }
}

async fn follow_file(running: &mut Running, path: Option<&Path>, pools: &[KeyPool]) {
    if let Some(store) = running.file.as_ref().filter(|store| Some(&*store.settings) == path) {
        return store.pools.set(pools.iter().cloned());
    }
    match path.map(|path| keep(path, pools)).transpose() {
        Ok(file) => stop(std::mem::replace(&mut running.file, file)).await,
        Err(error) => {
            tracing::error!(target: "gateway", %error, "the state file stays as it was: the new one can't be used");
            running.file.iter().for_each(|store| store.pools.set(pools.iter().cloned()));
        }
    }
}

/// Starts to keep the state of pools in a file.
fn keep(path: &Path, pools: &[KeyPool]) -> Result<Store<PathBuf>, FileStoreError> {
    let mut store = FileStore::open(path)?;
    pools.iter().for_each(|pool| store.add(pool));
    let (stop, stopped) = watch::channel(false);
    let (handle, saving) = (store.pools(), store.run(over(stopped)));
    // Errors are events of the pools.
    let task = tokio::spawn(async move { drop(saving.await) });
    Ok(Store { settings: path.to_owned(), pools: handle, stop, task })
}

/// Starts to share the state of pools by Redis. `None` if the settings are invalid, which their check has ruled out.
async fn share(settings: &RedisSettings, pools: &[KeyPool]) -> Option<Store<RedisSettings>> {
    let store = settings.store().ok()?;
    let (handle, status) = (store.pools(), store.status());
    handle.set(pools.iter().cloned());
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(store.run(over(stopped)));
    let _in_time = timeout(FIRST_NEWS, status.connected()).await;
    Some(Store { settings: settings.clone(), pools: handle, stop, task })
}

async fn stop<S>(store: Option<Store<S>>) {
    if let Some(store) = store {
        store.stop.send_replace(true);
        // A task that has panicked has ended as well.
        let _ended = store.task.await;
    }
}

fn pools(config: &Config) -> Vec<KeyPool> {
    config.providers().iter().map(ProviderSettings::pool).cloned().collect()
}

async fn over(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}
