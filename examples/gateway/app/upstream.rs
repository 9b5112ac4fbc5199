//! The way to the providers.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::{BoxError, Layer, Service};
use tower_key_rotation::KeyRotationLayer;
use tower_key_rotation::body::{ReplayBody, ResponseBody};
use tower_key_rotation::config::{ChainSettings, Config, ProviderSettings};
use tower_key_rotation::fallback::{ProviderFallback, ProviderFallbackLayer, Route};
use tower_key_rotation::rotate::KeyRotation;

/// The client of all providers. A request clones it for each layer, which costs less than to clone what it
/// shares.
#[derive(Clone)]
pub(super) struct HttpClient(Arc<Client<HttpsConnector<HttpConnector>, ReplayBody>>);

/// The client with the keys of one provider.
type Keyed = KeyRotation<HttpClient>;

/// Providers behind one service.
pub(super) type Chain = ProviderFallback<Keyed, ResponseBody<Incoming>>;

/// The body of an answer that came down the chain.
pub(super) type ChainBody = ResponseBody<ResponseBody<Incoming>>;

/// A host that does not answer to a connection is as good as down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Shorter than the time after which the providers' edges hang up.
const IDLE_CONNECTION: Duration = Duration::from_secs(60);

/// A client for all providers. HTTP/1 only: streams of minutes each have a connection of their own, so that
/// none waits for another, and a connection that breaks breaks one.
pub(super) fn client() -> HttpClient {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(IDLE_CONNECTION));
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let https = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1();
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION)
        .build(https.wrap_connector(http));
    HttpClient(Arc::new(client))
}

impl Service<Request<ReplayBody>> for HttpClient {
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReplayBody>) -> ResponseFuture {
        self.0.request(request)
    }
}

/// The providers of the chain, in their order.
pub(super) fn chain(config: &Config, client: &HttpClient) -> Result<Chain, BoxError> {
    let mut links = config.chain().order().iter().filter_map(|name| config.provider(name));
    let first = links.next().ok_or("the chain has no provider")?;
    let layer = ProviderFallbackLayer::new(first.name()).route(route(first)?).events(config.events());
    let layer = links.try_fold(limited(layer, config.chain()), |layer, provider| {
        Ok::<_, BoxError>(layer.fallback(provider.name(), keyed(provider, client), route(provider)?))
    });
    Ok(layer?.layer(keyed(first, client)))
}

/// A chain of one, to which requests come with their URL. What it says is only in the log: it has breakers of its
/// own, which would pass for the chain's.
pub(super) fn alone(config: &Config, provider: &ProviderSettings, client: &HttpClient) -> Chain {
    let layer = limited(ProviderFallbackLayer::new(provider.name()), config.chain());
    layer.layer(keyed(provider, client))
}

fn keyed(provider: &ProviderSettings, client: &HttpClient) -> Keyed {
    KeyRotationLayer::new(provider.pool().clone()).layer(client.clone())
}

/// Where a provider is, and what it calls models.
fn route(provider: &ProviderSettings) -> Result<Route, BoxError> {
    let mut route = Route::to(&provider.base_url().to_string())?;
    for (caller, own) in provider.models() {
        route = match caller {
            ProviderSettings::ANY_MODEL => route.any_model(own),
            caller => route.model(caller, own),
        };
    }
    Ok(route)
}

type Links = ProviderFallbackLayer<ResponseBody<Incoming>>;

/// The limits and choices of the file.
fn limited(layer: Links, chain: &ChainSettings) -> Links {
    let (least, longest) = chain.backoff();
    let layer = layer.start(chain.start()).commit(chain.commit()).context_length(chain.context_length());
    let layer = layer.backoff(least, longest).breaker(chain.breaker());
    let layer = set(layer, chain.max_attempts(), |it, attempts| it.max_attempts(attempts.get() as usize));
    let layer = set(layer, chain.resend_ambiguous(), Links::resend_ambiguous);
    let layer = set(layer, chain.wait_for_key(), Links::wait_for_key);
    let layer = set(layer, chain.patience(), Links::patience);
    let layer = set(layer, chain.complete_cap(), |it, bytes| {
        it.complete_cap(usize::try_from(bytes.get()).unwrap_or(usize::MAX))
    });
    let layer = set(layer, chain.deadline(), Links::deadline);
    let layer = set(layer, chain.head_timeout(), Links::head_timeout);
    let layer = set(layer, chain.first_content_timeout(), Links::first_content_timeout);
    set(layer, chain.idle_timeout(), Links::idle_timeout)
}

fn set<T>(layer: Links, value: Option<T>, set: impl FnOnce(Links, T) -> Links) -> Links {
    match value {
        Some(value) => set(layer, value),
        None => layer,
    }
}
