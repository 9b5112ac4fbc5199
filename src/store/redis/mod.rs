//! State that several processes share by Redis.

#[cfg(test)]
mod fleet;
mod link;
mod quota;
mod servers;
mod session;
mod sharing;
pub(super) mod status;
mod wire;

use std::fmt;
use std::future::pending;

use tokio::sync::watch;

use crate::pool::KeyPool;
use crate::store::pools::StorePools;
use crate::store::redis::servers::Servers;
use crate::store::redis::sharing::Sharing;
use crate::store::redis::status::RedisStatus;

/// State that several processes share by Redis (6 or later): cooldowns, invalid and disabled keys, learned
/// accounts and limits, counts, and operators' resets.
///
/// News of one process reaches the others within about 100 ms. Redis is never on the way of a request. While
/// it is away, every process goes on with what it knows, and an event says so. When it is back, even empty,
/// sharing goes on by itself, and nothing is counted twice.
///
/// A revoked key is met by requests that could not know of it: in the instance that meets it first, by those that were
/// sent before another key had served the first refused request; in another instance by those that were sent before
/// the news came, 250 ms after that at the latest. Later requests do not meet it.
///
/// Times in Redis are those of its own clock, which each process reads when it connects and every 10 s. So the wall
/// clocks of the processes may differ: a cooldown lasts as long everywhere. The clocks of servers that take over from one
/// another have to agree within a second. A change while Redis is away takes the place of an earlier one of the same
/// kind, so a long outage takes no more memory than a short one.
///
/// # Shared limits
///
/// The instances stay together within each declared limit whose window lasts two seconds or longer, for requests and
/// for tokens, of keys and accounts, for all models or for single ones. Each instance holds a part of what is left, and
/// requests draw from that part: no request asks Redis. As long as all instances have enough, each holds an equal part.
/// When one lacks something, the others return at once what they do not need themselves, so the last units are found.
/// The following rules apply:
///
/// - *Requests.* A request that finds the part of its instance used up waits for more, if it may wait; what
///   others return reaches it within a few milliseconds. If it may not wait, it fails as if the limit were used
///   up, although other instances may hold something. When nothing is left that others could return, the time stated is
///   the end of the window, or the time at which a bucket has room. A request that needs nearly the whole limit is let in
///   when no other instance uses it.
/// - *Redis is away*, or does not respond within a second: the instance goes on with its part, and with an equal part of
///   what no instance held when it heard of Redis last (and of what comes back meanwhile, or of the next window). So
///   the instances stay within the limit about; a limit that others have used up meanwhile may be exceeded by that part.
///   When Redis is back, each instance says what it has spent, and a Redis that has lost its state grants nothing new
///   for three seconds, until all have said so. Before the first connection, the whole limit is the instance's own; a pool
///   that is added to a store that was connected begins with an equal part. Pools that stay keep their parts when others
///   come and go.
/// - *A failover* to a replica: each instance repeats what it has spent, so nothing is lost of the counts. The limit is
///   exceeded at most by what the master granted last and its replica had not heard of yet: usually nothing.
/// - *An instance is killed*: five seconds later the others may take what it held. What it had spent in the last 50 ms
///   is not known to Redis, so as much as it had spent in half a second counts as spent once more. An instance that
///   ends regularly returns its part at once. What an instance held of a limit whose key it has no more is free 150 s
///   after its last demand.
/// - *Windows* end by the clock of each instance, and are named by their regular end, so each window has its own count.
///   That holds if the clocks differ, and if one is set by up to half a window while its process runs. The next window is
///   granted up to three seconds ahead. Buckets refill by the clock of Redis.
/// - *Tokens* are counted as estimated, and corrected when the response has ended.
/// - *Not shared*: limits per second and of requests in flight, for which news would come too late (divide them by the
///   number of instances); names of models beyond [`max_models`](crate::pool::KeyPoolBuilder::max_models). Limits that
///   responses report are shared as news.
///
/// # Keys in Redis
///
/// For each provider one hash `{PREFIX:PROVIDER}:state`, which expires eight days after the last change, and
/// one channel `{PREFIX:PROVIDER}:news`. For shared limits the hash `{PREFIX:PROVIDER}:instances`, a hash
/// `{PREFIX:PROVIDER}:limit:…` for each limit and window, which expires ten minutes after its end, and the channel
/// `{PREFIX:PROVIDER}:hungry`. All have the same hash tag, so they may lie in a cluster. They hold no secrets. A user
/// of an ACL needs the commands `EVALSHA`, `SCRIPT LOAD`, `TIME`, `HGET`, `HSET`, `HGETALL`, `HDEL`, `PEXPIRE`,
/// `PUBLISH`, `SUBSCRIBE`, and access to `{PREFIX:*` keys and channels.
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
    share_limits: bool,
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
        Ok(Self { servers, prefix, pools, missing: watch::Sender::new(1), share_limits: true })
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

    /// Sets whether the instances stay together within the declared limits; see [above](Self#shared-limits). Default:
    /// `true`. With `false`, each instance learns within about 100 ms what others have taken, so several instances
    /// exceed a limit by what they take in that time.
    pub const fn share_limits(mut self, share: bool) -> Self {
        self.share_limits = share;
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
        let Self { servers, prefix, pools, missing, share_limits } = self;
        Sharing { servers, prefix, missing: &missing, share_limits }.run(&pools, shutdown).await;
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { servers: _, prefix, pools, missing, share_limits } = self;
        f.debug_struct("RedisStore")
            .field("prefix", prefix)
            .field("pools", &pools.list().len())
            .field("connected", &(*missing.borrow() == 0))
            .field("share_limits", share_limits)
            .finish_non_exhaustive()
    }
}
