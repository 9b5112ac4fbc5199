//! Whether a Redis store is connected.

use tokio::sync::watch;

/// Tells whether a [`RedisStore`](crate::store::RedisStore) is connected and has read the shared state.
/// Created by [`RedisStore::status`](crate::store::RedisStore::status).
#[derive(Clone, Debug)]
pub struct RedisStatus(pub(super) watch::Receiver<usize>);

// === impl RedisStatus ===

impl RedisStatus {
    /// Returns whether the state is shared now.
    pub fn is_connected(&self) -> bool {
        *self.0.borrow() == 0
    }

    /// Waits until the state is shared. Wait for it with a timeout before the first request, if the process
    /// should know of limits that others have used. Never returns if the store was dropped before.
    pub async fn connected(&self) {
        if self.0.clone().wait_for(|missing| *missing == 0).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
