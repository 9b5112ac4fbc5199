//! The way to the providers.

use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::{BoxError, Layer};
use tower_key_rotation::KeyRotationLayer;
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::config::{Config, ProviderSettings};
use tower_key_rotation::rotate::KeyRotation;

pub(super) type HttpClient = Client<HttpsConnector<HttpConnector>, ReplayBody>;

/// The client with the keys of one provider.
type Keyed = KeyRotation<HttpClient>;

/// Providers behind one service.
pub(super) type Chain = Keyed;

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
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION)
        .build(https.wrap_connector(http))
}

pub(super) fn chain(config: &Config, client: &HttpClient) -> Result<Chain, BoxError> {
    let first = config.chain().order().first().and_then(|name| config.provider(name)).ok_or("none")?;
    Ok(keyed(first, client))
}

pub(super) fn alone(_: &Config, provider: &ProviderSettings, client: &HttpClient) -> Chain {
    keyed(provider, client)
}

fn keyed(provider: &ProviderSettings, client: &HttpClient) -> Keyed {
    KeyRotationLayer::new(provider.pool().clone()).layer(client.clone())
}
