//! The gateway itself: a router over the providers of a configuration.
//!
//! | path | what |
//! |---|---|
//! | `/v1/…` | OpenAI's API, served by whichever provider of the chain can |
//! | `/{provider}/…` | the native API of one provider, with whichever of its keys can serve it |
//! | `/api/key-status` | the state of every key, as JSON |
//! | `/metrics` | counters and gauges for Prometheus, if there is a recorder |
//! | `/health` | whether the chain has a usable key, as JSON |
//!
//! A request is taken apart once and changed in place, its body is collected only if it is small, and an
//! answer's body is passed on as it comes: nothing is between the caller and the provider that would buffer.

mod access;
mod answer;
mod body;
mod burst;
mod connection;
mod connections;
mod foreign;
mod front;
mod headers;
mod limits;
mod lines;
mod pace;
mod pinned;
mod refusal;
mod rest;
mod scrape;
mod serve;
mod status;
mod traffic;
mod upstream;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::header::{CONTENT_ENCODING, HeaderName};
use http::{HeaderValue, Method, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;
use tower::BoxError;
use tower_key_rotation::Session;
use tower_key_rotation::config::{Config, ProviderSettings};
use tower_key_rotation::fallback::Commit;

pub(crate) use self::front::Front;
pub(crate) use self::limits::Limits;
pub(crate) use self::lines::Lines;
pub(crate) use self::scrape::recorder;
pub(crate) use self::serve::serve;

use self::foreign::Ours;
use self::pinned::Pinned;
use self::refusal::Refusal;
use self::upstream::Chain;

/// What a request may weigh, unless said otherwise: 32 MiB, as much as providers take.
pub(crate) const MAX_REQUEST: usize = 32 * 1024 * 1024;

/// Chooses when the response of a request is committed to: `complete`, `first-content` or `head`.
const COMMIT: HeaderName = HeaderName::from_static("x-commit");

const HEALTH: &str = "/health";

/// What is for whoever starts a gateway to say, and in no file.
pub(crate) struct Settings {
    /// A request of more bytes is refused.
    pub(crate) max_request: usize,
    /// What the recorder of the process has recorded. Without it there is no `/metrics`.
    pub(crate) recorded: Option<PrometheusHandle>,
    /// The log, whose lost lines are counted.
    pub(crate) log: Option<Lines>,
}

/// What all requests share.
struct Gateway {
    config: Config,
    settings: Settings,
    chain: Chain,
    pinned: HashMap<String, Pinned>,
}

/// The gateway over the providers of a configuration. `more` adds to the paths that are not providers'.
pub(crate) fn front(
    config: Config,
    settings: Settings,
    more: impl FnOnce(Router) -> Router,
) -> Result<Front, BoxError> {
    let client = upstream::client();
    let chain = upstream::chain(&config, &client)?;
    let pinned =
        config.providers().iter().map(|it| (it.name().to_owned(), Pinned::new(&config, it, &client)));
    let pinned = pinned.collect();
    let gateway = Arc::new(Gateway { config, settings, chain, pinned });
    let others = Router::new()
        .route(HEALTH, get(health))
        .route("/api/key-status", get(key_status))
        .route("/metrics", get(metrics))
        .fallback(nowhere)
        .with_state(Arc::clone(&gateway));
    Ok(Front::new(gateway, more(others)))
}

async fn health(State(gateway): State<Arc<Gateway>>) -> Response {
    status::health(&gateway.config)
}

async fn key_status(State(gateway): State<Arc<Gateway>>) -> Response {
    status::keys(&gateway.config, gateway.settings.lost_lines())
}

async fn metrics(state: State<Arc<Gateway>>) -> Response {
    let State(gateway) = &state;
    match &gateway.settings.recorded {
        Some(recorded) => scrape::answer(recorded, &gateway.config, gateway.settings.lost_lines()),
        None => nowhere(state).await,
    }
}

async fn nowhere(State(gateway): State<Arc<Gateway>>) -> Response {
    let names: Vec<_> = gateway.config.providers().iter().map(|it| format!("/{}/", it.name())).collect();
    let message = format!("there is nothing here: ask for /v1/ or {}", names.join(", "));
    answer::error(StatusCode::NOT_FOUND, "unknown_path", &message)
}

fn commit(value: &HeaderValue) -> Result<Commit, Refusal> {
    match value.as_bytes() {
        b"complete" => Ok(Commit::Complete),
        b"first-content" => Ok(Commit::FirstContent),
        b"head" => Ok(Commit::Head),
        _ => Err(Refusal::Commit),
    }
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self { max_request: MAX_REQUEST, recorded: None, log: None }
    }
}

impl Settings {
    fn lost_lines(&self) -> u64 {
        self.log.as_ref().map_or(0, Lines::lost)
    }
}

// === impl Gateway ===

impl Gateway {
    /// Who serves the requests for a path, and the provider that it names, if it does.
    fn find(&self, path: &str) -> Option<(&Chain, Option<&Pinned>)> {
        let (first, rest) = pinned::split(path);
        if rest.is_empty() {
            return None;
        }
        if first == "v1" {
            return Some((&self.chain, None));
        }
        self.pinned.get(first).map(|pinned| (pinned.service(), Some(pinned)))
    }

    /// Lets a request in whose connection came to `local`. The health is open to all, and a tunnel or an echo to none.
    fn enter(&self, head: &http::request::Parts, local: IpAddr) -> Result<(), Refusal> {
        if [Method::CONNECT, Method::TRACE].contains(&head.method) {
            return Err(Refusal::Method);
        }
        if head.uri.path() == HEALTH {
            return Ok(());
        }
        let listen = self.config.listen().map(|address| address.ip());
        let ours = Ours { local, listen, hosts: self.config.server().hosts() };
        access::check(self.config.token(), &ours, &head.headers, &head.uri)
    }

    /// How long the body of a request may pause.
    fn pause(&self) -> Duration {
        self.config.server().body_timeout().unwrap_or(limits::BODY)
    }

    /// Whether a limit is declared for models of those who may get the request.
    fn limits_models(&self, to: Option<&Pinned>) -> bool {
        let mut chain = self.config.chain().order().iter().filter_map(|name| self.config.provider(name));
        to.map_or_else(|| chain.any(ProviderSettings::limits_models), Pinned::limits_models)
    }

    /// Makes the head of a request what may go on: without what is not for the provider.
    fn admit(&self, head: &mut http::request::Parts, to: Option<&Pinned>) -> Result<(), Refusal> {
        let encodings = head.headers.get_all(CONTENT_ENCODING).iter();
        if encodings.into_iter().any(|it| !it.as_bytes().eq_ignore_ascii_case(b"identity"))
            && self.limits_models(to)
        {
            return Err(Refusal::Encoded);
        }
        if let Some(pinned) = to {
            head.uri = pinned.url(&head.uri)?;
        }
        let commit = head.headers.remove(COMMIT).map(|value| commit(&value)).transpose()?;
        let session = self.config.affinity_header().and_then(|name| head.headers.remove(name));
        headers::upwards(&mut head.headers);
        head.version = http::Version::HTTP_11;
        head.extensions = http::Extensions::new();
        if let Some(name) = session {
            head.extensions.insert(Session::new(name));
        }
        if let Some(commit) = commit {
            head.extensions.insert(commit);
        }
        Ok(())
    }
}
