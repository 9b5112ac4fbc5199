//! The way of some pools to their state in Redis: connections one after another, and the waits between them.

use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::{Either, select};
use redis::RedisError;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::pool::KeyPool;
use crate::store::health::Health;
use crate::store::redis::servers::{REDIRECTIONS, Servers, is_moved};
use crate::store::redis::session::Session;
use crate::store::redis::wire::Names;

/// The way of some pools to their state.
pub(super) struct Link<'a> {
    servers: Servers,
    pools: Vec<(KeyPool, Names)>,
    health: &'a Health,
    /// Number of links of the store that are not connected.
    missing: &'a watch::Sender<usize>,
}

/// The end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was stopped.
    Stopped,
    /// The state of the pools is at several nodes of a cluster.
    Scattered,
}

/// First time until Redis is tried again (100 ms), and the longest (5 s). A random half is added.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Time for the last write.
const LAST_WRITE: Duration = Duration::from_secs(1);

// === impl Link ===

impl<'a> Link<'a> {
    pub(super) const fn new(
        servers: Servers,
        pools: Vec<(KeyPool, Names)>,
        health: &'a Health,
        missing: &'a watch::Sender<usize>,
    ) -> Self {
        Self { servers, pools, health, missing }
    }

    /// Shares the state of the pools until `stop` ends.
    pub(super) async fn run(&mut self, stop: impl Future<Output = ()>) -> Ended {
        let (mut stop, mut wait, mut redirections) = (pin!(stop), FIRST_RETRY, 0);
        loop {
            let (has_opened, error) = match self.connect(stop.as_mut()).await {
                Ok(()) => return Ended::Stopped,
                Err(failure) => failure,
            };
            if has_opened {
                (wait, redirections) = (FIRST_RETRY, 0);
            }
            if is_moved(&error) && self.pools.len() > 1 {
                return Ended::Scattered;
            }
            if redirections < REDIRECTIONS && self.servers.follow(&error) {
                redirections += 1;
                continue;
            }
            redirections = 0;
            self.servers.forget_node();
            self.servers.failed();
            self.health.fails(&self.pools(), &self.described(&error));
            let jitter = wait.mul_f64(fastrand::f64() / 2.0);
            if let Either::Left(_) = select(stop.as_mut(), pin!(sleep(wait.saturating_add(jitter)))).await {
                return Ended::Stopped;
            }
            wait = wait.saturating_mul(2).min(LAST_RETRY);
        }
    }

    /// Opens a connection and uses it until it fails. Returns whether it was open, and the error.
    async fn connect(&self, mut stop: Pin<&mut impl Future<Output = ()>>) -> Result<(), (bool, RedisError)> {
        let open = async { Session::open(&self.servers.client().await?, &self.pools).await };
        let mut session = match select(stop.as_mut(), pin!(open)).await {
            Either::Left(_) => return Ok(()),
            Either::Right((session, _)) => session.map_err(|error| (false, error))?,
        };
        let works = || self.health.works(&self.pools());
        works();
        self.missing.send_modify(|missing| *missing = missing.saturating_sub(1));
        let error = match select(stop, pin!(session.exchange(works))).await {
            Either::Left(_) => None,
            Either::Right((error, _)) => Some(error),
        };
        self.missing.send_modify(|missing| *missing += 1);
        match error {
            Some(error) => Err((true, error)),
            None => {
                // Finds what a write that was cut off has lost. Redis may be away; the process must end in any case.
                let _written = timeout(LAST_WRITE, session.reconcile()).await;
                Ok(())
            }
        }
    }

    fn pools(&self) -> Vec<KeyPool> {
        self.pools.iter().map(|(pool, _)| pool.clone()).collect()
    }

    /// Returns the text of an error, with advice where the error has none.
    fn described(&self, error: &RedisError) -> String {
        match (error.code(), self.pools.first()) {
            (Some("WRONGTYPE"), Some((_, names))) => {
                format!("{error} (another program uses the name `{}`: set another prefix)", names.hash)
            }
            (Some("READONLY"), _) => {
                format!("{error} (the server is a replica: give the URL of its master, or sentinels)")
            }
            _ => error.to_string(),
        }
    }
}
