//! The gateway: from a request to the response for its caller.
//!
//! The head of a request is changed in place, its body is collected only if it is small, and the body of a response
//! is passed on as it arrives: nothing between caller and provider buffers.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, request};
use http_body::Body;
use http_body_util::Either;
use tower::{BoxError, Service, ServiceExt};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::clock::Timestamp;

use crate::access;
use crate::access_line::AccessLine;
use crate::affinity::{self, Affinity};
use crate::alert::Alerts;
use crate::caller::{Caller, Callers};
use crate::client;
use crate::config::Config;
use crate::cors::{self, Cors};
use crate::deliver::{deliver, deliver_linked};
use crate::destination::{self, Destinations, NoDestination};
use crate::drain::DrainOnDrop;
use crate::links::Links;
use crate::models;
use crate::options::Options;
use crate::origin::OwnHosts;
use crate::own;
use crate::paths;
use crate::prepare;
use crate::refusal::Refusal;
use crate::renewals::Renewals;
use crate::reply::Reply;
use crate::request_body;
use crate::requested_model;
use crate::response::GatewayBody;
use crate::status::Status;

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
    affinity: Arc<Affinity>,
    cors: Option<Cors>,
    status: Status,
    alerts: Alerts,
    renewals: Renewals,
    callers: Callers,
}

// === impl Gateway ===

impl Gateway {
    /// Creates a gateway. It opens no connection and starts no task.
    pub fn new(config: Config, options: Options) -> Self {
        let destinations = Destinations::new(&config, &client::client(), options.max_request);
        let (affinity, cors) = (Arc::default(), Cors::new(config.cors_origins()));
        let callers = Callers::new(config.callers());
        let status = own::status(&config, &options, callers.clone());
        let alerts = Alerts::over_https(config.alerts().iter().cloned());
        let renewals = Renewals::default();
        Self(Arc::new(Shared {
            config,
            options,
            destinations,
            affinity,
            cors,
            status,
            alerts,
            renewals,
            callers,
        }))
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
        let (mut head, body) = request.into_parts();
        shared.start();
        paths::fold(&mut head.uri);
        let cors = shared.cors.as_ref().map(|cors| (cors.preflight(&head), cors.headers(&head)));
        let (preflight, added) = cors.unzip();
        let is_served = shared.is_served(&head);
        let permission = shared.authorize(&head, is_served, local);
        let caller = permission.as_ref().ok().and_then(Option::as_ref);
        let line = is_served.then(|| AccessLine::begin(&head, caller)).flatten();
        let reply = shared.reply(&head);
        let responding = shared.respond(head, body, permission, reply);
        async move {
            if let Some(preflight) = preflight.flatten() {
                return preflight.map(Either::Right);
            }
            let response = responding.await;
            let mut response = response.unwrap_or_else(|refusal| reply.refuse(refusal).map(Either::Right));
            if let Some(added) = added {
                cors::add(&mut response, added);
            }
            match line {
                Some(line) => line.follow(response),
                None => response,
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
        let Shared { config, options, .. } = &*self.0;
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

    /// Returns the response of a provider, or of a path of the gateway's own.
    fn respond<B>(
        self: Arc<Self>,
        mut head: request::Parts,
        body: B,
        permission: Result<Option<Arc<Caller>>, Refusal>,
        reply: Reply,
    ) -> impl Future<Output = Result<Response<GatewayBody>, Refusal>> + Send + use<B>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let (max, timeout) = (self.options.max_request, self.body_timeout());
        let body = DrainOnDrop::new(body, &head, max, timeout);
        // An `async fn` would keep the request twice.
        async move {
            let caller = permission?;
            let caller = caller.as_deref();
            let destination = match self.destinations.find(&head) {
                Ok(destination) => destination,
                Err(NoDestination::Own) => {
                    let own = (&self.config, &self.options, &self.status);
                    return Ok(Box::pin(own::respond(own, &head, body, reply)).await.map(Either::Right));
                }
                Err(NoDestination::Native(endpoint)) => {
                    return Ok(destination::no_native(endpoint, reply).map(Either::Right));
                }
            };
            caller.map_or(Ok(()), |caller| caller.admit(&head, Timestamp::now()))?;
            let links = destination.provider.and_then(|it| Links::of(&head, it.name(), it.base_url()));
            prepare::head(&self.config, &mut head, &destination)?;
            if destination.provider.is_none() && models::is_list(&head, &self.config) {
                let listed = Box::pin(models::list(destination.chain, &self.config, &head)).await;
                return Ok(listed.unwrap_or_else(|failed| deliver(*failed, reply)));
            }
            let limits_models = caller.is_some_and(Caller::limits_models);
            let body = request_body::take(body, &head.headers, (max, timeout), limits_models).await?;
            let model = requested_model::read((&self.config, caller), &head, &destination, &body)?;
            self.affinity.place(&mut head, body.bytes());
            let learns = affinity::learns(&head);
            let mut chain = destination.chain.clone();
            let result = match ServiceExt::<Request<ReplayBody>>::ready(&mut chain).await {
                Ok(chain) => chain.call(Request::from_parts(head, ReplayBody::from(body))).await,
                Err(error) => Err(error),
            };
            let home = result.as_ref().ok().filter(|_| learns).and_then(affinity::home);
            let response = match links {
                Some(links) => Box::pin(deliver_linked(result, reply, links)).await,
                None => deliver(result, reply),
            };
            let response = match home {
                Some(home) => self.affinity.learn(response, home),
                None => response,
            };
            Ok(requested_model::told(response, model))
        }
    }

    fn reply(&self, head: &request::Parts) -> Reply {
        let shape = self.destinations.shape(head.uri.path(), &head.headers);
        Reply { shape, max_request: self.options.max_request }
    }

    /// Checks whether the caller may use the gateway, and returns it if it has a token of its own. `/health`, `/ready`
    /// and the page without its data are open to every caller, and the status to operators. CONNECT and TRACE are
    /// never served.
    fn authorize(
        &self,
        head: &request::Parts,
        is_served: bool,
        local: Option<IpAddr>,
    ) -> Result<Option<Arc<Caller>>, Refusal> {
        if [Method::CONNECT, Method::TRACE].contains(&head.method) {
            return Err(Refusal::Method);
        }
        if Status::is_open(head.uri.path()) || !is_served && self.status.is_operator(head) {
            return Ok(None);
        }
        if is_served && let Some(caller) = self.callers.find(&head.headers, &head.uri) {
            return Ok(Some(Arc::clone(caller)));
        }
        let listen = self.config.listen().map(|address| address.ip());
        let own = OwnHosts { local, listen, hosts: self.config.server().hosts(), cors: self.cors.as_ref() };
        let required = (self.config.requires_token(), self.config.token());
        access::check(required, &own, &head.headers, &head.uri)?;
        Ok(None)
    }

    /// Returns whether a provider serves the path of a request.
    fn is_served(&self, head: &request::Parts) -> bool {
        !matches!(self.destinations.find(head), Err(NoDestination::Own))
    }

    /// Returns the maximum pause within the body of a request.
    fn body_timeout(&self) -> Duration {
        self.config.server().body_timeout().unwrap_or(BODY_TIMEOUT)
    }
}
