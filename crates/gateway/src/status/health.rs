//! Health and readiness, for load balancers.

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::json;
use tower_key_rotation::KeyPool;

use crate::status::query::Query;
use crate::status::{Status, reply};

/// Health of some providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Ok,
    /// A provider has no usable key, and requests can be served without it.
    Degraded,
    Down,
}

/// Returns status 200 while the required providers have a usable key, and 503 otherwise.
pub(super) fn health(status: &Status, query: &Query) -> Response<Body> {
    let (health, usable) = match query.get("provider") {
        None => (overall(status), serving(status).map(usable).sum()),
        Some(name) => match status.pool(name) {
            None => return reply::unknown_provider(),
            Some(pool) => (if usable(pool) > 0 { Health::Ok } else { Health::Down }, usable(pool)),
        },
    };
    let code = if health == Health::Down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    reply::document(code, &json!({"status": health.as_str(), "usable_keys": usable}))
}

/// Returns status 200 until the server stops.
pub(super) fn ready(is_stopping: bool) -> Response<Body> {
    let (code, word) = match is_stopping {
        false => (StatusCode::OK, "ready"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    reply::document(code, &json!({"status": word}))
}

/// Returns the health of all providers.
pub(super) fn overall(status: &Status) -> Health {
    let is_required = |pool: &&KeyPool| status.is_required(pool.provider().name());
    let is_empty = |pool: &KeyPool| usable(pool) == 0;
    let chain_is_down = status.required.is_none() && serving(status).all(is_empty);
    if chain_is_down || status.pools.iter().filter(is_required).any(is_empty) {
        return Health::Down;
    }
    if serving(status).any(is_empty) { Health::Degraded } else { Health::Ok }
}

/// Iterates over the pools of the chain, or over all pools if there is no chain.
fn serving(status: &Status) -> impl Iterator<Item = &KeyPool> {
    let name = |pool: &KeyPool| pool.provider().name().to_owned();
    let pools = status.pools.iter();
    pools.filter(move |pool| status.chain.is_empty() || status.chain.contains(&name(pool)))
}

fn usable(pool: &KeyPool) -> usize {
    pool.usable(None)
}

// === impl Health ===

impl Health {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}
