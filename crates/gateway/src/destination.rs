//! The destination of a request: the chain, or one provider's native API.

use std::collections::HashMap;

use http::{HeaderMap, Response, StatusCode, request};
use http_body_util::Either;
use tower_key_rotation::provider::{Endpoint, asks_for_websocket};

use crate::client::HttpClient;
use crate::config::{Config, ProviderSettings};
use crate::paths;
use crate::provider::ProviderService;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::response::GatewayBody;
use crate::shape::Shape;
use crate::upstream::{self, Chain};

/// All places to which requests are sent.
pub(crate) struct Destinations {
    chain: Chain,
    /// One service for each provider, by its name.
    providers: HashMap<String, ProviderService>,
    /// The provider for each native API, if there is one.
    native: Vec<(Endpoint, String)>,
    /// The chain for each native API that several providers of the chain have.
    native_chains: Vec<(Endpoint, Chain)>,
}

/// The place to which a request is sent.
pub(crate) struct Destination<'a> {
    pub(crate) chain: &'a Chain,
    /// The provider whose native API the request uses; `None` for the whole chain.
    pub(crate) provider: Option<&'a ProviderService>,
    /// Length of the part of the path that names the provider.
    pub(crate) prefix: usize,
}

/// The reason for which a request is sent nowhere.
pub(crate) enum NoDestination {
    /// The path is one of the gateway's own, or unknown.
    Own,
    /// No provider has this native API.
    Native(Endpoint),
}

/// Native APIs that paths without a provider's name may mean.
const NATIVE: [Endpoint; 2] = [Endpoint::Messages, Endpoint::GenerateContent];

/// Iterates over the providers of the chain that have an endpoint, in order.
fn in_chain(endpoint: Endpoint, config: &Config) -> impl Iterator<Item = &ProviderSettings> {
    let chain = config.chain().order().iter().filter_map(|name| config.provider(name));
    chain.filter(move |provider| provider.endpoints().contains(endpoint))
}

/// Returns the name of the first provider that has an endpoint. Those of the chain come first.
fn first_with(endpoint: Endpoint, config: &Config) -> Option<&str> {
    let all = config.providers().iter().filter(|provider| provider.endpoints().contains(endpoint));
    in_chain(endpoint, config).chain(all).next().map(ProviderSettings::name)
}

/// Returns the chain of an endpoint, if several providers of the chain have it.
fn chain_of(
    endpoint: Endpoint,
    config: &Config,
    client: &HttpClient,
    cap: usize,
) -> Option<(Endpoint, Chain)> {
    let providers: Vec<_> = in_chain(endpoint, config).collect();
    let chain = upstream::native(config, &providers, client, cap).filter(|_| providers.len() > 1)?;
    Some((endpoint, chain))
}

/// Returns the response for a native path that no provider of the configuration serves.
pub(crate) fn no_native(
    endpoint: Endpoint,
    headers: &HeaderMap,
    reply: Reply,
) -> Result<Response<GatewayBody>, Refusal> {
    if asks_for_websocket(headers) {
        return Err(Refusal::WebSocket);
    }
    let message = format!(
        "no provider of this gateway has the API of this path: add a provider with it, or add \"+{endpoint}\" to the \
         `endpoints` of one that has it"
    );
    Ok(reply.fail(StatusCode::NOT_FOUND, "unsupported_endpoint", &message).map(Either::Right))
}

// === impl Destinations ===

impl Destinations {
    /// `cap` is the number of bytes of a request that can be sent again.
    pub(crate) fn new(config: &Config, client: &HttpClient, cap: usize) -> Self {
        let service =
            |it: &ProviderSettings| (it.name().to_owned(), ProviderService::new(config, it, client, cap));
        Self {
            chain: upstream::chain(config, client, cap),
            providers: config.providers().iter().map(service).collect(),
            native: NATIVE
                .into_iter()
                .filter_map(|it| Some((it, first_with(it, config)?.to_owned())))
                .collect(),
            native_chains: NATIVE.into_iter().filter_map(|it| chain_of(it, config, client, cap)).collect(),
        }
    }

    /// Returns the destination of a request: the provider that its path names, those whose native API it uses, or the
    /// chain. A call that concerns the account of one provider goes to the first one with its native API.
    pub(crate) fn find(&self, head: &request::Parts) -> Result<Destination<'_>, NoDestination> {
        let path = head.uri.path();
        let (first, rest) = paths::split(path);
        if let Some(provider) = self.providers.get(first).filter(|_| !rest.is_empty()) {
            return Ok(Destination::native(provider, path.len() - rest.len()));
        }
        if let Some(endpoint) = paths::native(path, &head.headers) {
            let chain = self.native_chains.iter().find(|(own, _)| *own == endpoint);
            if let Some((_, chain)) = chain.filter(|_| paths::any_can_serve(endpoint, path)) {
                return Ok(Destination { chain, provider: None, prefix: 0 });
            }
            let provider = self.native.iter().find(|(own, _)| *own == endpoint);
            let provider = provider.and_then(|(_, name)| self.providers.get(name));
            return provider
                .map(|provider| Destination::native(provider, 0))
                .ok_or(NoDestination::Native(endpoint));
        }
        let is_chain = first == "v1" && !rest.is_empty();
        is_chain
            .then_some(Destination { chain: &self.chain, provider: None, prefix: 0 })
            .ok_or(NoDestination::Own)
    }

    /// Returns the shape of errors for a request.
    pub(crate) fn shape(&self, path: &str, headers: &HeaderMap) -> Shape {
        let named = self.providers.get(paths::split(path).0).map(ProviderService::endpoints);
        Shape::of(path, headers, named)
    }
}

// === impl Destination ===

impl<'a> Destination<'a> {
    const fn native(provider: &'a ProviderService, prefix: usize) -> Self {
        Self { chain: provider.service(), provider: Some(provider), prefix }
    }
}
