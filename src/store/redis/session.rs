//! One connection to Redis: from its opening to its loss.

use std::time::Duration;

use futures_util::future::try_join_all;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, RedisResult, Value};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::pool::KeyPool;
use crate::store::redis::servers::TIMEOUT;
use crate::store::redis::wire::{Entry, KEPT_MS, Names, Scripts, entry, message, register};

/// A connection, and the pools whose state it exchanges.
pub(super) struct Session<'a> {
    connection: MultiplexedConnection,
    news: broadcast::Receiver<PushInfo>,
    pools: &'a [(KeyPool, Names)],
    scripts: Scripts,
}

/// Time between two looks for changes of the pools: 50 ms.
const EVERY: Duration = Duration::from_millis(50);

/// Time between two comparisons of the whole state, in case a message or the state was lost: 10 s.
const RECONCILE: Duration = Duration::from_secs(10);

/// Maximum number of registers in one command, so that none blocks Redis for long.
const BATCH: usize = 256;

/// Maximum number of messages that wait. If there are more, the whole state is compared instead.
const MESSAGES: usize = 1_024;

// === impl Session ===

impl<'a> Session<'a> {
    /// Connects, subscribes, and compares the whole state.
    pub(super) async fn open(client: &Client, pools: &'a [(KeyPool, Names)]) -> RedisResult<Self> {
        let (sender, news) = broadcast::channel(MESSAGES);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT))
            .set_push_sender(sender);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let channels: Vec<_> = pools.iter().map(|(_, names)| &names.channel).collect();
        if !channels.is_empty() {
            connection.subscribe(channels).await?;
        }
        let mut session = Self { connection, news, pools, scripts: Scripts::new() };
        // Redis may be empty, or may have lost the last writes.
        pools.iter().for_each(|(pool, _)| pool.resend());
        session.reconcile().await?;
        try_join_all(pools.iter().map(|(_, names)| keep(session.connection.clone(), names))).await?;
        Ok(session)
    }

    /// Exchanges news until the connection fails. Calls `works` after each comparison of the whole state.
    pub(super) async fn exchange(&mut self, works: impl Fn()) -> RedisError {
        let (mut look_at, mut reconcile_at) = (Instant::now(), Instant::now() + RECONCILE);
        loop {
            let now = Instant::now();
            let result = if now >= reconcile_at {
                reconcile_at = now + RECONCILE;
                self.reconcile().await.inspect(|()| works())
            } else if now >= look_at {
                let changed = self.look();
                look_at = next_look(now);
                self.write(&changed).await
            } else {
                match tokio::time::timeout_at(look_at, self.news.recv()).await {
                    Ok(Ok(news)) => self.hear(news),
                    Ok(Err(RecvError::Lagged(_))) => self.reconcile().await,
                    Ok(Err(RecvError::Closed)) => Err(lost()),
                    Err(_look) => Ok(()),
                }
            };
            if let Err(error) = result {
                return error;
            }
        }
    }

    /// Writes what has changed in the pools.
    async fn tell(&self) -> RedisResult<()> {
        let changed = self.look();
        self.write(&changed).await
    }

    /// Returns what has changed in each pool.
    fn look(&self) -> Vec<Vec<Entry>> {
        let changed = |pool: &KeyPool| pool.changed_registers().iter().filter_map(entry).collect();
        self.pools.iter().map(|(pool, _)| changed(pool)).collect()
    }

    /// Writes what has changed in each pool.
    async fn write(&self, changed: &[Vec<Entry>]) -> RedisResult<()> {
        let write = async |((pool, names), changed): (&(KeyPool, Names), &Vec<Entry>)| {
            let written = write(self.connection.clone(), &self.scripts, names, changed).await;
            if written.is_err() {
                // The changes are taken from the pool, and may not have arrived.
                pool.resend();
            }
            written
        };
        try_join_all(self.pools.iter().zip(changed).map(write)).await?;
        Ok(())
    }

    /// Merges the whole state in both directions, and removes registers that are of no use.
    pub(super) async fn reconcile(&mut self) -> RedisResult<()> {
        self.read_clock().await?;
        try_join_all(self.pools.iter().map(|it| hear_all(self.connection.clone(), &self.scripts, it)))
            .await?;
        self.tell().await
    }

    /// Reads the clock of Redis, by which the times in its registers are. The clocks of instances may differ.
    async fn read_clock(&mut self) -> RedisResult<()> {
        let sent = Instant::now();
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(&mut self.connection).await?;
        let way = Instant::now().saturating_duration_since(sent) / 2;
        let way = u64::try_from(way.as_millis()).unwrap_or(0);
        let time = seconds.saturating_mul(1_000).saturating_add(micros / 1_000).saturating_add(way);
        self.pools.iter().for_each(|(pool, _)| pool.follow_store_clock(time));
        Ok(())
    }

    /// Merges a message and all that have come after it, with one look at each pool.
    fn hear(&mut self, first: PushInfo) -> RedisResult<()> {
        let more: Vec<_> = std::iter::from_fn(|| self.news.try_recv().ok()).collect();
        let mut heard = vec![Vec::new(); self.pools.len()];
        for news in std::iter::once(first).chain(more) {
            match (news.kind, &news.data[..]) {
                (PushKind::Disconnection, _) => return Err(lost()),
                (PushKind::Message, [Value::BulkString(channel), Value::BulkString(payload)]) => {
                    for (heard, (_, names)) in heard.iter_mut().zip(self.pools) {
                        if names.channel.as_bytes() == channel {
                            heard.extend(message(payload).iter().filter_map(register));
                        }
                    }
                }
                _ => {}
            }
        }
        let pools = self.pools.iter().zip(heard).filter(|(_, heard)| !heard.is_empty());
        pools.for_each(|((pool, _), heard)| pool.merge_stored(heard));
        Ok(())
    }
}

/// Keeps the state for eight days more. A server that permits no writes refuses it, also if there is no news to write.
async fn keep(mut connection: MultiplexedConnection, names: &Names) -> RedisResult<()> {
    redis::cmd("PEXPIRE").arg(&names.hash).arg(KEPT_MS).query_async(&mut connection).await
}

/// Writes what has changed in a pool.
async fn write(
    mut connection: MultiplexedConnection,
    scripts: &Scripts,
    names: &Names,
    changed: &[Entry],
) -> RedisResult<()> {
    for batch in changed.chunks(BATCH) {
        let mut call = scripts.raise.key(&names.hash);
        call.key(&names.channel);
        for (field, value) in batch {
            call.arg(field).arg(value);
        }
        let _raised: u64 = call.invoke_async(&mut connection).await?;
    }
    Ok(())
}

/// Merges the whole state of a pool, removes registers that are of no use, and lets those that Redis has lost be
/// written again.
async fn hear_all(
    mut connection: MultiplexedConnection,
    scripts: &Scripts,
    (pool, names): &(KeyPool, Names),
) -> RedisResult<()> {
    let mut read = redis::cmd("HGETALL");
    // Another program may have written any bytes.
    let entries: Vec<(Vec<u8>, Vec<u8>)> = read.arg(&names.hash).query_async(&mut connection).await?;
    let registers: Vec<_> = entries.iter().filter_map(register).collect();
    drop(entries);
    pool.merge_stored(registers.clone());
    let dead: Vec<_> = pool.useless(registers.clone()).iter().filter_map(entry).collect();
    pool.resend_lost(registers);
    for batch in dead.chunks(BATCH) {
        let mut call = scripts.remove.key(&names.hash);
        for (field, value) in batch {
            call.arg(field).arg(value);
        }
        let _removed: Value = call.invoke_async(&mut connection).await?;
    }
    Ok(())
}

/// Returns the time of the next look. A look at very many keys takes long, and must not take all the time.
fn next_look(began: Instant) -> Instant {
    let now = Instant::now();
    let took = now.saturating_duration_since(began);
    now + EVERY.max(took.saturating_mul(10))
}

fn lost() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()
}
