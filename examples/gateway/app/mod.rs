//! The gateway itself: a router over the providers of a configuration.
//!
//! | path | what |
//! |---|---|
//! | `/v1/…` | OpenAI's API, served by whichever provider of the chain can |
//! | `/{provider}/…` | the native API of one provider, with whichever of its keys can serve it |
//! | `/api/key-status` | the state of every key, as JSON |
//! | `/health` | whether the chain has a usable key, as JSON |
//!
//! A request is taken apart once and changed in place, its body is collected only if it is small, and an
//! answer's body is passed on as it comes: nothing is between the caller and the provider that would buffer.

mod access;
mod answer;
mod body;
mod headers;
mod pinned;
mod refusal;
mod serve;
mod status;
mod upstream;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{any, get};
use http::StatusCode;
use tower::{BoxError, ServiceExt};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::config::{Config, ProviderSettings};

pub(crate) use self::serve::serve;

use self::pinned::Pinned;
use self::refusal::Refusal;
use self::upstream::Chain;

/// What a request may weigh, unless said otherwise: 32 MiB, as much as providers take.
pub(crate) const MAX_REQUEST: usize = 32 * 1024 * 1024;

/// Names of providers that would be hidden by other paths.
const RESERVED: [&str; 3] = ["v1", "api", "health"];

/// What all requests share.
struct Gateway {
    config: Config,
    max_request: usize,
    chain: Chain,
    pinned: HashMap<String, Pinned>,
}

/// The router over the providers of a configuration; a request of more than `max_request` bytes is refused.
pub(crate) fn router(config: Config, max_request: usize) -> Result<Router, BoxError> {
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
    let gateway = Arc::new(Gateway { config, max_request, chain, pinned });
    Ok(Router::new()
        .route("/health", get(health))
        .route("/api/key-status", get(key_status))
        .route("/v1/{*path}", any(down_the_chain))
        .route("/{provider}/{*path}", any(at_one_provider))
        .fallback(nowhere)
        .with_state(gateway))
}

async fn health(State(gateway): State<Arc<Gateway>>) -> Response {
    status::health(&gateway.config)
}

async fn key_status(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Refusal> {
    access::check(gateway.config.token(), &request)?;
    Ok(status::keys(&gateway.config))
}

async fn down_the_chain(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Refusal> {
    let request = gateway.admit(request, None).await?;
    Ok(answer::deliver(gateway.chain.clone().oneshot(request).await))
}

async fn at_one_provider(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Refusal> {
    let (name, _) = pinned::split(request.uri().path());
    let Some(pinned) = gateway.pinned.get(name) else { return gateway.nowhere(&request) };
    let request = gateway.admit(request, Some(pinned)).await?;
    Ok(answer::deliver(pinned.service().oneshot(request).await))
}

async fn nowhere(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Refusal> {
    gateway.nowhere(&request)
}

// === impl Gateway ===

impl Gateway {
    /// A request as it may go on: let in, without what is not for the provider, of a bearable size.
    async fn admit(
        &self,
        mut request: Request,
        to: Option<&Pinned>,
    ) -> Result<http::Request<ReplayBody>, Refusal> {
        access::check(self.config.token(), &request)?;
        access::remove_credentials(&mut request)?;
        if let Some(pinned) = to {
            *request.uri_mut() = pinned.url(request.uri())?;
        }
        headers::upwards(request.headers_mut());
        *request.version_mut() = http::Version::HTTP_11;
        request.extensions_mut().clear();
        body::take(request, self.max_request).await
    }

    fn nowhere(&self, request: &Request) -> Result<Response, Refusal> {
        access::check(self.config.token(), request)?;
        let names: Vec<_> = self.config.providers().iter().map(|it| format!("/{}/", it.name())).collect();
        let message = format!("there is nothing here: ask for /v1/ or {}", names.join(", "));
        Ok(answer::error(StatusCode::NOT_FOUND, "unknown_path", &message))
    }
}
