//! The pools of a store, which may change while it runs.

use std::sync::Arc;

use tokio::sync::watch;

use crate::pool::KeyPool;

/// A handle to the pools of a store. It changes them while the store runs. Clones are handles to the same list.
///
/// Created by [`FileStore::pools`](crate::store::FileStore::pools) and
/// [`RedisStore::pools`](crate::store::RedisStore::pools).
///
/// ```no_run
/// use tower_key_rotation::store::RedisStore;
/// use tower_key_rotation::{KeyPool, Provider};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::new("redis://localhost")?;
/// let pools = store.pools();
/// tokio::spawn(store.run_forever());
///
/// let pool = KeyPool::from_env(Provider::openai())?;
/// pools.add(&pool);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct StorePools(Arc<watch::Sender<Vec<KeyPool>>>);

// === impl StorePools ===

impl StorePools {
    /// Adds a pool. It has the state that the store knows within a second.
    pub fn add(&self, pool: &KeyPool) {
        self.0.send_modify(|pools| pools.push(pool.clone()));
    }

    /// Makes these pools the pools of the store. The state of a pool that is not among them any more stays in the store.
    /// Nothing happens if they are its pools already.
    pub fn set(&self, pools: impl IntoIterator<Item = KeyPool>) {
        let new: Vec<_> = pools.into_iter().collect();
        self.0.send_if_modified(|pools| {
            let is_same =
                pools.len() == new.len() && pools.iter().zip(&new).all(|(one, other)| one.id() == other.id());
            *pools = new;
            !is_same
        });
    }

    /// Returns the pools.
    pub(super) fn list(&self) -> Vec<KeyPool> {
        self.0.borrow().clone()
    }

    /// Returns a receiver that tells when the pools have changed.
    pub(super) fn watch(&self) -> watch::Receiver<Vec<KeyPool>> {
        self.0.subscribe()
    }
}
