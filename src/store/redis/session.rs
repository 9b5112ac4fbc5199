//! One connection to Redis: from its opening to its loss.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, RedisResult, Value};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::pool::KeyPool;
use crate::store::redis::wire::{Entry, Names, Scripts, entry, message, register};

/// A connection, and the pools whose state it exchanges.
pub(super) struct Session<'a> {
    connection: MultiplexedConnection,
    news: broadcast::Receiver<PushInfo>,
    pools: &'a [(KeyPool, Names)],
    scripts: Scripts,
}

/// Time for connecting, and for each response: one second. Redis responds in less than a millisecond.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Time between two looks for changes of the pools: 50 ms.
const EVERY: Duration = Duration::from_millis(50);

/// Time between two comparisons of the whole state, in case a message was lost: 10 s.
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
        for (_, names) in pools {
            connection.subscribe(&names.channel).await?;
        }
        let mut session = Self { connection, news, pools, scripts: Scripts::new() };
        // Redis may be empty, or may have lost the last writes.
        pools.iter().for_each(|(pool, _)| pool.resend());
        session.reconcile().await?;
        Ok(session)
    }

    /// Exchanges news until the connection fails.
    pub(super) async fn exchange(&mut self) -> RedisError {
        let (mut look_at, mut reconcile_at) = (Instant::now(), Instant::now() + RECONCILE);
        loop {
            let now = Instant::now();
            let result = if now >= reconcile_at {
                reconcile_at = now + RECONCILE;
                self.reconcile().await
            } else if now >= look_at {
                let result = self.tell().await;
                look_at = next_look(now);
                result
            } else {
                match tokio::time::timeout_at(look_at, self.news.recv()).await {
                    Ok(Ok(news)) => self.hear(&news),
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
    pub(super) async fn tell(&mut self) -> RedisResult<()> {
        for (pool, names) in self.pools {
            let changed: Vec<_> = pool.changed_registers().iter().filter_map(entry).collect();
            for batch in changed.chunks(BATCH) {
                let mut call = self.scripts.raise.key(&names.hash);
                call.key(&names.channel);
                for (field, value) in batch {
                    call.arg(field).arg(value);
                }
                let result: RedisResult<u64> = call.invoke_async(&mut self.connection).await;
                if result.is_err() {
                    // The changes are taken from the pool, and may not have arrived.
                    pool.resend();
                }
                result?;
            }
        }
        Ok(())
    }

    /// Merges the whole state in both directions, and removes registers that are of no use.
    async fn reconcile(&mut self) -> RedisResult<()> {
        for (pool, names) in self.pools {
            let mut read = redis::cmd("HGETALL");
            let entries: Vec<Entry> = read.arg(&names.hash).query_async(&mut self.connection).await?;
            let registers: Vec<_> = entries.iter().filter_map(register).collect();
            pool.merge_stored(registers.clone());
            let dead: Vec<_> = pool.useless(registers).iter().filter_map(entry).collect();
            for batch in dead.chunks(BATCH) {
                let mut call = self.scripts.remove.key(&names.hash);
                for (field, value) in batch {
                    call.arg(field).arg(value);
                }
                let _removed: Value = call.invoke_async(&mut self.connection).await?;
            }
        }
        self.tell().await
    }

    fn hear(&self, news: &PushInfo) -> RedisResult<()> {
        match (&news.kind, &news.data[..]) {
            (PushKind::Disconnection, _) => Err(lost()),
            (PushKind::Message, [Value::BulkString(channel), Value::BulkString(payload)]) => {
                for (pool, _) in self.pools.iter().filter(|(_, names)| names.channel.as_bytes() == channel) {
                    pool.merge_stored(message(payload).iter().filter_map(register));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
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
