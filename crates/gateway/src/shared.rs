//! The parts of a gateway that follow from its configuration.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, request};
use http_body::Body;
use http_body_util::Either;
use tower::{BoxError, Service, ServiceExt};
use tower_key_rotation::Home;
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::provider::asks_for_websocket;

use crate::access;
use crate::affinity::{self, Affinity};
use crate::alert::Alerts;
use crate::caller::{self, Caller, Callers};
use crate::client::{self, HttpClient};
use crate::config::{Config, adopt};
use crate::cors::Cors;
use crate::deliver::{deliver, deliver_linked};
use crate::destination::{self, Destinations, NoDestination};
use crate::drain::DrainOnDrop;
use crate::key_checks::Schedule;
use crate::links::Links;
use crate::models;
use crate::options::Options;
use crate::origin::OwnHosts;
use crate::own;
use crate::prepare;
use crate::refusal::Refusal;
use crate::renewals::Renewals;
use crate::reply::Reply;
use crate::request_body::Intake;
use crate::requested_model;
use crate::response::GatewayBody;
use crate::spool::BodyBudget;
use crate::status::Status;
use crate::websocket;

/// Maximum pause within the body of a request, unless the configuration sets one (30 s).
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// All that follows from one configuration.
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) options: Options,
    pub(crate) destinations: Arc<Destinations>,
    affinity: Arc<Affinity>,
    bodies: BodyBudget,
    pub(crate) cors: Option<Cors>,
    pub(crate) status: Status,
    alerts: Alerts,
    renewals: Renewals,
    schedule: Schedule,
    callers: Callers,
    client: HttpClient,
}

// === impl Shared ===

impl Shared {
    /// Creates the parts of a gateway's first configuration.
    pub(crate) fn new(config: Config, options: Options) -> Self {
        let client = client::client().recording_tries(options.tracer.is_some());
        let callers = Callers::new(&config);
        let status = Status::new(own::pools(&config), config.events());
        let status = status.lost_log_lines(options.lost_log_lines.clone());
        Self {
            destinations: Arc::new(Destinations::new(&config, &client, options.max_request)),
            affinity: Arc::default(),
            bodies: BodyBudget::new(config.server()),
            cors: Cors::new(config.cors_origins()),
            status: own::configured(status, &config, callers.clone(), &client),
            alerts: Alerts::over_https(config.alerts().iter().cloned()),
            renewals: Renewals::default(),
            schedule: Schedule::default(),
            config: Arc::new(config),
            options,
            callers,
            client,
        }
    }

    /// Returns the parts of a configuration that follows this one, and keeps all that it can.
    pub(crate) fn follow(&self, mut config: Config) -> Self {
        let kept = adopt(&mut config, &self.config);
        let destinations = match kept.destinations {
            true => Arc::clone(&self.destinations),
            false => Arc::new(Destinations::new(&config, &self.client, self.options.max_request)),
        };
        let callers = self.callers.follow(&config);
        let status = self.status.follow(own::pools(&config));
        self.schedule.stop();
        Self {
            destinations,
            affinity: Arc::clone(&self.affinity),
            bodies: self.bodies.clone(),
            cors: Cors::new(config.cors_origins()),
            status: own::configured(status, &config, callers.clone(), &self.client),
            alerts: self.alerts_of(&config),
            // Those of pools that stay run already.
            renewals: Renewals::default(),
            schedule: Schedule::default(),
            config: Arc::new(config),
            options: self.options.clone(),
            callers,
            client: self.client.clone(),
        }
    }

    /// Returns the alerts of a configuration that follows this one. Open incidents stay if its webhooks are the same.
    fn alerts_of(&self, config: &Config) -> Alerts {
        let (before, webhooks) = (self.config.alerts(), config.alerts());
        let is_same = before.len() == webhooks.len();
        if is_same && before.iter().zip(webhooks).all(|(one, other)| one.agrees_with(other)) {
            return self.alerts.clone();
        }
        self.alerts.stop();
        let alerts = Alerts::over_https(webhooks.iter().cloned());
        alerts.start(config.events());
        alerts
    }

    /// Starts the tasks that do not run yet.
    pub(crate) fn start(&self) {
        self.status.recorder().start();
        self.alerts.start(self.config.events());
        self.renewals.start(&self.config);
        self.schedule.start(&self.config, &self.client);
    }

    /// Returns the response of a provider, or of a path of the gateway's own.
    pub(crate) fn respond<B>(
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
            let permission = permission?;
            let caller = permission.as_deref();
            let destination = match self.destinations.find(&head) {
                Ok(destination) => destination,
                Err(NoDestination::Own) => {
                    let own = (&*self.config, &self.options, &self.status);
                    return Ok(Box::pin(own::respond(own, &head, body, reply)).await.map(Either::Right));
                }
                Err(NoDestination::Native(endpoint)) => {
                    return destination::no_native(endpoint, &head.headers, reply);
                }
            };
            if asks_for_websocket(&head.headers) {
                let parts = (&*self.config, &*self.affinity);
                return Box::pin(websocket::respond(parts, head, &destination, caller, reply)).await;
            }
            let place = caller.map(|caller| caller.admit(&mut head, Timestamp::now())).transpose()?;
            let links = destination.provider.and_then(|it| Links::of(&head, it.name(), it.base_url()));
            prepare::head(&self.config, &mut head, &destination)?;
            if destination.provider.is_none() && models::is_list(&head, &self.config) {
                let listed = Box::pin(models::list(destination.chain, &self.config, &head)).await;
                return Ok(listed.unwrap_or_else(|failed| deliver(*failed, reply)));
            }
            let (budget, affinity) = (&self.bodies, &*self.affinity);
            let whole = caller.is_some_and(Caller::limits_models);
            let intake = Intake { max, timeout, budget, affinity, whole };
            let body = intake.take(body, &head.headers).await?;
            let of = (&*self.config, caller, self.options.tracer.is_some());
            let asked = requested_model::read(of, &head, &destination, &body)?;
            self.affinity.place(&mut head, body.bytes(), body.home());
            let (learns, before) = (affinity::learns(&head), head.extensions.get::<Home>().cloned());
            let (mut chain, (body, _room)) = (destination.chain.clone(), body.into_parts());
            let result = match ServiceExt::<Request<ReplayBody>>::ready(&mut chain).await {
                Ok(chain) => chain.call(Request::from_parts(head, body)).await,
                Err(error) => Err(error),
            };
            let home = result.as_ref().ok().filter(|_| learns).and_then(affinity::home);
            let response = match links {
                Some(links) => Box::pin(deliver_linked(result, reply, links)).await,
                None => deliver(result, reply),
            };
            let response = self.affinity.learn(response, (home, before));
            Ok(caller::in_place(asked.told(response, &self.config), place))
        }
    }

    pub(crate) fn reply(&self, head: &request::Parts) -> Reply {
        let shape = self.destinations.shape(head.uri.path(), &head.headers);
        Reply { shape, max_request: self.options.max_request }
    }

    /// Checks whether the caller may use the gateway, and returns it if it has a token of its own. `/health`, `/ready`
    /// and the page without its data are open to every caller, and the status to operators. The URL of an upload that was
    /// begun needs no token. CONNECT and methods that repeat the request, with the key, are never served.
    pub(crate) fn authorize(
        &self,
        head: &request::Parts,
        is_served: bool,
        local: Option<IpAddr>,
    ) -> Result<Option<Arc<Caller>>, Refusal> {
        if ["CONNECT", "TRACE", "TRACK"].contains(&head.method.as_str()) {
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
        match access::check(required, &own, &head.headers, &head.uri) {
            Err(Refusal::NoToken) if is_served && self.affinity.continues_upload(&head.uri) => Ok(None),
            checked => checked.map(|()| None),
        }
    }

    /// Returns whether a provider serves the path of a request.
    pub(crate) fn is_served(&self, head: &request::Parts) -> bool {
        !matches!(self.destinations.find(head), Err(NoDestination::Own))
    }

    /// Returns the maximum pause within the body of a request.
    fn body_timeout(&self) -> Duration {
        self.config.server().body_timeout().unwrap_or(BODY_TIMEOUT)
    }
}
