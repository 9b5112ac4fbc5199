//! The services that send requests to providers.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::{Layer, Service};
use tower_key_rotation::KeyRotationLayer;
use tower_key_rotation::body::{ReplayBody, ResponseBody};
use tower_key_rotation::fallback::{ProviderFallback, ProviderFallbackLayer};
use tower_key_rotation::rotate::KeyRotation;

use crate::config::{ChainSettings, Config, ProviderSettings};

/// The HTTP client for all providers. A request clones it for each layer, so the client is behind an `Arc`.
#[derive(Clone)]
pub(crate) struct HttpClient(Arc<Client<HttpsConnector<HttpConnector>, ReplayBody>>);

/// The client with the key rotation of one provider.
type Rotating = KeyRotation<HttpClient>;

/// A chain of providers behind one service.
pub(crate) type Chain = ProviderFallback<Rotating, ResponseBody<Incoming>>;

/// The body of a response of a chain.
pub(crate) type ChainBody = ResponseBody<ResponseBody<Incoming>>;

/// Maximum time to open a connection (10 s).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time after which an unused connection is closed (60 s). It is shorter than the idle timeout of the providers' edges.
const IDLE_CONNECTION: Duration = Duration::from_secs(60);

/// Creates the client. It speaks HTTP/1 only: each stream, which may last minutes, has its own connection, so no stream
/// waits for another and a broken connection breaks one stream.
pub(crate) fn client() -> HttpClient {
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

/// Returns the chain of the configuration.
pub(crate) fn chain(config: &Config, client: &HttpClient) -> Chain {
    let (first, others) = config.chain_providers();
    let layer = ProviderFallbackLayer::new(first.name()).route(first.route().clone()).events(config.events());
    let layer = others.fold(configured(layer, config.chain()), |layer, provider| {
        layer.fallback(provider.name(), rotating(provider, client), provider.route().clone())
    });
    layer.layer(rotating(first, client))
}

/// Returns a chain of one provider, for requests that already have the provider's URL. It emits no events: those of its
/// breaker could not be distinguished from those of the chain's breakers.
pub(crate) fn single(config: &Config, provider: &ProviderSettings, client: &HttpClient) -> Chain {
    let layer = configured(ProviderFallbackLayer::new(provider.name()), config.chain());
    layer.layer(rotating(provider, client))
}

fn rotating(provider: &ProviderSettings, client: &HttpClient) -> Rotating {
    KeyRotationLayer::new(provider.pool().clone()).layer(client.clone())
}

type Links = ProviderFallbackLayer<ResponseBody<Incoming>>;

/// Applies the `[chain]` table to a layer.
fn configured(layer: Links, chain: &ChainSettings) -> Links {
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
