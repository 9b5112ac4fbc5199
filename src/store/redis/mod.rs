//! State that several processes share by Redis.

mod session;
pub(super) mod status;
mod wire;

use std::fmt;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use redis::{Client, IntoConnectionInfo, ProtocolVersion};
use tokio::sync::watch;

use crate::pool::KeyPool;
use crate::store::health::Health;
use crate::store::redis::session::Session;
use crate::store::redis::status::RedisStatus;
use crate::store::redis::wire::Names;

/// State that several processes share by Redis (6 or later): cooldowns, invalid and disabled keys, learned
/// accounts and limits, counts, and operators' resets.
///
/// News of one process reaches the others within about 100 ms. Redis is never on the way of a request. While
/// it is away, every process goes on with what it knows, and an event says so. When it is back, even empty,
/// sharing goes on by itself, and nothing is counted twice.
///
/// # Keys in Redis
///
/// For each provider one hash `{PREFIX:PROVIDER}:state`, which expires eight days after the last change, and
/// one channel `{PREFIX:PROVIDER}:news`. Both have the same hash tag, so they may lie in a cluster. They hold
/// no secrets. A user of an ACL needs the commands `EVAL`, `EVALSHA`, `HGET`, `HSET`, `HGETALL`, `HDEL`,
/// `PEXPIRE`, `PUBLISH`, `SUBSCRIBE`, and access to `{PREFIX:*` keys and channels.
///
/// # Example
///
/// ```no_run
/// use tower_key_rotation::store::RedisStore;
/// use tower_key_rotation::{KeyPool, Provider};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = KeyPool::from_env(Provider::openai())?;
/// let store = RedisStore::new("redis://user:password@localhost:6379/0")?.prefix("my-app").pool(&pool);
/// tokio::spawn(store.run_forever());
/// # Ok(())
/// # }
/// ```
#[must_use = "spawn `run`"]
pub struct RedisStore {
    client: Client,
    prefix: String,
    pools: Vec<KeyPool>,
    connected: watch::Sender<bool>,
}

/// An error: a URL of Redis is invalid. It does not contain the URL, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL of Redis is invalid: write redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// with the feature `redis-tls`"
)]
pub struct InvalidRedis;

/// First time until Redis is tried again (100 ms), and the longest (5 s). A random half is added.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Time for the last write at a shutdown.
const LAST_WRITE: Duration = Duration::from_secs(1);

// === impl RedisStore ===

impl RedisStore {
    /// Default [prefix](Self::prefix): `tower-key-rotation`.
    pub const PREFIX: &str = "tower-key-rotation";

    /// Creates a store without pools. Opens no connection.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRedis`] if the URL is none of Redis.
    pub fn new(url: &str) -> Result<Self, InvalidRedis> {
        let info = url.into_connection_info().map_err(|_| InvalidRedis)?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings)).map_err(|_| InvalidRedis)?;
        let (prefix, pools) = (Self::PREFIX.to_owned(), Vec::new());
        Ok(Self { client, prefix, pools, connected: watch::Sender::new(false) })
    }

    /// Sets the first part of the names in Redis. Processes with the same prefix share their state. Default:
    /// [`PREFIX`](Self::PREFIX).
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Adds a pool. Pools of one provider share one state, also within a process.
    pub fn pool(mut self, pool: &KeyPool) -> Self {
        self.pools.push(pool.clone());
        self
    }

    /// Returns a handle that tells whether the store is connected.
    pub fn status(&self) -> RedisStatus {
        RedisStatus(self.connected.subscribe())
    }

    /// Shares the state until `shutdown` ends.
    pub fn run<F>(self, shutdown: F) -> impl Future<Output = ()> + Send + use<F>
    where
        F: Future<Output = ()> + Send,
    {
        self.share(shutdown)
    }

    /// Like [`run`](Self::run), without an end.
    pub async fn run_forever(self) {
        self.share(pending()).await;
    }

    async fn share(self, shutdown: impl Future<Output = ()>) {
        let Self { client, prefix, pools, connected } = self;
        let named: Vec<_> = pools.iter().map(|pool| (pool.clone(), Names::of(&prefix, pool))).collect();
        let (mut shutdown, mut health) = (pin!(shutdown), Health::new("redis"));
        let mut wait = FIRST_RETRY;
        loop {
            let error = {
                let mut session = match select(shutdown.as_mut(), pin!(Session::open(&client, &named))).await
                {
                    Either::Left(_) => return,
                    Either::Right((session, _)) => session,
                };
                match &mut session {
                    Ok(session) => {
                        wait = FIRST_RETRY;
                        health.works(&pools);
                        connected.send_replace(true);
                        let error = match select(shutdown.as_mut(), pin!(session.exchange())).await {
                            Either::Left(_) => None,
                            Either::Right((error, _)) => Some(error),
                        };
                        let Some(error) = error else {
                            // Redis may be away; the process must end in any case.
                            let _written = tokio::time::timeout(LAST_WRITE, session.tell()).await;
                            return;
                        };
                        error.to_string()
                    }
                    Err(error) => error.to_string(),
                }
            };
            connected.send_replace(false);
            health.fails(&pools, &error);
            let jitter = wait.mul_f64(fastrand::f64() / 2.0);
            if let Either::Left(_) =
                select(shutdown.as_mut(), pin!(tokio::time::sleep(wait.saturating_add(jitter)))).await
            {
                return;
            }
            wait = wait.saturating_mul(2).min(LAST_RETRY);
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client: _, prefix, pools, connected } = self;
        f.debug_struct("RedisStore")
            .field("prefix", prefix)
            .field("pools", &pools.len())
            .field("connected", &*connected.borrow())
            .finish_non_exhaustive()
    }
}
