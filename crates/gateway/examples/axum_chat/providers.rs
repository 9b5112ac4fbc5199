//! The providers: a pool of keys for each, and the chain through them.

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::{Request, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio::time::Duration;
use tower::util::{BoxCloneSyncService, MapResponse};
use tower::{BoxError, Layer, ServiceExt};
use tower_key_rotation::fallback::{Route, Start};
use tower_key_rotation::{ApiKey, Error, KeyPool, KeyRotationLayer, Provider, ProviderFallbackLayer};
use tower_key_rotation::{ProviderPin, event::Events, key::EnvKeys};

use crate::errors::{Problem, Result};

/// The providers that the app knows: name, default model, beginnings of the names of all models.
const MODELS: [(&str, &str, &[&str]); 3] = [
    ("openai", "gpt-4o-mini", &["gpt-", "o1", "o3", "o4", "text-embedding-"]),
    ("anthropic", "claude-sonnet-4-5", &["claude-"]),
    ("gemini", "gemini-2.5-flash", &["gemini-"]),
];

/// One provider of the chain: the way to it, and its keys.
pub(crate) type Link = (Provider, Route, Vec<ApiKey>);

#[derive(Clone)]
pub(crate) struct Providers {
    pub(crate) pools: Vec<KeyPool>,
    pub(crate) events: Events,
    chain: BoxCloneSyncService<Request<Full<Bytes>>, Response, Error>,
}

/// Returns the providers that have a key in the environment.
pub(crate) fn in_env() -> Vec<Link> {
    let openai = (Provider::openai(), Route::openai());
    let anthropic = (Provider::anthropic(), Route::anthropic_compatible());
    let gemini = (Provider::gemini(), Route::gemini_compatible());
    let link = |(it, to): (Provider, _)| (it.clone(), to, EnvKeys::in_process(&it).into_iter().collect());
    [openai, anthropic, gemini].map(link).into_iter().filter(|link: &Link| !link.2.is_empty()).collect()
}

impl Providers {
    pub(crate) fn new(links: Vec<Link>) -> Result<Self, BoxError> {
        let https = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(https);
        let (events, mut pools, mut services) = (Events::new(), Vec::new(), Vec::new());
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
        let layer = ProviderFallbackLayer::new(name).route(route).events(&events).start(Start::RoundRobin);
        let seconds = Duration::from_secs;
        let layer = layer.first_content_timeout(seconds(20)).idle_timeout(seconds(30)).deadline(seconds(60));
        let layer = services.fold(layer, |layer, (name, it, route)| layer.fallback(name, it, route));
        let chain = MapResponse::new(layer.layer(first), |response: Response<_>| response.map(Body::new));
        Ok(Self { pools, events, chain: BoxCloneSyncService::new(chain) })
    }

    /// Sends JSON down the chain, or if `model` is given to its provider only. Any error response is an `Err`.
    pub(crate) async fn send(&self, path: &str, model: Option<&str>, json: &Value) -> Result<Response> {
        let mut request = Request::post(format!("http://chain{path}")) // the route of each link replaces the host
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(json.to_string()))
            .map_err(Problem::bad_request)?;
        if let Some(model) = model {
            let known = MODELS.iter().find(|known| known.2.iter().any(|it| model.starts_with(it)));
            let known = known.ok_or_else(|| Problem::bad_request("no provider has this model"))?;
            request.extensions_mut().insert(ProviderPin::to(known.0));
        }
        let response = self.chain.clone().oneshot(request).await?;
        if response.status().is_success() { Ok(response) } else { Err(Problem::refused(response).await) }
    }
}
