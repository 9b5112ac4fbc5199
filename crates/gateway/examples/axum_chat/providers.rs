//! The providers: a pool of keys for each, and the chain through them.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tower::{BoxError, Layer, ServiceExt};
use tower_key_rotation::body::{ReplayBody, ResponseBody};
use tower_key_rotation::fallback::{ProviderFallback, Route, Start};
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, ProviderFallbackLayer, ProviderPin};
use tower_key_rotation::{event::Events, key::EnvKeys, rotate::KeyRotation};
use tower_key_rotation_sim::{Limits, SimKey, SimServer, Simulator};

use crate::errors::Problem;

type HttpClient = Client<HttpsConnector<HttpConnector>, ReplayBody>;
pub(crate) type Body = ResponseBody<ResponseBody<Incoming>>;

/// The providers that the app knows: name, default model, beginnings of the names of all models.
const MODELS: [(&str, &str, &[&str]); 3] = [
    ("openai", "gpt-4o-mini", &["gpt-", "o1", "o3", "o4", "text-embedding-"]),
    ("anthropic", "claude-sonnet-4-5", &["claude-"]),
    ("gemini", "gemini-2.5-flash", &["gemini-"]),
];

/// One provider of the chain: the way to it, and its keys.
pub(crate) type Link = (Provider, Route, Vec<ApiKey>);

/// All providers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Providers {
    pub(crate) pools: Vec<KeyPool>,
    pub(crate) events: Events,
    chain: ProviderFallback<KeyRotation<HttpClient>, ResponseBody<Incoming>>,
}

/// Returns the providers that have a key in the environment.
pub(crate) fn in_env() -> Vec<Link> {
    let known = [
        (Provider::openai(), Route::openai()),
        (Provider::anthropic(), Route::anthropic_compatible()),
        (Provider::gemini(), Route::gemini_compatible()),
    ];
    let keys = |provider: &Provider| EnvKeys::in_process(provider).into_iter().collect();
    let links = known.map(|(provider, route)| (provider.clone(), route, keys(&provider)));
    links.into_iter().filter(|(_, _, keys): &Link| !keys.is_empty()).collect()
}

/// Starts simulated providers with two keys each. The first key may do three requests a minute.
pub(crate) async fn simulated() -> Result<(Vec<Link>, Vec<SimServer>), BoxError> {
    let (mut links, mut servers) = (Vec::new(), Vec::new());
    for (provider, path, simulator) in [
        (Provider::openai(), "/v1", Simulator::openai()),
        (Provider::anthropic(), "/v1", Simulator::anthropic()),
        (Provider::gemini(), "/v1beta/openai", Simulator::gemini()),
    ] {
        let few = SimKey::new("few", "sk-sim-1").limits(Limits::new().requests_per_minute(3));
        let simulator = simulator.keys([few, SimKey::new("many", "sk-sim-2")]).words(24);
        let server = simulator.event_gap(Duration::from_millis(60)).build().serve().await?;
        let provider = provider.with_origin(server.origin().parse()?);
        let keys = vec![ApiKey::new("sk-sim-1")?.id("few"), ApiKey::new("sk-sim-2")?.id("many")];
        links.push((provider, Route::to(&(server.origin() + path))?, keys));
        servers.push(server);
    }
    Ok((links, servers))
}

impl Providers {
    pub(crate) fn new(links: Vec<Link>) -> Result<Self, BoxError> {
        let https = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(https);
        let events = Events::new();
        let (mut pools, mut services) = (Vec::new(), Vec::new());
        for (provider, route, keys) in links {
            let name = provider.name().to_owned();
            let default = MODELS.iter().find(|known| known.0 == name).map_or("default", |known| known.1);
            let pool = KeyPool::builder(provider).keys(keys).events(&events).build()?;
            let service = KeyRotationLayer::new(pool.clone()).layer(client.clone());
            services.push((name, service, route.any_model(default)));
            pools.push(pool);
        }
        let mut services = services.into_iter();
        let (name, first, route) = services.next().ok_or("no provider has a key")?;
        let layer = ProviderFallbackLayer::new(name)
            .route(route)
            .events(&events)
            .start(Start::RoundRobin)
            .first_content_timeout(Duration::from_secs(20))
            .idle_timeout(Duration::from_secs(30))
            .deadline(Duration::from_secs(60));
        let layer =
            services.fold(layer, |layer, (name, service, route)| layer.fallback(name, service, route));
        Ok(Self { pools, events, chain: layer.layer(first) })
    }

    /// Sends a body down the chain, or if `model` is given to its provider only. Any error response is an `Err`.
    pub(crate) async fn send(
        &self,
        url: &'static str,
        model: Option<&str>,
        body: &Value,
    ) -> Result<Response<Body>, Problem> {
        let mut request = Request::new(Full::<Bytes>::from(body.to_string()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(url); // the route of each link replaces the host
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(model) = model {
            let known = MODELS.iter().find(|known| known.2.iter().any(|it| model.starts_with(it)));
            let known = known.ok_or_else(|| Problem::bad_request("no provider has this model"))?;
            request.extensions_mut().insert(ProviderPin::to(known.0));
        }
        let response = self.chain.clone().oneshot(request).await?;
        if response.status().is_success() { Ok(response) } else { Err(Problem::refused(response).await) }
    }
}
