//! The JSON documents about keys, providers, history and usage.

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tower_key_rotation::KeyPool;
use tower_key_rotation::clock::Timestamp;

use crate::status::query::Query;
use crate::status::{Status, health, reply};

/// Maximum number of history entries in one response, and its default.
const ENTRIES: (usize, usize) = (2_000, 200);

/// Returns the state of every key, or of the keys of one provider.
pub(super) fn keys(status: &Status, query: &Query) -> Response<Body> {
    let wanted = query.get("provider");
    if wanted.is_some_and(|name| status.pool(name).is_none()) {
        return reply::unknown_provider();
    }
    let pools = status.pools.iter();
    let pools = pools.filter(|pool| wanted.is_none_or(|name| pool.provider().name() == name));
    let document = json!({
        "at": Timestamp::now(),
        "chain": status.chain,
        "providers": pools.map(pool).collect::<Vec<_>>(),
        "gateway": {"log_lines_lost": status.lost_lines()},
    });
    reply::document(StatusCode::OK, &document)
}

/// Returns the state of the gateway as a whole.
pub(super) fn status(status: &Status) -> Response<Body> {
    let (recorder, now) = (status.recorder(), Timestamp::now());
    let document = json!({
        "status": health::overall(status).as_str(),
        "version": env!("CARGO_PKG_VERSION"),
        "at": now,
        "started_at": recorder.started(),
        "uptime_ms": now.as_unix_ms().saturating_sub(recorder.started().as_unix_ms()),
        "chain": status.chain,
        "providers": status.pools.iter().map(|pool| provider(status, pool)).collect::<Vec<_>>(),
        "totals": recorder.totals(),
        "events_missed": recorder.missed(),
        "log_lines_lost": status.lost_lines(),
        "has_verbs": status.operator_token.is_some(),
    });
    reply::document(StatusCode::OK, &document)
}

/// Returns a selection of the history, the latest first.
pub(super) fn history(status: &Status, query: &Query) -> Response<Body> {
    let limit = query.number("limit").map_or(ENTRIES.1, |it| usize::try_from(it).unwrap_or(usize::MAX));
    let entries = status.recorder.history(&query.history().limit(limit.min(ENTRIES.0)));
    let document =
        json!({"at": Timestamp::now(), "entries": entries, "events_missed": status.recorder.missed()});
    reply::document(StatusCode::OK, &document)
}

/// Returns the usage of each provider, key, model and caller.
pub(super) fn usage(status: &Status) -> Response<Body> {
    let mut document = json!(status.recorder.usage());
    if let Value::Object(fields) = &mut document {
        fields.insert("callers".to_owned(), json!(status.callers.usage(Timestamp::now())));
    }
    reply::document(StatusCode::OK, &document)
}

fn pool(pool: &KeyPool) -> Value {
    let mut value = json!(pool.snapshot());
    if let Value::Object(fields) = &mut value {
        fields.insert("usable_keys".to_owned(), pool.usable(None).into());
    }
    value
}

fn provider(status: &Status, pool: &KeyPool) -> Value {
    let name = pool.provider().name();
    let keys = pool.snapshot().keys;
    let mut states = BTreeMap::<_, usize>::new();
    keys.iter().for_each(|key| *states.entry(key.state.as_str()).or_default() += 1);
    json!({
        "provider": name,
        "in_chain": status.chain.iter().any(|it| it == name),
        "required": status.is_required(name),
        "keys": keys.len(),
        "usable_keys": pool.usable(None),
        "states": states,
        "breaker": status.recorder.breaker(name),
        "usage": status.recorder.usage_of(name),
    })
}
