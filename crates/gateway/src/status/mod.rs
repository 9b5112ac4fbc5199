//! The status of keys and providers, for people and programs: JSON documents, live events, a page, and verbs for
//! operators.
//!
//! [`router`] mounts all of it in any axum app; a [`Gateway`](crate::Gateway) serves the same paths.
//!
//! | path | content |
//! |---|---|
//! | `/` | a page for people, live; it loads nothing from other hosts |
//! | `/health` | 200 while the required providers have a usable key, 503 otherwise; `?provider=NAME` for one provider |
//! | `/ready` | 200 while requests are accepted, 503 once the server stops |
//! | `/status` | providers, breakers, totals, version, uptime |
//! | `/api/key-status` | the state, limits and counters of every key; `?provider=NAME` for one provider |
//! | `/api/history` | rotations, cooldowns, fallbacks and other events, the latest first; `limit`, `after`, `since`, `provider`, `key`, `caller` and `event` select |
//! | `/api/usage` | attempts, tokens, errors and latency of each provider, key and model; requests and tokens of each caller |
//! | `/api/events` | the history as it happens, as server-sent events |
//! | `/api/openapi.json` | the description of these paths in OpenAPI 3.1 |
//! | `POST /api/keys` | a verb of an operator: `reset`, `disable`, `drain`, `enable`, `cool_down` |
//! | `POST /api/keys/ID/check` | a [check](tower_key_rotation::check) of a key; `?provider=NAME` if several providers have its id |
//!
//! No document contains a secret. Keys are named by their ids.
//!
//! Mount the router with `nest_service`, so that its page is at `/keys` and at `/keys/`. An open page holds a live stream:
//! a server that shuts down gracefully calls [`Status::stop`] first, and otherwise waits for the page.
//!
//! # Access
//!
//! The router serves every caller: protect it like any other part of the app. The gateway requires its token, except
//! for `/health`, `/ready` and the page, which holds no data and asks for the token.
//!
//! Verbs are off unless there is an [operator token](Status::operator_token). A request must send it as
//! `Authorization: Bearer …`, and the verb again in the header `x-confirm`, which no form of a foreign web page can
//! send.

mod check;
mod documents;
mod health;
mod live;
mod operate;
mod page;
mod query;
mod reply;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Body as OwnBody;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body;
use tokio::sync::watch;
use tower::{BoxError, Service};
use tower_key_rotation::KeyPool;
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::check::KeyChecks;
use tower_key_rotation::event::Events;

use self::check::Checkers;
use self::live::Readers;
use self::query::Query;
use crate::caller::Callers;
use crate::config::Token;
use crate::history::Recorder;
use crate::response;

/// The status of some pools. Cheap to clone.
///
/// ```
/// use axum::Router;
/// use tower_key_rotation::event::Events;
/// use tower_key_rotation::{ApiKey, KeyPool, Provider};
/// use tower_key_rotation_gateway::status::Status;
///
/// let events = Events::new();
/// let key = ApiKey::new("sk-one")?.id("one");
/// let pool = KeyPool::builder(Provider::openai()).key(key).events(&events).build()?;
/// let status = Status::new([pool], &events).required(["openai"]);
/// let app: Router = Router::new().nest_service("/keys", status.router());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "make a router of it"]
pub struct Status {
    recorder: Recorder,
    pools: Arc<[KeyPool]>,
    chain: Vec<String>,
    /// `None` requires any provider of the chain, or without a chain every provider.
    required: Option<Vec<String>>,
    operator_token: Option<Token>,
    lost_log_lines: Option<Arc<dyn Fn() -> u64 + Send + Sync>>,
    callers: Callers,
    checkers: Checkers,
    readers: Readers,
    stopping: Arc<watch::Sender<bool>>,
}

/// Returns the status of some pools as a router, to mount in an axum app. `events` is the hub that the pools share
/// with their chain.
///
/// The recorder of history and statistics starts with the first request. To start it before, to show a chain, or to
/// stop a server while pages are open, use a [`Status`].
///
/// ```
/// use axum::Router;
/// use axum::body::Body;
/// use http::{Request, StatusCode};
/// use tower::ServiceExt;
/// use tower_key_rotation::event::Events;
/// use tower_key_rotation::{ApiKey, KeyPool, Provider};
/// use tower_key_rotation_gateway::status;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let events = Events::new();
/// let key = ApiKey::new("sk-one")?.id("one");
/// let pool = KeyPool::builder(Provider::openai()).key(key).events(&events).build()?;
///
/// let app: Router = Router::new().nest_service("/keys", status::router([pool], &events));
/// let request = Request::get("/keys/health").body(Body::empty())?;
/// assert_eq!(app.oneshot(request).await?.status(), StatusCode::OK);
/// # Ok(())
/// # }
/// ```
pub fn router(pools: impl IntoIterator<Item = KeyPool>, events: &Events) -> Router {
    Status::new(pools, events).router()
}

// === impl Status ===

impl Status {
    /// Creates the status of these pools. `events` is the hub that they share with their chain.
    pub fn new(pools: impl IntoIterator<Item = KeyPool>, events: &Events) -> Self {
        let pools: Arc<[KeyPool]> = pools.into_iter().collect();
        Self {
            recorder: Recorder::new(pools.iter().cloned(), events),
            pools,
            chain: Vec::new(),
            required: None,
            operator_token: None,
            lost_log_lines: None,
            callers: Callers::default(),
            checkers: Checkers::default(),
            readers: Readers::default(),
            stopping: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Returns the status of other pools, without settings, that goes on with this history and its readers.
    pub(crate) fn follow(&self, pools: impl IntoIterator<Item = KeyPool>) -> Self {
        let pools: Arc<[KeyPool]> = pools.into_iter().collect();
        self.recorder.set_pools(Arc::clone(&pools));
        let checkers = Checkers::default();
        Self { pools, chain: Vec::new(), required: None, operator_token: None, checkers, ..self.clone() }
    }

    /// Sets the order of the providers in their chain. Default: no chain.
    pub fn chain<N: Into<String>>(mut self, order: impl IntoIterator<Item = N>) -> Self {
        self.chain = order.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the providers that must have a usable key for `/health` to be 200.
    ///
    /// Default: any provider of the chain; every provider if there is no chain.
    pub fn required<N: Into<String>>(mut self, providers: impl IntoIterator<Item = N>) -> Self {
        self.required = Some(providers.into_iter().map(Into::into).collect());
        self
    }

    /// Turns the verbs on, for callers with this token. Default: off.
    pub fn operator_token(mut self, token: Token) -> Self {
        self.operator_token = Some(token);
        self
    }

    /// Turns the checks of the keys of a pool on, for callers with the operator token. May be called for each pool.
    /// Default: none.
    pub fn checks<S, B>(mut self, checks: KeyChecks<S>) -> Self
    where
        S: Service<Request<ReplayBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.checkers.add(checks);
        self
    }

    /// Sets a function that returns the number of lost log lines, for `/api/key-status`. Default: 0.
    pub(crate) fn lost_log_lines(mut self, count: Option<Arc<dyn Fn() -> u64 + Send + Sync>>) -> Self {
        self.lost_log_lines = count;
        self
    }

    /// Sets the callers whose usage `/api/usage` shows.
    pub(crate) fn callers(mut self, callers: Callers) -> Self {
        self.callers = callers;
        self
    }

    /// Returns the recorder of history and statistics.
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Ends live streams, and makes `/ready` return 503. Call it when the server begins to stop.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Returns the paths of the [module docs](self) as a router.
    pub fn router(self) -> Router {
        Router::new().fallback(move |request: Request<OwnBody>| {
            let status = self.clone();
            async move {
                let (head, body) = request.into_parts();
                let found = status.respond(&head, body).await;
                found
                    .unwrap_or_else(|| response::error(StatusCode::NOT_FOUND, "unknown_path", "unknown path"))
            }
        })
    }

    /// Returns whether a path is open to every caller of the gateway.
    pub(crate) fn is_open(path: &str) -> bool {
        ["/health", "/ready"].contains(&path) || page::is_page(path)
    }

    /// Returns whether a request has the operator token.
    pub(crate) fn is_operator(&self, head: &request::Parts) -> bool {
        self.operator_token.as_ref().is_some_and(|token| operate::has_token(token, &head.headers))
    }

    /// Returns the response for a path of the status; `None` for other paths.
    pub(crate) async fn respond<B>(&self, head: &request::Parts, body: B) -> Option<Response<OwnBody>>
    where
        B: Body<Data = Bytes> + Send + Unpin,
        B::Error: Into<BoxError>,
    {
        self.recorder.start();
        let path = head.uri.path();
        if path == operate::PATH {
            return Some(operate::respond(self, head, body).await);
        }
        if let Some(key) = check::key_of(path) {
            return Some(check::respond(self, head, key).await);
        }
        let is_read = [Method::GET, Method::HEAD].contains(&head.method);
        let found = self.read(path, &Query::of(&head.uri), head)?;
        Some(if is_read { found } else { reply::only("GET, HEAD", "this path only serves GET and HEAD") })
    }

    fn read(&self, path: &str, query: &Query, head: &request::Parts) -> Option<Response<OwnBody>> {
        Some(match path {
            "/health" => health::health(self, query),
            "/ready" => health::ready(*self.stopping.borrow()),
            "/status" => documents::status(self),
            "/api/key-status" => documents::keys(self, query),
            "/api/history" => documents::history(self, query),
            "/api/usage" => documents::usage(self),
            "/api/events" => live::stream(self, query, head),
            "/api/openapi.json" => page::openapi(),
            _ if page::is_page(path) => page::page(),
            _ => return None,
        })
    }

    /// Returns the pool of a provider.
    fn pool(&self, provider: &str) -> Option<&KeyPool> {
        self.pools.iter().find(|pool| pool.provider().name() == provider)
    }

    fn is_required(&self, provider: &str) -> bool {
        let is_in = |names: &[String]| names.iter().any(|name| name == provider);
        match &self.required {
            Some(names) => is_in(names),
            None => self.chain.is_empty(),
        }
    }

    fn lost_lines(&self) -> u64 {
        self.lost_log_lines.as_ref().map_or(0, |count| count())
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status")
            .field("recorder", &self.recorder)
            .field("chain", &self.chain)
            .field("required", &self.required)
            .field("operator_token", &self.operator_token)
            .finish_non_exhaustive()
    }
}
