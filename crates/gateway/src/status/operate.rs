//! Verbs of operators.

use std::time::Duration;

use axum::body::Body as OwnBody;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, Method, Response, StatusCode, request};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::json;
use tower::BoxError;
use tower_key_rotation::key::KeyId;
use tower_key_rotation::{KeyPool, ModelId};

use crate::access::bearer;
use crate::config::Token;
use crate::response;
use crate::status::{Status, reply};

pub(super) const PATH: &str = "/api/keys";

/// Header that repeats the verb.
const CONFIRM: HeaderName = HeaderName::from_static("x-confirm");

/// Maximum size of a request in bytes.
const MAX_BODY: usize = 16 * 1024;

/// Maximum length of a cooldown that an operator sets (a day).
const LONGEST_COOLDOWN: u64 = 24 * 60 * 60;

/// A request for a verb.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    verb: Verb,
    provider: String,
    key: String,
    /// For `cool_down`; all models without it.
    model: Option<String>,
    /// Length of a `cool_down`.
    seconds: Option<u64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    CoolDown,
    Disable,
    Drain,
    Enable,
    Reset,
}

/// A reason for which a verb is not carried out.
#[derive(Clone, Copy)]
pub(super) enum Denied {
    Ambiguous,
    Length,
    Malformed,
    NoChecks,
    NoToken,
    Off,
    Unconfirmed,
    UnknownKey,
}

/// Returns whether the `Authorization` header has the token.
pub(super) fn has_token(token: &Token, headers: &HeaderMap) -> bool {
    let value = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    value.is_some_and(|value| token.matches(value))
}

/// Carries out a verb. Returns the key in its new state.
pub(super) async fn respond<B>(status: &Status, head: &request::Parts, body: B) -> Response<OwnBody>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: Into<BoxError>,
{
    if head.method != Method::POST {
        return reply::only("POST", "this path only serves POST");
    }
    if let Err(denied) = allowed(status, head) {
        return denied.into_response();
    }
    let body = Limited::new(body, MAX_BODY).collect().await;
    let order = body.ok().and_then(|body| serde_json::from_slice::<Order>(&body.to_bytes()).ok());
    let Some(order) = order else { return Denied::Malformed.into_response() };
    if !is_confirmed(head, order.verb.as_str()) {
        return Denied::Unconfirmed.into_response();
    }
    let Some(pool) = status.pool(&order.provider) else { return reply::unknown_provider() };
    match order.carry_out(pool) {
        Ok(()) => {
            tracing::info!(
                target: "gateway", verb = order.verb.as_str(), provider = order.provider, key = order.key, "operated"
            );
            let key = pool.snapshot().keys.into_iter().find(|key| key.id.as_str() == order.key);
            reply::document(StatusCode::OK, &json!({"provider": order.provider, "key": key}))
        }
        Err(denied) => denied.into_response(),
    }
}

/// Returns whether a request repeats the verb in its header.
pub(super) fn is_confirmed(head: &request::Parts, verb: &str) -> bool {
    head.headers.get(CONFIRM).is_some_and(|value| value == verb)
}

/// Checks that verbs are on, and that the request has the token and a confirmation.
pub(super) fn allowed(status: &Status, head: &request::Parts) -> Result<(), Denied> {
    if status.operator_token.is_none() {
        return Err(Denied::Off);
    }
    if !status.is_operator(head) {
        return Err(Denied::NoToken);
    }
    if head.headers.contains_key(CONFIRM) { Ok(()) } else { Err(Denied::Unconfirmed) }
}

// === impl Order ===

impl Order {
    fn carry_out(&self, pool: &KeyPool) -> Result<(), Denied> {
        let key = KeyId::from(self.key.as_str());
        let model =
            self.model.as_deref().map(|name| ModelId::new(name).ok_or(Denied::Malformed)).transpose()?;
        let done = match self.verb {
            Verb::CoolDown => {
                let seconds = self.seconds.filter(|seconds| (1..=LONGEST_COOLDOWN).contains(seconds));
                let wait = Duration::from_secs(seconds.ok_or(Denied::Length)?);
                pool.cool_down(&key, model.as_ref(), wait)
            }
            Verb::Disable => pool.disable(&key),
            // The event tells when the last request has ended.
            Verb::Drain => pool.drain(&key).map(drop),
            Verb::Enable => pool.enable(&key),
            Verb::Reset => pool.reset(&key),
        };
        done.map_err(|_| Denied::UnknownKey)
    }
}

// === impl Verb ===

impl Verb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::CoolDown => "cool_down",
            Self::Disable => "disable",
            Self::Drain => "drain",
            Self::Enable => "enable",
            Self::Reset => "reset",
        }
    }
}

// === impl Denied ===

impl Denied {
    pub(super) fn into_response(self) -> Response<OwnBody> {
        let (status, code, message) = match self {
            Self::Ambiguous => (
                StatusCode::BAD_REQUEST,
                "ambiguous_key",
                "several providers have a key with this id: add `?provider=NAME`",
            ),
            Self::NoChecks => {
                (StatusCode::NOT_IMPLEMENTED, "no_checks", "checks of keys are off for this provider")
            }
            Self::Length => {
                (StatusCode::BAD_REQUEST, "invalid_length", "cool_down needs `seconds`, from 1 to 86400")
            }
            Self::Malformed => (
                StatusCode::BAD_REQUEST,
                "malformed",
                "send JSON with `verb` (reset, disable, drain, enable or cool_down), `provider` and `key`",
            ),
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "invalid_api_key",
                "the operator token is missing or wrong: send it as Authorization: Bearer …",
            ),
            Self::Off => {
                (StatusCode::FORBIDDEN, "verbs_off", "verbs are off: set `operator_token` to turn them on")
            }
            Self::Unconfirmed => {
                (StatusCode::BAD_REQUEST, "unconfirmed", "send the verb again in the header x-confirm")
            }
            Self::UnknownKey => (
                StatusCode::NOT_FOUND,
                "unknown_key",
                "no key of the provider has this id: see /api/key-status for the ids",
            ),
        };
        response::error(status, code, message)
    }
}
