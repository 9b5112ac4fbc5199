//! Checks of keys on demand: `POST /api/keys/ID/check`.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body as HttpBody;
use percent_encoding::percent_decode_str;
use serde_json::json;
use tower::{BoxError, Service};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::check::{KeyCheck, KeyChecks};
use tower_key_rotation::key::KeyId;
use tower_key_rotation::pool::UnknownKey;

use crate::status::operate::{Denied, allowed, is_confirmed};
use crate::status::query::Query;
use crate::status::{Status, reply};

/// The verb that a request repeats in its header.
const VERB: &str = "check";

type Checker = Arc<dyn Fn(&KeyId) -> BoxFuture<'static, Result<KeyCheck, UnknownKey>> + Send + Sync>;

/// The checks of some pools, with the names of their providers.
#[derive(Clone, Default)]
pub(super) struct Checkers(Vec<(String, Checker)>);

// === impl Checkers ===

impl Checkers {
    pub(super) fn add<S, B>(&mut self, checks: KeyChecks<S>)
    where
        S: Service<Request<ReplayBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let provider = checks.pool().provider().name().to_owned();
        self.0.push((provider, Arc::new(move |key| Box::pin(checks.check(key)))));
    }

    fn of(&self, provider: &str) -> Option<&Checker> {
        self.0.iter().find(|(name, _)| name == provider).map(|(_, checker)| checker)
    }
}

impl fmt::Debug for Checkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Returns the id of the key whose check has this path.
pub(super) fn key_of(path: &str) -> Option<KeyId> {
    let id = path.strip_prefix("/api/keys/")?.strip_suffix("/check")?;
    let id = percent_decode_str(id).decode_utf8().ok()?;
    Some(KeyId::from(&*id))
}

/// Checks a key. Returns the result, and the key in its new state.
pub(super) async fn respond(status: &Status, head: &request::Parts, key: KeyId) -> Response<Body> {
    if head.method != Method::POST {
        return reply::only("POST", "this path only serves POST");
    }
    if let Err(denied) = allowed(status, head) {
        return denied.into_response();
    }
    if !is_confirmed(head, VERB) {
        return Denied::Unconfirmed.into_response();
    }
    let query = Query::of(&head.uri);
    let wanted = query.get("provider");
    if wanted.is_some_and(|name| status.pool(name).is_none()) {
        return reply::unknown_provider();
    }
    let snapshots = || status.pools.iter().map(tower_key_rotation::KeyPool::snapshot);
    let has_key = |it: &tower_key_rotation::pool::PoolSnapshot| {
        wanted.is_none_or(|name| it.provider == name) && it.keys.iter().any(|known| known.id == key)
    };
    let mut found = snapshots().filter(has_key).map(|it| it.provider);
    let (Some(provider), None) = (found.next(), found.next()) else {
        let is_known = snapshots().any(|it| has_key(&it));
        return if is_known { Denied::Ambiguous } else { Denied::UnknownKey }.into_response();
    };
    let Some(checker) = status.checkers.of(&provider) else { return Denied::NoChecks.into_response() };
    let Ok(check) = checker(&key).await else { return Denied::UnknownKey.into_response() };
    tracing::info!(target: "gateway", verb = VERB, provider, %key, result = check.result.as_str(), "operated");
    let pool = status.pool(&provider).map(tower_key_rotation::KeyPool::snapshot);
    let key = pool.and_then(|pool| pool.keys.into_iter().find(|known| known.id == key));
    reply::document(StatusCode::OK, &json!({"provider": provider, "check": check, "key": key}))
}
