//! The destination of a request: the chain, or one provider's native API.

use std::collections::HashMap;

use axum::body::Body;
use http::{HeaderMap, Response, StatusCode, request};
use tower_key_rotation::provider::Endpoint;

use crate::client::HttpClient;
use crate::config::{Config, ProviderSettings};
use crate::paths;
use crate::provider::ProviderService;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::upstream::{self, Chain};

/// All places to which requests are sent.
pub(crate) struct Destinations {
    chain: Chain,
    /// One service for each provider, by its name.
    providers: HashMap<String, ProviderService>,
    /// The provider for each native API, if there is one.
    native: Vec<(Endpoint, String)>,
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

/// Returns the name of the first provider that has an endpoint. Those of the chain come first.
fn first_with(endpoint: Endpoint, config: &Config) -> Option<&str> {
    let chain = config.chain().order().iter().filter_map(|name| config.provider(name));
    let mut all = chain.chain(config.providers());
    all.find(|provider| provider.endpoints().contains(endpoint)).map(ProviderSettings::name)
}

/// Returns the response for a native path that no provider of the configuration serves.
pub(crate) fn no_native(endpoint: Endpoint, reply: Reply) -> Response<Body> {
    let message = format!(
        "no provider of this gateway has the API of this path: add a provider with it, or add \"+{endpoint}\" to the \
         `endpoints` of one that has it"
    );
    reply.fail(StatusCode::NOT_FOUND, "unsupported_endpoint", &message)
}

// === impl Destinations ===

impl Destinations {
    /// `cap` is the number of bytes of a request that can be sent again.
    pub(crate) fn new(config: &Config, client: &HttpClient, cap: usize) -> Self {
        let service =
            |it: &ProviderSettings| (it.name().to_owned(), ProviderService::new(config, it, client, cap));
        let native = [Endpoint::Messages, Endpoint::GenerateContent].into_iter();
        Self {
            chain: upstream::chain(config, client, cap),
            providers: config.providers().iter().map(service).collect(),
            native: native.filter_map(|it| Some((it, first_with(it, config)?.to_owned()))).collect(),
        }
    }

    /// Returns the destination of a request: the provider that its path names, the one whose native API it uses, or the
    /// chain.
    pub(crate) fn find(&self, head: &request::Parts) -> Result<Destination<'_>, NoDestination> {
        let path = head.uri.path();
        let (first, rest) = paths::split(path);
        if let Some(provider) = self.providers.get(first).filter(|_| !rest.is_empty()) {
            return Ok(Destination::native(provider, path.len() - rest.len()));
        }
        if let Some(endpoint) = paths::native(path, &head.headers) {
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
