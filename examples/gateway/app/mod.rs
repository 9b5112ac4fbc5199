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
mod front;
mod headers;
mod pinned;
mod refusal;
mod scrape;
mod serve;
mod status;
mod upstream;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use metrics_exporter_prometheus::PrometheusHandle;
use tower::BoxError;
use tower_key_rotation::Session;
use tower_key_rotation::config::{Config, ProviderSettings};

pub(crate) use self::front::Front;
pub(crate) use self::scrape::recorder;
pub(crate) use self::serve::serve;

use self::pinned::Pinned;
use self::refusal::Refusal;
use self::upstream::Chain;

/// What a request may weigh, unless said otherwise: 32 MiB, as much as providers take.
pub(crate) const MAX_REQUEST: usize = 32 * 1024 * 1024;

/// Names of providers that would be hidden by other paths.
const RESERVED: [&str; 4] = ["v1", "api", "health", "metrics"];

/// What is for whoever starts a gateway to say, and in no file.
pub(crate) struct Settings {
    /// A request of more bytes is refused.
    pub(crate) max_request: usize,
    /// What the recorder of the process has recorded. Without it there is no `/metrics`.
    pub(crate) recorded: Option<PrometheusHandle>,
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
    if let Some(name) =
        config.providers().iter().map(ProviderSettings::name).find(|name| RESERVED.contains(name))
    {
        return Err(format!("a provider can't be named {name}: /{name}/ is a path of the gateway").into());
    }
    let chain = upstream::chain(&config, &client)?;
    let pinned =
        config.providers().iter().map(|it| (it.name().to_owned(), Pinned::new(&config, it, &client)));
    let pinned = pinned.collect();
    let gateway = Arc::new(Gateway { config, settings, chain, pinned });
    let others = Router::new()
        .route("/health", get(health))
        .route("/api/key-status", get(key_status))
        .route("/metrics", get(metrics))
        .fallback(nowhere)
        .with_state(Arc::clone(&gateway));
    Ok(Front::new(gateway, more(others)))
}

async fn health(State(gateway): State<Arc<Gateway>>) -> Response {
    status::health(&gateway.config)
}

async fn key_status(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Refusal> {
    access::check(gateway.config.token(), request.headers(), request.uri())?;
    Ok(status::keys(&gateway.config))
}

async fn metrics(state: State<Arc<Gateway>>, request: Request) -> Result<Response, Refusal> {
    let State(gateway) = &state;
    let Some(recorded) = &gateway.settings.recorded else { return nowhere(state, request).await };
    access::check(gateway.config.token(), request.headers(), request.uri())?;
    Ok(scrape::answer(recorded, &gateway.config))
}

async fn nowhere(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Refusal> {
    access::check(gateway.config.token(), request.headers(), request.uri())?;
    let names: Vec<_> = gateway.config.providers().iter().map(|it| format!("/{}/", it.name())).collect();
    let message = format!("there is nothing here: ask for /v1/ or {}", names.join(", "));
    Ok(answer::error(StatusCode::NOT_FOUND, "unknown_path", &message))
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self { max_request: MAX_REQUEST, recorded: None }
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

    /// Lets a request in, and makes its head what may go on: without what is not for the provider.
    fn admit(&self, head: &mut http::request::Parts, to: Option<&Pinned>) -> Result<(), Refusal> {
        access::check(self.config.token(), &head.headers, &head.uri)?;
        if let Some(pinned) = to {
            head.uri = pinned.url(&head.uri)?;
        }
        let session = self.config.affinity_header().and_then(|name| head.headers.remove(name));
        headers::upwards(&mut head.headers);
        head.version = http::Version::HTTP_11;
        head.extensions = http::Extensions::new();
        if let Some(name) = session {
            head.extensions.insert(Session::new(name));
        }
        Ok(())
    }
}
