//! The HTTP client for providers and token endpoints.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use pin_project_lite::pin_project;
use tower::Service;
use tower_key_rotation::body::ReplayBody;

use crate::trace::{OpenTry, ProviderNames, Tries};

/// The HTTP client for all providers and token endpoints. A request clones it for each layer, so the client is behind an `Arc`.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    client: Arc<Client<HttpsConnector<HttpConnector>, ReplayBody>>,
    /// Whether calls are recorded in the traces of their requests.
    records: bool,
    /// The provider that is called, if calls are recorded.
    provider: Option<Arc<ProviderNames>>,
}

pin_project! {
    /// A call of a provider.
    pub(crate) struct Call {
        #[pin]
        response: ResponseFuture,
        // `None` if it is not recorded.
        open: Option<OpenTry>,
    }
}

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
    HttpClient { client: Arc::new(client), records: false, provider: None }
}

// === impl HttpClient ===

impl HttpClient {
    /// Sets whether calls are recorded in the traces of their requests.
    pub(crate) const fn recording_tries(mut self, records: bool) -> Self {
        self.records = records;
        self
    }

    /// Returns whether calls are recorded.
    pub(crate) const fn records_tries(&self) -> bool {
        self.records
    }

    /// Returns the client for calls of one provider.
    pub(crate) fn of(&self, name: &str, company: &str) -> Self {
        let names = || Arc::new(ProviderNames { name: name.to_owned(), company: company.to_owned() });
        Self { provider: self.records.then(names), ..self.clone() }
    }
}

impl Service<Request<ReplayBody>> for HttpClient {
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = Call;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReplayBody>) -> Call {
        let open = self.provider.as_ref().and_then(|provider| Tries::begin(provider, &request));
        Call { response: self.client.request(request), open }
    }
}

// === impl Call ===

impl Future for Call {
    type Output = Result<Response<Incoming>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.response.poll(cx));
        if let Some(open) = this.open.take() {
            open.end(result.as_ref().ok().map(Response::status));
        }
        Poll::Ready(result)
    }
}
