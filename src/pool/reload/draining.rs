//! Waiting for the last requests of keys that take no more.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::futures::Notified;

use crate::pool::keys::common::Common;
use crate::pool::keys::key::KeyState;

/// Keys that take no new request and finish those in flight. A request is in flight until the end of its
/// response body.
///
/// Dropping it changes nothing: the requests go on.
///
/// ```
/// use tower_key_rotation::{ApiKey, KeyPool, Provider};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = [ApiKey::new("sk-one")?.id("one"), ApiKey::new("sk-two")?.id("two")];
/// let pool = KeyPool::builder(Provider::openai()).keys(keys).build()?;
///
/// let lease = pool.acquire(())?;
/// let draining = pool.remove(lease.key_id())?;
/// assert_eq!(draining.in_flight(), 1);
/// lease.succeed();
/// draining.drained().await; // now the key can be revoked
/// # Ok(())
/// # }
/// ```
#[must_use = "the keys take no new request in any case; wait for `drained` before they are revoked"]
pub struct Draining {
    common: Arc<Common>,
    keys: Vec<Arc<KeyState>>,
}

// === impl Draining ===

impl Draining {
    pub(in crate::pool) fn new(common: &Arc<Common>, keys: Vec<Arc<KeyState>>) -> Self {
        Self { common: Arc::clone(common), keys }
    }

    /// Returns the number of requests of the keys that are still in flight.
    pub fn in_flight(&self) -> u64 {
        self.keys.iter().map(|key| key.stats.in_flight()).sum()
    }

    /// Waits until the last request of the keys has ended. Returns at once if none is in flight. The future
    /// may be dropped at any time.
    pub async fn drained(&self) {
        loop {
            // Listen before looking. Otherwise a notification in between would be missed.
            let mut left = pin!(self.common.left.notified());
            Notified::enable(left.as_mut());
            if self.in_flight() == 0 {
                return;
            }
            left.await;
        }
    }
}

impl fmt::Debug for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { common, keys } = self;
        f.debug_struct("Draining")
            .field("provider", &common.name)
            .field("keys", &keys.len())
            .field("in_flight", &self.in_flight())
            .finish()
    }
}
