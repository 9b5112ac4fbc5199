//! State that several processes share by Redis.

#[cfg(test)]
mod fleet;
mod link;
mod servers;
mod session;
pub(super) mod status;
mod wire;

use std::fmt;
use std::future::pending;
use std::pin::pin;

use futures_util::future::{Either, join, join_all, select};
use tokio::sync::watch;

use crate::pool::KeyPool;
use crate::store::health::Health;
use crate::store::pools::StorePools;
use crate::store::redis::link::{Ended, Link};
use crate::store::redis::servers::Servers;
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
/// no secrets. A user of an ACL needs the commands `EVALSHA`, `SCRIPT LOAD`, `HGET`, `HSET`, `HGETALL`, `HDEL`,
/// `PEXPIRE`, `PUBLISH`, `SUBSCRIBE`, and access to `{PREFIX:*` keys and channels.
///
/// # Clusters and Sentinels
///
/// The redirections of a cluster are followed, without any setting. Add the URLs of some more nodes with
/// [`or_at`](Self::or_at), in case the first one is away. With [sentinels](Self::sentinel), the store uses the master
/// that they name, and asks them again when it fails.
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
    servers: Servers,
    prefix: String,
    pools: StorePools,
    /// Number of links that are not connected.
    missing: watch::Sender<usize>,
}

/// An error: a URL of Redis is invalid. It does not contain the URL, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL of Redis is invalid: write redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// with the feature `redis-tls`"
)]
pub struct InvalidRedis;

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
        let servers = Servers::at(url).ok_or(InvalidRedis)?;
        let (prefix, pools) = (Self::PREFIX.to_owned(), StorePools::default());
        Ok(Self { servers, prefix, pools, missing: watch::Sender::new(1) })
    }

    /// Adds the URL of another server, which is tried when the one before does not work: another node of a cluster, or
    /// the server that takes over. Give each URL the user and the password.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRedis`] if the URL is none of Redis.
    pub fn or_at(mut self, url: &str) -> Result<Self, InvalidRedis> {
        self.servers.or_at(url).map(|()| self).ok_or(InvalidRedis)
    }

    /// Adds the URL of a Sentinel. The host of the store's own URL is then the name of the master, whose address the
    /// sentinels know; its user, password and database are those of the master.
    ///
    /// ```
    /// use tower_key_rotation::store::RedisStore;
    ///
    /// let store = RedisStore::new("redis://user:password@mymaster/0")?
    ///     .sentinel("redis://10.0.0.1:26379")?
    ///     .sentinel("redis://10.0.0.2:26379")?;
    /// # drop(store);
    /// # Ok::<(), tower_key_rotation::store::InvalidRedis>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRedis`] if the URL is none of Redis.
    pub fn sentinel(mut self, url: &str) -> Result<Self, InvalidRedis> {
        self.servers.sentinel(url).map(|()| self).ok_or(InvalidRedis)
    }

    /// Sets the first part of the names in Redis. Processes with the same prefix share their state. Default:
    /// [`PREFIX`](Self::PREFIX).
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Adds a pool. Pools of one provider share one state, also within a process.
    pub fn pool(self, pool: &KeyPool) -> Self {
        self.pools.add(pool);
        self
    }

    /// Returns a handle that changes the pools while the store runs.
    pub fn pools(&self) -> StorePools {
        self.pools.clone()
    }

    /// Returns a handle that tells whether the store is connected.
    pub fn status(&self) -> RedisStatus {
        RedisStatus(self.missing.subscribe())
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
        let Self { servers, prefix, pools, missing } = self;
        let (mut shutdown, health) = (pin!(shutdown), Health::new("redis"));
        let mut changed = pools.watch();
        loop {
            let pools = changed.borrow_and_update().clone();
            health.keep(&pools);
            let named = pools.into_iter().map(|pool| (pool.clone(), Names::of(&prefix, &pool))).collect();
            let (stop, stopped) = watch::channel(false);
            let ended = async {
                let changed = pin!(changed.changed());
                let is_over = matches!(select(shutdown.as_mut(), changed).await, Either::Left(_));
                stop.send_replace(true);
                is_over
            };
            missing.send_replace(1);
            let (is_over, ()) = join(ended, link(&servers, named, (&health, &missing), stopped)).await;
            if is_over {
                return;
            }
        }
    }
}

/// Shares the state of pools until `stop` is true: over one connection, or over one for each pool if their state is at
/// several nodes of a cluster.
async fn link(
    servers: &Servers,
    pools: Vec<(KeyPool, Names)>,
    (health, missing): (&Health, &watch::Sender<usize>),
    stop: watch::Receiver<bool>,
) {
    let link = async |pools| {
        let mut stop = stop.clone();
        let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
        Link::new(servers.clone(), pools, health, missing).run(stopped).await
    };
    if link(pools.clone()).await == Ended::Scattered {
        missing.send_replace(pools.len());
        join_all(pools.into_iter().map(|pool| link(vec![pool]))).await;
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { servers: _, prefix, pools, missing } = self;
        f.debug_struct("RedisStore")
            .field("prefix", prefix)
            .field("pools", &pools.list().len())
            .field("connected", &(*missing.borrow() == 0))
            .finish_non_exhaustive()
    }
}
