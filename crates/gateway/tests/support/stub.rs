//! A provider that does one thing for each key: what the first word of the key says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Collected};
use serde_json::{Value, json};

/// One request at the stub.
#[derive(Clone, Debug)]
pub(crate) struct StubCall {
    /// The key, without `Bearer`.
    pub(crate) key: String,
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A stub, and the requests that it got.
#[derive(Clone)]
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    calls: Arc<Mutex<Vec<StubCall>>>,
}

// === impl Stub ===

impl Stub {
    /// A stub whose responses follow from the first word of the key; see [`by_word`].
    pub(crate) async fn start() -> Self {
        Self::with(by_word).await
    }

    pub(crate) async fn with(
        answer: impl Fn(&StubCall) -> Response<Body> + Clone + Send + Sync + 'static,
    ) -> Self {
        let calls = Arc::<Mutex<Vec<StubCall>>>::default();
        let kept = Arc::clone(&calls);
        let router = Router::new().fallback(move |request: Request| async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
            let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
            let (key, method) = (key(&head.headers), head.method.to_string());
            let call = StubCall { key, method, path, headers: head.headers, body };
            let response = answer(&call);
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(call);
            response
        });
        Self { address: super::serve(router).await, calls }
    }

    /// The requests so far. Forgets them.
    pub(crate) fn calls(&self) -> Vec<StubCall> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The `[[provider]]` tables of providers with these keys: the first key has the id `k0`..
    pub(crate) fn providers(&self, providers: &[(&str, &[&str])]) -> String {
        self::providers(self.address, providers)
    }
}

/// The `[[provider]]` tables of providers at an address.
pub(crate) fn providers(address: SocketAddr, providers: &[(&str, &[&str])]) -> String {
    let key = |(index, key): (usize, &&str)| {
        format!("[[provider.key]]\nid = \"k{index}\"\nsecret = \"{key}-0123456789\"\n")
    };
    let table = |(name, keys): &(&str, &[&str])| {
        let keys: String = keys.iter().enumerate().map(key).collect();
        let path = if *name == "gemini" { "/v1beta/openai" } else { "/v1" };
        format!("[[provider]]\nname = \"{name}\"\nbase_url = \"http://{address}{path}\"\n{keys}")
    };
    providers.iter().map(table).collect()
}

/// The key of a request, in any place.
pub(crate) fn key(headers: &HeaderMap) -> String {
    let names = ["authorization", "x-api-key", "x-goog-api-key"];
    let value = names.iter().find_map(|name| headers.get(*name)?.to_str().ok()).unwrap_or("-");
    value.trim_start_matches("Bearer ").trim_end_matches("-0123456789").to_owned()
}

/// `limited`: 429 for 20 s; `later`: 429 for 300 s; `broke`: out of credit; `invalid`: 401; `chatonly`: 404 for anything
/// but chat; otherwise success.
pub(crate) fn by_word(call: &StubCall) -> Response<Body> {
    let is_chat = call.path.contains("/chat/completions");
    let error = |status, message: &str, code: &str, kind: &str| {
        reply(status, &json!({"type": "error", "error": {"message": message, "type": kind, "code": code}}))
    };
    match call.key.split('-').next().unwrap_or_default() {
        "limited" => {
            error(429, "Rate limit reached. Please try again in 20s.", "rate_limit_exceeded", "requests")
        }
        "later" => {
            error(429, "Rate limit reached. Please try again in 300s.", "rate_limit_exceeded", "requests")
        }
        "broke" => error(429, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota"),
        "invalid" => error(401, "Incorrect API key provided.", "invalid_api_key", "authentication_error"),
        "chatonly" if !is_chat => error(404, "Not found", "not_found", "not_found_error"),
        _ if call.path.ends_with("/models") => {
            reply(200, &json!({"object": "list", "data": [{"id": format!("model-of-{}", call.key)}]}))
        }
        _ => {
            let message = json!({"role": "assistant", "content": "ok"});
            let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
            reply(200, &json!({"choices": [choice], "you_sent": call.path}))
        }
    }
}

pub(crate) fn reply(status: u16, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response
}
