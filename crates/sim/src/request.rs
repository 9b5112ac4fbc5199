//! A request as the provider reads it: its key and what it asks for.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderMap, Method, request};
use tokio::time::Instant;

use super::builder::Dialect;
use super::fault::SimFault;
use super::form::Form;
use super::log::Call;
use super::refusal::Refusal;
use super::route::{Endpoint, Route, Voice};

const CARRIERS: [&str; 6] =
    ["authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie"];

/// The parts of a request that decide the response. Has no `Debug`, because it holds the secret.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) route: Route,
    pub(super) form: Form,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) secret: Option<String>,
    foreign_credentials: bool,
    idempotency_key: Option<String>,
    announced: Option<u64>,
    version_missing: bool,
    /// A quarter of the body's bytes, at least 1.
    pub(super) prompt_tokens: u64,
}

// === impl Asked ===

impl Asked {
    pub(super) fn head(dialect: Dialect, head: &request::Parts) -> Self {
        let query = head.uri.query().unwrap_or("");
        let route = Route::of(dialect, head.uri.path(), query);
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let (secret, foreign_credentials) = credentials(route.voice, &head.headers, query);
        Self {
            version_missing: route.voice == Voice::Anthropic && text("anthropic-version").is_none(),
            form: Form { model: route.model.clone(), ..Form::default() },
            route,
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            secret,
            foreign_credentials,
            idempotency_key: text("idempotency-key").map(str::to_owned),
            announced: text(CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok()),
            prompt_tokens: 1,
        }
    }

    pub(super) fn read_body(&mut self, body: &Bytes) {
        self.form = Form::read(&self.route, body);
        self.prompt_tokens = (body.len() as u64 / 4).max(1);
    }

    /// Returns whether a body that ended after `received` bytes is complete.
    pub(super) fn is_whole(&self, received: u64) -> bool {
        self.announced.is_none_or(|announced| announced == received)
    }

    /// Returns the error in the request itself, if any.
    pub(super) fn problem(&self) -> Option<Refusal> {
        let expected = if self.route.endpoint == Endpoint::Models { Method::GET } else { Method::POST };
        if self.route.endpoint == Endpoint::Unknown || self.method != expected {
            return Some(Refusal::NotFound);
        }
        if self.version_missing {
            return Some(Refusal::BadRequest("anthropic-version: header is required".into()));
        }
        self.form.problem.map(|problem| Refusal::BadRequest(problem.into()))
    }

    pub(super) fn model(&self) -> &str {
        self.form.model.as_deref().unwrap_or("")
    }

    pub(super) fn call(&self, at: Instant, key: Option<String>) -> Call {
        Call {
            at,
            key,
            path: self.path.clone(),
            model: self.form.model.clone(),
            status: None,
            fault: None::<SimFault>,
            streamed: self.form.streamed,
            foreign_credentials: self.foreign_credentials,
            idempotency_key: self.idempotency_key.clone(),
            body_complete: false,
        }
    }
}

/// Returns the key, and whether any credential arrived in another place than the key's.
fn credentials(voice: Voice, headers: &HeaderMap, query: &str) -> (Option<String>, bool) {
    let accepted: &[&str] = match voice {
        Voice::OpenAi => &["authorization", "api-key"],
        Voice::Anthropic | Voice::AnthropicCompat => &["x-api-key", "authorization"],
        Voice::Gemini => &["x-goog-api-key"],
        Voice::GeminiCompat => &["authorization"],
    };
    let in_query = query.split('&').find_map(|pair| pair.strip_prefix("key="));
    let used = accepted.iter().find(|&&name| headers.contains_key(name));
    let from_header = used.and_then(|&name| header_secret(name, headers));
    let from_query = in_query.filter(|_| used.is_none() && voice == Voice::Gemini).map(str::to_owned);
    let carried = CARRIERS.iter().map(|&name| headers.get_all(name).iter().count()).sum::<usize>();
    let expected = usize::from(used.is_some());
    let foreign = carried > expected || (in_query.is_some() && from_query.is_none());
    (from_header.or(from_query), foreign)
}

fn header_secret(name: &str, headers: &HeaderMap) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    if name != AUTHORIZATION.as_str() {
        return Some(value.to_owned());
    }
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim().to_owned())
}
