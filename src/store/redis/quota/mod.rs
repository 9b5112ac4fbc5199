//! Declared limits that several instances share by Redis.
//!
//! Each instance holds a part of each limit, as [`crate::pool`] describes, and asks for more ahead of its use. One
//! script grants and counts, so Redis decides on all instances in one order and by one clock.
//!
//! While Redis is away, an instance goes on with the part that it holds, and with an equal part of the amount that no
//! instance held when it was last told.

mod member;
pub(super) mod peers;
mod wire;

use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::{Either, select};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, RedisResult, Script, Value};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::limits::Others;
use crate::pool::KeyPool;
use crate::store::health::Health;
use crate::store::redis::quota::member::Member;
use crate::store::redis::quota::peers::Peers;
use crate::store::redis::servers::{REDIRECTIONS, Servers, TIMEOUT};

/// The limits of a pool, to be shared by Redis.
pub(super) struct QuotaLink<'a> {
    servers: Servers,
    pool: KeyPool,
    member: Member<'a>,
    health: QuotaHealth<'a>,
    /// Number of failures since Redis last granted something.
    failures: usize,
    /// Number of redirections in a row.
    redirections: usize,
    /// Number of links of the store that are not connected. `None` after this one was.
    missing: Option<&'a watch::Sender<usize>>,
}

/// The reports to which a link says whether it works.
#[derive(Clone, Copy)]
pub(super) struct QuotaHealth<'a> {
    pub(super) of_quotas: &'a Health,
    /// The health of the store of the state, which reports errors of the connection.
    pub(super) of_state: &'a Health,
}

/// A connection, and the script on it.
struct QuotaSession {
    connection: MultiplexedConnection,
    news: broadcast::Receiver<PushInfo>,
    script: Script,
}

/// Number of failures in a row after which an error of the connection is an event here, if the state is shared
/// nevertheless.
const TOLD_AFTER: usize = 3;

/// Time between two looks at what was spent: 50 ms. A request that lacks something causes a look at once.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Minimum time between two looks: 3 ms.
const LOOKS_APART: Duration = Duration::from_millis(3);

/// Time between two attempts to connect: 500 ms.
const RETRY: Duration = Duration::from_millis(500);

/// Time for returning everything at a shutdown: 1 s.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Maximum number of messages that wait. Those that are lost are sent again.
const MESSAGES: usize = 1_024;

// === impl QuotaLink ===

impl<'a> QuotaLink<'a> {
    pub(super) fn new(
        (servers, prefix): (&Servers, &str),
        pool: KeyPool,
        health: QuotaHealth<'a>,
        peers: &'a Peers,
        missing: &'a watch::Sender<usize>,
    ) -> Self {
        let (servers, member) = (servers.clone(), Member::new(prefix, &pool, peers));
        Self { servers, member, pool, health, failures: 0, redirections: 0, missing: Some(missing) }
    }

    /// Shares the limits until `stop` ends, and returns what was not spent.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) {
        if let Some(session) = self.share_until(stop).await {
            // What is not returned is free when this instance expires.
            let _in_time = timeout(LAST_WORDS, leave(self.member, session)).await;
        }
    }

    /// Shares the limits until `stop` ends. Returns the connection then, if there is one.
    async fn share_until(&mut self, stop: impl Future<Output = ()>) -> Option<QuotaSession> {
        let mut stop = pin!(stop);
        loop {
            let error = match self.connect(stop.as_mut()).await {
                Ok(session) => {
                    self.is_ready();
                    return session;
                }
                Err(error) => error,
            };
            if self.redirections < REDIRECTIONS && self.servers.follow(&error) {
                self.redirections += 1;
                continue;
            }
            self.redirections = 0;
            self.servers.forget_node();
            self.servers.failed();
            self.failed(&error);
            let alone = timeout(RETRY, go_alone(&self.member));
            let is_over = matches!(select(stop.as_mut(), pin!(alone)).await, Either::Left(_));
            if is_over {
                self.is_ready();
                return None;
            }
        }
    }

    /// Reports an error. An error of the connection is an event of the store of the state, unless that works.
    fn failed(&mut self, error: &RedisError) {
        self.failures = self.failures.saturating_add(1);
        let is_left_to_state = self.failures < TOLD_AFTER || self.health.of_state.is_failing(&self.pool);
        if !(is_of_connection(error) && is_left_to_state) {
            self.health.of_quotas.fails(std::slice::from_ref(&self.pool), &error.to_string());
            self.is_ready();
        }
    }

    /// Connects, and shares until an error occurs or `stop` ends. Returns the connection then, if there is one.
    async fn connect(
        &mut self,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<QuotaSession>, RedisError> {
        let mut session = {
            let open = async { QuotaSession::open(&self.servers.client().await?, &self.member).await };
            match select(stop.as_mut(), select(pin!(open), pin!(go_alone(&self.member)))).await {
                Either::Left(_) => return Ok(None),
                Either::Right((Either::Left((opened, _)), _)) => opened?,
                Either::Right((Either::Right((never, _)), _)) => match never {},
            }
        };
        let error = match select(stop, pin!(self.share(&mut session))).await {
            Either::Left(_) => None,
            Either::Right((error, _)) => Some(error),
        };
        error.map_or(Ok(Some(session)), Err)
    }

    /// Shares until an error occurs.
    async fn share(&mut self, session: &mut QuotaSession) -> RedisError {
        let opened = Instant::now();
        loop {
            let began = Instant::now();
            if let Err(error) = session.talk(&mut self.member).await {
                return error;
            }
            (self.failures, self.redirections) = (0, 0);
            self.health.of_quotas.works(std::slice::from_ref(&self.pool));
            // By now, the others have returned what is above an equal part.
            if began >= opened + LOOK_EVERY {
                self.is_ready();
            }
            // A look at very many keys takes long, and must not take all the time.
            let now = Instant::now();
            sleep_until(now + LOOKS_APART.max(now.saturating_duration_since(began))).await;
            if let Err(error) = session.wait(&mut self.member).await {
                return error;
            }
        }
    }

    fn is_ready(&mut self) {
        if let Some(missing) = self.missing.take() {
            missing.send_modify(|missing| *missing = missing.saturating_sub(1));
        }
    }
}

async fn leave(member: Member<'_>, mut session: QuotaSession) -> RedisResult<()> {
    member.leave(&mut session.connection, &session.script).await
}

/// Goes on without Redis.
async fn go_alone(member: &Member<'_>) -> std::convert::Infallible {
    loop {
        sleep(LOOK_EVERY).await;
        member.go_alone();
    }
}

// === impl QuotaSession ===

impl QuotaSession {
    async fn open(client: &Client, member: &Member<'_>) -> RedisResult<Self> {
        let (sender, news) = broadcast::channel(MESSAGES);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT))
            .set_push_sender(sender);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        connection.subscribe(member.channel()).await?;
        Ok(Self { connection, news, script: wire::script() })
    }

    async fn talk(&mut self, member: &mut Member<'_>) -> RedisResult<()> {
        member.talk(&mut self.connection, &self.script, Others::Content).await
    }

    /// Waits until there may be something to say.
    async fn wait(&mut self, member: &mut Member<'_>) -> RedisResult<()> {
        let heard = {
            let (needed, news) = (pin!(member.needed()), pin!(self.news.recv()));
            match timeout(LOOK_EVERY, select(needed, news)).await {
                Ok(Either::Right((Ok(heard), _))) => Some(heard),
                _ => None,
            }
        };
        let more = std::iter::from_fn(|| self.news.try_recv().ok());
        for news in heard.into_iter().chain(more) {
            match (&news.kind, &news.data[..]) {
                (PushKind::Disconnection, _) => {
                    return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
                }
                (PushKind::Message, [Value::BulkString(channel), Value::BulkString(message)]) => {
                    member.hear(channel, message);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_of_connection(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
}
