//! A gateway, the providers behind it, and a client in front of it.

#![allow(dead_code, unused_imports, reason = "no test uses all of it")]

mod log;
pub(crate) mod raw;
pub(crate) mod running;
pub(crate) mod sink;
pub(crate) mod stub;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request as AxumRequest;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tower_key_rotation_gateway::config::{Config, Format, Loader};
use tower_key_rotation_gateway::{Options, serve as serve_gateway};
use tower_key_rotation_sim::{SimBuilder, SimKey, SimServer, Simulator};

pub(crate) use self::log::Captured;

/// A marker that every secret contains, and no output may contain.
pub(crate) const MARKER: &str = "tkrmarker";

/// Three providers, each with the keys `a` and `b`.
pub(crate) struct Sims {
    pub(crate) openai: Simulator,
    pub(crate) anthropic: Simulator,
    pub(crate) gemini: Simulator,
}

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    client: Client<HttpConnector, Body>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
    _servers: Vec<SimServer>,
}

// === impl Sims ===

impl Sims {
    pub(crate) fn new() -> Self {
        Self::slow(Duration::ZERO)
    }

    /// Sets the time between two events of a stream.
    pub(crate) fn slow(gap: Duration) -> Self {
        let keys = || ["a", "b"].map(|name| SimKey::new(name, secret(name)));
        let build = |sim: SimBuilder| sim.event_gap(gap).keys(keys()).build();
        Self {
            openai: build(Simulator::openai()),
            anthropic: build(Simulator::anthropic()),
            gemini: build(Simulator::gemini()),
        }
    }

    pub(crate) fn all(&self) -> [&Simulator; 3] {
        [&self.openai, &self.anthropic, &self.gemini]
    }
}

pub(crate) fn secret(name: &str) -> String {
    format!("sk-{MARKER}-{name}")
}

// === impl Gateway ===

impl Gateway {
    /// A gateway in front of the providers; `more` comes first in its configuration.
    pub(crate) async fn start(sims: &Sims, more: &str) -> Self {
        Self::with(sims, more, Options::new()).await
    }

    pub(crate) async fn with(sims: &Sims, more: &str, options: Options) -> Self {
        let (config, servers) = configured(sims, more).await;
        Self { _servers: servers, ..Self::serving(config, options).await }
    }

    /// A gateway with this configuration.
    pub(crate) async fn at(text: &str) -> Self {
        Self::serving(config(text), Options::new()).await
    }

    /// A gateway with this configuration.
    pub(crate) async fn of(config: Config) -> Self {
        Self::serving(config, Options::new()).await
    }

    /// A gateway with this configuration and these options.
    pub(crate) async fn serving(config: Config, options: Options) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let gateway = tower_key_rotation_gateway::Gateway::new(config, options);
        let serving = tokio::spawn(serve_gateway(listener, gateway, stopped));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { address, client, stop, serving, _servers: Vec::new() }
    }

    /// Sends a request whose URI is a path.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Response<Incoming> {
        *request.uri_mut() = format!("http://{}{}", self.address, request.uri()).parse().unwrap();
        self.client.request(request).await.unwrap()
    }

    pub(crate) async fn stop(self) -> io::Result<()> {
        drop(self.client);
        drop(self.stop);
        self.serving.await.unwrap()
    }
}

const PROVIDERS: [(&str, &str); 3] = [("openai", "/v1"), ("anthropic", "/v1"), ("gemini", "/v1beta/openai")];

/// A configuration of the simulated providers, and their servers; `more` comes first in it.
pub(crate) async fn configured(sims: &Sims, more: &str) -> (Config, Vec<SimServer>) {
    let mut text = format!("{more}\n");
    let mut servers = Vec::new();
    for (sim, (name, path)) in sims.all().into_iter().zip(PROVIDERS) {
        let server = sim.serve().await.unwrap();
        let keys =
            ["a", "b"].map(|id| format!("[[provider.key]]\nid = \"{id}\"\nsecret = \"{}\"\n", secret(id)));
        let origin = server.origin();
        text += &format!("[[provider]]\nname = \"{name}\"\nbase_url = \"{origin}{path}\"\n");
        text += &format!("models = {{ \"gpt-4o\" = \"{name}-model\" }}\n{}", keys.concat());
        servers.push(server);
    }
    (config(&text), servers)
}

pub(crate) fn config(text: &str) -> Config {
    Loader::new().vars([("PATH", "")]).parse(text, Format::Toml).unwrap()
}

// === requests and responses ===

/// A chat request, with a query.
pub(crate) fn chat(query: &str) -> Request<Body> {
    let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
    post(&format!("/v1/chat/completions{query}"), Body::from(body))
}

pub(crate) fn post(path: &str, body: Body) -> Request<Body> {
    Request::post(path).header("content-type", "application/json").body(body).unwrap()
}

pub(crate) fn header<'a, B>(response: &'a Response<B>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

pub(crate) async fn text<B: http_body::Body<Error: std::fmt::Debug>>(response: Response<B>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Waits until the listener behind this connection is gone, which closes the connection.
pub(crate) async fn closed(mut unused: TcpStream) {
    let address = unused.peer_addr().unwrap();
    unused.read_u8().await.unwrap_err();
    TcpStream::connect(address).await.unwrap_err();
}

// === a provider that records requests ===

pub(crate) type Seen = Arc<Mutex<Vec<(String, HeaderMap)>>>;

/// Responds to every request, and keeps the URI and the headers.
pub(crate) async fn echo() -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let router = Router::new().fallback(move |request: AxumRequest| async move {
        let (uri, headers) = (request.uri().to_string(), request.headers().clone());
        kept.lock().unwrap_or_else(PoisonError::into_inner).push((uri, headers));
        let answer = Response::builder().header("connection", "x-down").header("x-down", "1");
        let edge = [
            ("set-cookie", "a=b"),
            ("alt-svc", "h3=\":443\""),
            ("strict-transport-security", "max-age=1; includeSubDomains"),
            ("openai-organization", "acme"),
            ("cf-ray", "1"),
        ];
        let answer = edge.into_iter().fold(answer, |answer, (name, value)| answer.header(name, value));
        answer.header("keep-alive", "timeout=5").body(Body::from("{}")).unwrap()
    });
    (serve(router).await, seen)
}

/// Responds to every request with an access token, and keeps the form that was sent.
pub(crate) async fn token_endpoint(forms: &Arc<Mutex<Vec<String>>>, token: String) -> SocketAddr {
    let forms = Arc::clone(forms);
    let router = Router::new().fallback(move |form: String| async move {
        forms.lock().unwrap_or_else(PoisonError::into_inner).push(form);
        format!(r#"{{"access_token":"{token}","expires_in":3600}}"#)
    });
    serve(router).await
}

/// Reads the whole body, then responds with success.
pub(crate) async fn reader() -> SocketAddr {
    let router = Router::new().fallback(|request: AxumRequest| async move {
        request.into_body().collect().await.map_or(StatusCode::BAD_REQUEST, |_| StatusCode::OK)
    });
    serve(router).await
}

// === a provider that never ends ===

/// Responds to every request with an endless stream that begins with `first`, and signals when the stream is
/// dropped.
pub(crate) async fn endless(first: &'static str) -> (SocketAddr, mpsc::UnboundedReceiver<()>) {
    let (open, given_up) = mpsc::unbounded_channel();
    let router = Router::new().fallback(move || {
        let open = GivenUp(open.clone());
        let rest = stream::poll_fn(move |_| {
            let _held = &open;
            Poll::Pending::<Option<Result<&str, Infallible>>>
        });
        let body = Body::from_stream(stream::iter([Ok(first)]).chain(rest));
        async { Response::builder().header("content-type", "text/event-stream").body(body).unwrap() }
    });
    (serve(router).await, given_up)
}

/// Sends a signal when it is dropped.
struct GivenUp(mpsc::UnboundedSender<()>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        let _nobody_may_listen = self.0.send(());
    }
}

pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}
