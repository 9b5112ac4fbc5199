//! A pool that shares its limits.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};
use tokio::time::Instant;

use crate::clock::Moment;
use crate::limits::Others;
use crate::pool::{KeyPool, LimitSharing};
use crate::store::redis::quota::peers::Peers;
use crate::store::redis::quota::wire::{EXPIRES_MS, Granted, Identity, Names, demand, leave};

/// A pool that shares its limits, as one instance among others.
pub(super) struct Member<'a> {
    pool: KeyPool,
    /// `None` before the first connection of the store: the limits are the instance's own.
    sharing: Option<LimitSharing>,
    peers: &'a Peers,
    identity: Identity,
    /// The state of the other instances by the name of a limit, as they have said since the last demands.
    others: HashMap<String, Others>,
    /// The time of the next sign of life.
    due: Instant,
    /// The time from which the state in Redis counts as complete, after it was lost.
    complete_at: Option<Instant>,
}

/// Time between two signs of life: 1 s.
const SIGN_EVERY: Duration = Duration::from_secs(1);

/// Time before the expiry of an instance at which it stops using what it holds: 1 s.
const MARGIN_MS: u64 = 1_000;

/// Time after which all instances have told a Redis that lost its state what they hold: 3 s.
const COMPLETE_AFTER: Duration = Duration::from_secs(3);

/// Maximum number of limits in one command, so that none blocks Redis for long.
const BATCH: usize = 64;

// === impl Member ===

impl<'a> Member<'a> {
    pub(super) fn new(prefix: &str, pool: &KeyPool, peers: &'a Peers) -> Self {
        let identity = Identity { names: Names::of(prefix, pool), id: String::new(), start: 0 };
        // The store may be away, and was told before of how many instances there are.
        let sharing = peers.of(pool).map(|instances| LimitSharing::begin_among(pool, instances));
        let (pool, due) = (pool.clone(), Instant::now());
        Self { pool, sharing, peers, identity, others: HashMap::new(), due, complete_at: None }
    }

    pub(super) fn channel(&self) -> &str {
        &self.identity.names.channel
    }

    /// Waits until a request needs more of a limit.
    pub(super) async fn needed(&self) {
        match &self.sharing {
            Some(sharing) => sharing.link().needed().await,
            None => std::future::pending().await,
        }
    }

    /// Notes what another instance says: that it has joined, or that it lacks something.
    pub(super) fn hear(&mut self, channel: &[u8], message: &[u8]) {
        if channel != self.channel().as_bytes() {
            return;
        }
        match self.identity.names.news(message) {
            Some((name, others)) => {
                let known = self.others.entry(name.to_owned()).or_default();
                *known = others.max(*known);
            }
            // The number of instances has changed.
            None => self.due = Instant::now(),
        }
    }

    /// Passes on the demands of the pool, if there are any, and gives a sign of life.
    pub(super) async fn talk(
        &mut self,
        connection: &mut MultiplexedConnection,
        script: &Script,
        by_default: Others,
    ) -> RedisResult<()> {
        let sharing = self.sharing.get_or_insert_with(|| LimitSharing::begin(&self.pool));
        if self.identity.id.is_empty() {
            self.identity.id = sharing.instance();
        }
        let mut others = std::mem::take(&mut self.others);
        loop {
            let known = sharing.link().instances();
            let mut demands = sharing.demands(&others, by_default).into_iter().peekable();
            while demands.peek().is_some() || Instant::now() >= self.due {
                let batch: Vec<_> = demands.by_ref().take(BATCH).collect();
                let sent = Moment::now();
                let granted = demand(connection, script, &self.identity, &batch).await?;
                let link = sharing.link();
                link.set_instances(granted.instances, granted.parts);
                self.peers.set(&self.pool, granted.instances);
                link.extend(sent.saturating_add(Duration::from_millis(EXPIRES_MS - MARGIN_MS)));
                sharing.grant(batch.into_iter().zip(granted.grants.iter().copied()));
                self.due = Instant::now() + SIGN_EVERY;
                note_start(&mut self.identity, &mut self.complete_at, &granted);
            }
            if sharing.link().instances() == known {
                return Ok(());
            }
            // With more instances, each equal part is smaller.
            others.clear();
        }
    }

    /// Goes on without Redis.
    pub(super) fn go_alone(&self) {
        if let Some(sharing) = &self.sharing {
            sharing.go_alone();
        }
    }

    /// Tells what was spent, and returns the rest. The limits are the instance's own from then on.
    pub(super) async fn leave(
        mut self,
        connection: &mut MultiplexedConnection,
        script: &Script,
    ) -> RedisResult<()> {
        // What others lack is returned as well.
        self.others.clear();
        self.talk(connection, script, Others::Left).await?;
        drop(self.sharing.take());
        leave(connection, &self.identity).await
    }
}

/// Notes when the state in Redis began. A later start means that it was lost, so it is incomplete at first.
fn note_start(identity: &mut Identity, complete_at: &mut Option<Instant>, granted: &Granted) {
    if identity.start == 0 || granted.start == 0 {
        identity.start = granted.start;
    } else if identity.start != granted.start {
        let at = complete_at.get_or_insert_with(|| Instant::now() + COMPLETE_AFTER);
        if Instant::now() >= *at {
            (identity.start, *complete_at) = (granted.start, None);
        }
    }
}
