//! The gateway: from a request to the response for its caller.
//!
//! The head of a request is changed in place, its body is collected only if it is small, and the body of a response
//! is passed on as it arrives: nothing between caller and provider buffers.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as OwnBody;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderName};
use http::{HeaderValue, Method, Request, Response, StatusCode, request};
use http_body::Body;
use http_body_util::Either;
use tower::{BoxError, Service, ServiceExt};
use tower_key_rotation::Session;
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::fallback::Commit;

use crate::access;
use crate::alert::Alerts;
use crate::client;
use crate::config::{Config, ProviderSettings};
use crate::deliver::{deliver, deliver_linked};
use crate::destination::{self, Destination, Destinations, NoDestination};
use crate::drain::DrainOnDrop;
use crate::extensions;
use crate::headers;
use crate::links::Links;
use crate::models;
use crate::options::Options;
use crate::origin::OwnHosts;
use crate::paths;
use crate::prometheus;
use crate::provider::ProviderService;
use crate::refusal::Refusal;
use crate::renewals::Renewals;
use crate::reply::Reply;
use crate::request_body;
use crate::response::GatewayBody;
use crate::status::Status;

/// Header that sets when the response of a request is committed to: `complete`, `first-content` or `head`.
const COMMIT: HeaderName = HeaderName::from_static("x-commit");

const METRICS: &str = "/metrics";

/// Maximum pause within the body of a request, unless the configuration sets one (30 s).
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A gateway over the providers of a configuration. Cheap to clone.
///
/// [`router`](crate::router()) makes an axum router of it, and [`serve`](crate::serve()) serves it.
///
/// ```
/// use axum::body::Body;
/// use http::{Request, StatusCode};
/// use tower_key_rotation_gateway::config::{Format, Loader};
/// use tower_key_rotation_gateway::{Gateway, Options};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let text = r#"
///     [[provider]]
///     name = "openai"
///     base_url = "https://api.openai.com/v1"
///     keys_env = "OPENAI"
/// "#;
/// let config = Loader::new().vars([("OPENAI_API_KEY", "sk-one")]).parse(text, Format::Toml)?;
/// let gateway = Gateway::new(config, Options::new());
/// let response = gateway.handle(Request::get("/health").body(Body::empty())?, None).await;
/// assert_eq!(response.status(), StatusCode::OK);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);

struct Shared {
    config: Config,
    options: Options,
    destinations: Destinations,
    status: Status,
    alerts: Alerts,
    renewals: Renewals,
}

/// Returns the status of the pools of a configuration.
fn status(config: &Config, options: &Options) -> Status {
    let pools = config.providers().iter().map(|provider| provider.pool().clone());
    let status = Status::new(pools, config.events()).chain(config.chain().order());
    let status = status.lost_log_lines(options.lost_log_lines.clone());
    let status = match config.status().required() {
        [] => status,
        required => status.required(required),
    };
    match config.status().operator_token() {
        Some(token) => status.operator_token(token.clone()),
        None => status,
    }
}

/// Returns the commit that a header asks for, in the words of the configuration, with `-` or `_` between them.
fn commit(value: &HeaderValue) -> Result<Commit, Refusal> {
    let word = value.to_str().map(|word| word.replace('-', "_"));
    word.ok().and_then(|word| word.parse().ok()).ok_or(Refusal::Commit)
}

// === impl Gateway ===

impl Gateway {
    /// Creates a gateway. It opens no connection and starts no task.
    pub fn new(config: Config, options: Options) -> Self {
        let destinations = Destinations::new(&config, &client::client());
        let status = status(&config, &options);
        let alerts = Alerts::over_https(config.alerts().iter().cloned());
        let renewals = Renewals::default();
        Self(Arc::new(Shared { config, options, destinations, status, alerts, renewals }))
    }

    /// Starts the tasks of the gateway: its history, its alerts, and the renewal of secrets. The first request does the same.
    pub(crate) fn start(&self) {
        self.0.start();
    }

    /// Returns the status of keys and providers.
    pub fn status(&self) -> &Status {
        &self.0.status
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Handles one request. `local` is the address of this machine at which the connection was accepted; `None` if
    /// it is not known.
    ///
    /// Without a token, a request for a host name that is not the gateway's is refused. The local address counts as
    /// the gateway's.
    pub fn handle<B>(
        &self,
        request: Request<B>,
        local: Option<IpAddr>,
    ) -> impl Future<Output = Response<GatewayBody>> + Send + use<B>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let shared = Arc::clone(&self.0);
        // An `async fn` would keep the request twice.
        let (mut head, body) = request.into_parts();
        async move {
            let body = DrainOnDrop::new(body, &head, shared.options.max_request, shared.body_timeout());
            shared.start();
            paths::fold(&mut head.uri);
            let reply = shared.reply(&head);
            let refuse = |refusal| reply.refuse(refusal).map(Either::Right);
            if let Err(refusal) = shared.authorize(&head, local) {
                return refuse(refusal);
            }
            let destination = match shared.destinations.find(&head) {
                Ok(destination) => destination,
                Err(NoDestination::Own) => {
                    return Box::pin(shared.own_response(&head, body, reply)).await.map(Either::Right);
                }
                Err(NoDestination::Native(endpoint)) => {
                    return destination::no_native(endpoint, reply).map(Either::Right);
                }
            };
            let links = destination.provider.and_then(|it| Links::of(&head, it.name(), it.base_url()));
            if let Err(refusal) = shared.prepare(&mut head, &destination) {
                return refuse(refusal);
            }
            if destination.provider.is_none() && models::is_list(&head, &shared.config) {
                let listed = Box::pin(models::list(destination.chain, &shared.config, &head)).await;
                return listed.unwrap_or_else(|failed| deliver(*failed, reply));
            }
            let (max, timeout) = (shared.options.max_request, shared.body_timeout());
            let body = match request_body::take(body, max, timeout).await {
                Ok(body) => body,
                Err(refusal) => return refuse(refusal),
            };
            let mut chain = destination.chain.clone();
            let result = match ServiceExt::<Request<ReplayBody>>::ready(&mut chain).await {
                Ok(chain) => chain.call(Request::from_parts(head, body)).await,
                Err(error) => Err(error),
            };
            match links {
                Some(links) => Box::pin(deliver_linked(result, reply, links)).await,
                None => deliver(result, reply),
            }
        }
    }

    /// Returns the response for a request that is refused before it is handled.
    pub(crate) fn refuse<B>(&self, request: &Request<B>, refusal: Refusal) -> Response<GatewayBody> {
        let shape = self.0.destinations.shape(request.uri().path(), request.headers());
        let reply = Reply { shape, max_request: self.0.options.max_request };
        reply.refuse(refusal).map(Either::Right)
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { config, options, destinations: _, status: _, alerts: _, renewals: _ } = &*self.0;
        f.debug_struct("Gateway").field("config", config).field("options", options).finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    /// Starts the tasks that do not run yet.
    fn start(&self) {
        self.status.recorder().start();
        self.alerts.start(self.config.events());
        self.renewals.start(&self.config);
    }

    /// Returns the response for a path that no provider serves.
    async fn own_response<B>(&self, head: &request::Parts, body: B, reply: Reply) -> Response<OwnBody>
    where
        B: Body<Data = Bytes> + Send + Unpin,
        B::Error: Into<BoxError>,
    {
        match &self.options.metrics {
            Some(render) if head.uri.path() == METRICS => {
                let is_read = [Method::GET, Method::HEAD].contains(&head.method);
                if is_read {
                    prometheus::metrics(&self.config, &**render)
                } else {
                    reply.refuse(Refusal::ReadOnly)
                }
            }
            _ => self
                .status
                .respond(head, body)
                .await
                .unwrap_or_else(|| self.unknown_path(head.uri.path(), reply)),
        }
    }

    fn unknown_path(&self, path: &str, reply: Reply) -> Response<OwnBody> {
        let names: Vec<_> = self.config.providers().iter().map(|it| format!("/{}/", it.name())).collect();
        let meant = paths::meant(path, self.config.providers().iter().map(ProviderSettings::name));
        let meant = meant.map(|path| format!("did you mean {path}? ")).unwrap_or_default();
        let message = format!("unknown path: {meant}use /v1/ or {}", names.join(", "));
        reply.fail(StatusCode::NOT_FOUND, "unknown_path", &message)
    }

    fn reply(&self, head: &request::Parts) -> Reply {
        let shape = self.destinations.shape(head.uri.path(), &head.headers);
        Reply { shape, max_request: self.options.max_request }
    }

    /// Checks whether the caller may use the gateway. `/health`, `/ready` and the page without its data are open to
    /// every caller, and the status to operators. CONNECT and TRACE are never served.
    fn authorize(&self, head: &request::Parts, local: Option<IpAddr>) -> Result<(), Refusal> {
        if [Method::CONNECT, Method::TRACE].contains(&head.method) {
            return Err(Refusal::Method);
        }
        if Status::is_open(head.uri.path()) || self.status.is_operator(head) && !self.is_served(head) {
            return Ok(());
        }
        let listen = self.config.listen().map(|address| address.ip());
        let own = OwnHosts { local, listen, hosts: self.config.server().hosts() };
        access::check(self.config.token(), &own, &head.headers, &head.uri)
    }

    /// Returns whether a provider serves the path of a request.
    fn is_served(&self, head: &request::Parts) -> bool {
        !matches!(self.destinations.find(head), Err(NoDestination::Own))
    }

    /// Returns the maximum pause within the body of a request.
    fn body_timeout(&self) -> Duration {
        self.config.server().body_timeout().unwrap_or(BODY_TIMEOUT)
    }

    /// Returns whether a limit is declared for some model of the providers that may get the request.
    fn limits_models(&self, to: Option<&ProviderService>) -> bool {
        let mut chain = self.config.chain().order().iter().filter_map(|name| self.config.provider(name));
        to.map_or_else(|| chain.any(ProviderSettings::limits_models), ProviderService::limits_models)
    }

    /// Turns the head of a request into the one that is passed on, without the parts that are not for a provider.
    fn prepare(&self, head: &mut request::Parts, to: &Destination<'_>) -> Result<(), Refusal> {
        let encodings = head.headers.get_all(CONTENT_ENCODING).iter();
        if encodings.into_iter().any(|it| !it.as_bytes().eq_ignore_ascii_case(b"identity"))
            && self.limits_models(to.provider)
        {
            return Err(Refusal::Encoded);
        }
        if let Some(provider) = to.provider {
            head.uri = provider.url(&head.uri.path()[to.prefix..], head.uri.query())?;
        }
        let commit = head.headers.remove(COMMIT).map(|value| commit(&value)).transpose()?;
        let session = self.config.affinity_header().and_then(|name| head.headers.remove(name));
        headers::to_provider(&mut head.headers);
        head.version = http::Version::HTTP_11;
        head.extensions = extensions::for_layers(&mut head.extensions);
        if let Some(name) = session {
            head.extensions.insert(Session::new(name));
        }
        if let Some(commit) = commit {
            head.extensions.insert(commit);
        }
        Ok(())
    }
}
