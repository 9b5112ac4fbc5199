//! The links of a store, which follow its pools.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::pending;
use std::pin::{Pin, pin};

use futures_util::future::{Either, join, join_all, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};
use tokio::sync::watch;

use crate::pool::{KeyPool, PoolId};
use crate::store::health::Health;
use crate::store::pools::StorePools;
use crate::store::redis::link::{Ended, Link};
use crate::store::redis::quota::peers::Peers;
use crate::store::redis::quota::{QuotaHealth, QuotaLink};
use crate::store::redis::servers::Servers;
use crate::store::redis::wire::Names;

/// The settings of a store at work.
pub(super) struct Sharing<'a> {
    pub(super) servers: Servers,
    pub(super) prefix: String,
    /// Number of links that are not connected.
    pub(super) missing: &'a watch::Sender<usize>,
    pub(super) share_limits: bool,
}

/// The links that share limits: one for each pool, which stays as long as the store has the pool.
#[derive(Default)]
struct QuotaLinks<'a> {
    running: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>,
    /// Stops the link of a pool when it becomes true.
    stops: HashMap<PoolId, watch::Sender<bool>>,
}

// === impl Sharing ===

impl Sharing<'_> {
    /// Shares the state and the limits of the present pools until `shutdown` ends.
    pub(super) async fn run(&self, pools: &StorePools, shutdown: impl Future<Output = ()>) {
        let (mut shutdown, mut changed) = (pin!(shutdown), pools.watch());
        let (health, of_quotas, peers) =
            (Health::new("redis"), Health::new("redis quotas"), Peers::default());
        let (end, over_at_all) = watch::channel(false);
        let mut quotas = QuotaLinks::default();
        loop {
            let pools = changed.borrow_and_update().clone();
            health.keep(&pools);
            of_quotas.keep(&pools);
            let start = |pool: KeyPool, stopped| {
                let healths = QuotaHealth { of_quotas: &of_quotas, of_state: &health };
                self.missing.send_modify(|missing| *missing += 1);
                let link = QuotaLink::new((&self.servers, &self.prefix), pool, healths, &peers, self.missing);
                let stop = select(Box::pin(over(stopped)), Box::pin(over(over_at_all.clone())));
                link.run(async { drop(stop.await) })
            };
            quotas.follow(if self.share_limits { &pools } else { &[] }, start);
            let (stop, stopped) = watch::channel(false);
            let ended = async {
                let changed = pin!(changed.changed());
                let is_over = matches!(select(shutdown.as_mut(), changed).await, Either::Left(_));
                stop.send_replace(true);
                end.send_replace(is_over);
                is_over
            };
            let named = pools.iter().map(|pool| (pool.clone(), Names::of(&self.prefix, pool))).collect();
            let (is_over, ()) = quotas.during(join(ended, self.link(named, &health, stopped))).await;
            if is_over {
                return quotas.running.collect().await;
            }
        }
    }

    /// Shares the state of pools until `stop` is true: over one connection, or over one for each pool if their state is
    /// at several nodes of a cluster.
    async fn link(&self, pools: Vec<(KeyPool, Names)>, health: &Health, stop: watch::Receiver<bool>) {
        let link = async |pools| {
            Link::new(self.servers.clone(), pools, health, self.missing).run(over(stop.clone())).await
        };
        if link(pools.clone()).await == Ended::Scattered {
            let more = pools.len().saturating_sub(1);
            self.missing.send_modify(|missing| *missing += more);
            join_all(pools.into_iter().map(|pool| link(vec![pool]))).await;
            self.missing.send_modify(|missing| *missing = missing.saturating_sub(more));
        }
    }
}

// === impl QuotaLinks ===

impl<'a> QuotaLinks<'a> {
    /// Starts the links of new pools, and stops those of pools that are gone. The others go on, and hold what they were
    /// granted.
    fn follow<F>(&mut self, pools: &[KeyPool], start: impl Fn(KeyPool, watch::Receiver<bool>) -> F)
    where
        F: Future<Output = ()> + Send + 'a,
    {
        self.stops.retain(|id, stop| {
            let stays = pools.iter().any(|pool| pool.id() == *id);
            stop.send_replace(!stays);
            stays
        });
        for pool in pools {
            self.stops.entry(pool.id()).or_insert_with(|| {
                let (stop, stopped) = watch::channel(false);
                self.running.push(Box::pin(start(pool.clone(), stopped)));
                stop
            });
        }
    }

    /// Lets the links run until `work` is done.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        match select(pin!(work), pin!(run(&mut self.running))).await {
            Either::Left((done, _)) => done,
            Either::Right((never, _)) => match never {},
        }
    }
}

async fn run(links: &mut (impl Stream<Item = ()> + Unpin)) -> Infallible {
    loop {
        if links.next().await.is_none() {
            pending::<()>().await;
        }
    }
}

async fn over(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}
