//! The HTTP client for providers and token endpoints.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::Service;
use tower_key_rotation::body::ReplayBody;

/// The HTTP client for all providers and token endpoints. A request clones it for each layer, so the client is behind an `Arc`.
#[derive(Clone)]
pub(crate) struct HttpClient(Arc<Client<HttpsConnector<HttpConnector>, ReplayBody>>);

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
