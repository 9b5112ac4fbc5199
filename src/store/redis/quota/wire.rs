//! Demands and grants as Redis sees them.

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};

use crate::clock::Timestamp;
use crate::limits::{Grant, LimitShape, Others};
use crate::pool::{KeyPool, NamedDemand};

/// Grants parts of limits, atomically, by the clock of Redis.
const GRANT: &str = include_str!("grant.lua");

/// Time after which an instance without a sign of life holds nothing any more: 5 s.
pub(super) const EXPIRES_MS: u64 = 5_000;

/// Time without a demand after which an instance holds nothing of a limit any more: 150 s, in milliseconds. An instance
/// that has the key repeats its demand after 60 s at the latest.
const SILENCE_MS: u64 = 150_000;

/// Time for which Redis keeps a limit after the end of its window, or without a demand: 10 minutes, in milliseconds.
const KEEP_MS: u64 = 10 * 60 * 1_000;

/// Longest time for which Redis keeps a limit: 8 days, in milliseconds.
const LONGEST_KEEP_MS: u64 = 8 * 24 * 60 * 60 * 1_000;

/// The largest amount that a script of Redis computes exactly.
const MOST: u64 = 1 << 52;

/// The names that the limits of a pool have in Redis. The part in braces puts all into one slot of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Names {
    instances: String,
    limit: String,
    pub(super) channel: String,
}

/// One instance in Redis.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) names: Names,
    /// The random id of the pool in this process.
    pub(super) id: String,
    /// The start of the state in Redis; zero before it is known.
    pub(super) start: u64,
}

/// The response to some demands.
#[derive(Debug)]
pub(super) struct Granted {
    /// Number of instances, this one included.
    pub(super) instances: u64,
    /// Number of equal parts of which this instance may take one of a limit that is new to it; zero for none.
    pub(super) parts: u64,
    /// The start of the state in Redis.
    pub(super) start: u64,
    /// One grant for each demand.
    pub(super) grants: Vec<Grant>,
}

// === impl Names ===

impl Names {
    pub(super) fn of(prefix: &str, pool: &KeyPool) -> Self {
        let tag = format!("{{{prefix}:{}}}", pool.provider().name());
        Self {
            instances: format!("{tag}:instances"),
            limit: format!("{tag}:limit:"),
            channel: format!("{tag}:hungry"),
        }
    }

    /// Returns the name of a limit in a message, and what the message says of it. `None` if it names none.
    pub(super) fn news<'a>(&self, message: &'a [u8]) -> Option<(&'a str, Others)> {
        let (news, key) = std::str::from_utf8(message).ok()?.split_once(' ')?;
        let others = match news {
            "hungry" => Others::Hungry,
            "uneven" => Others::Uneven,
            _freed => Others::Content,
        };
        Some((key.strip_prefix(&self.limit)?, others))
    }
}

/// Passes demands to Redis.
pub(super) async fn demand(
    connection: &mut MultiplexedConnection,
    script: &Script,
    identity: &Identity,
    demands: &[NamedDemand],
) -> RedisResult<Granted> {
    let Identity { names, id, start } = identity;
    let mut call = script.key(&names.instances);
    call.arg(id).arg(EXPIRES_MS).arg(&names.channel).arg(*start).arg(SILENCE_MS);
    for NamedDemand { name, of, .. } in demands {
        let (demand, limit) = (&of.demand, &of.limit);
        let most = |amount: u64| amount.min(MOST);
        call.key(format!("{}{name}", names.limit));
        call.arg(demand.serial).arg(most(limit.size)).arg(limit.interval).arg(keep_ms(of.ends, limit));
        call.arg(demand.spent).arg(most(demand.recent)).arg(most(demand.kept)).arg(most(demand.least));
        call.arg(most(demand.wanted)).arg(most(of.missing));
    }
    let (instances, parts, start, amounts): (u64, u64, String, Vec<u64>) =
        call.invoke_async(connection).await?;
    let (grants, _) = amounts.as_chunks::<3>();
    let grants = grants.iter().map(|&[held, left, free]| Grant { held, left, free }).collect();
    Ok(Granted { instances, parts, start: start.parse().unwrap_or(0), grants })
}

/// Says that an instance holds nothing any more.
pub(super) async fn leave(connection: &mut MultiplexedConnection, identity: &Identity) -> RedisResult<()> {
    redis::cmd("HDEL").arg(&identity.names.instances).arg(&identity.id).query_async(connection).await
}

pub(super) fn script() -> Script {
    Script::new(GRANT)
}

/// Returns the time for which Redis keeps a limit, in milliseconds.
fn keep_ms(ends: Option<Timestamp>, limit: &LimitShape) -> u64 {
    let left = match ends {
        Some(ends) => u64::try_from(ends.saturating_since(Timestamp::now()).as_millis()).unwrap_or(u64::MAX),
        None => (limit.interval * limit.size as f64 / 1e3) as u64,
    };
    left.saturating_add(KEEP_MS).min(LONGEST_KEEP_MS)
}
