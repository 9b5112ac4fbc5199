//! The gateway: from a request to the response for its caller.
//!
//! The head of a request is changed in place, its body is collected only if it is small, and the body of a response
//! is passed on as it arrives: nothing between caller and provider buffers.

use std::fmt;
use std::future::ready;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Either};
use tower::BoxError;

use crate::access_line::AccessLine;
use crate::config::{Config, ConfigError, Loader};
use crate::cors;
use crate::options::Options;
use crate::paths;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::response::GatewayBody;
use crate::shared::Shared;
use crate::status::Status;
use crate::trace::Trace;

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
pub struct Gateway(Arc<Live>);

/// The parts of a gateway that stay when its configuration is loaded again.
struct Live {
    /// The parts that follow from the configuration. A request keeps those that it began with.
    shared: ArcSwap<Shared>,
    /// Held while the configuration is loaded again.
    reloading: Mutex<()>,
}

// === impl Gateway ===

impl Gateway {
    /// Creates a gateway. It opens no connection and starts no task.
    pub fn new(config: Config, options: Options) -> Self {
        let shared = ArcSwap::from_pointee(Shared::new(config, options));
        Self(Arc::new(Live { shared, reloading: Mutex::default() }))
    }

    /// Loads the configuration again, and uses it from the next request on. Requests in flight go on as they began.
    ///
    /// Keys that stay keep their state, and so do history, the counts of callers, connections to providers, and the
    /// circuit breakers if the chain stays. If other settings of a provider have changed (its dialect, base URL, limits,
    /// rules, selection), its keys keep their cooldowns, counts of limits and operators' orders, and their numbers of
    /// calls start anew; after a change of dialect, base URL or rules, keys in cooldown are probed at once. A key whose
    /// secret comes from a source keeps its state while the definition of the source stays. The address to listen on and
    /// the limits of the listener stay as they are. [`Stores`](crate::Stores) follow by [`Stores::follow`](crate::Stores::follow).
    ///
    /// Reads files and therefore blocks. Logs what has changed.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] as [`Loader::load`] does. The gateway is unchanged then.
    ///
    /// ```no_run
    /// use tower_key_rotation_gateway::config::Loader;
    /// use tower_key_rotation_gateway::{Gateway, Options};
    ///
    /// let loader = Loader::new();
    /// let gateway = Gateway::new(loader.load("gateway.toml")?, Options::new());
    /// // after a change of the file:
    /// gateway.reload(&loader, "gateway.toml")?;
    /// # Ok::<(), tower_key_rotation_gateway::config::ConfigError>(())
    /// ```
    pub fn reload(&self, loader: &Loader, path: impl AsRef<Path>) -> Result<(), ConfigError> {
        let _one_at_a_time = self.0.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.0.shared.load_full();
        let config = loader.clone().following(&before.config).load(path)?;
        self.0.shared.store(Arc::new(before.follow(config)));
        Ok(())
    }

    /// Starts the tasks of the gateway: its history, its alerts, the renewal of secrets, and the checks of keys. The first
    /// request does the same. Call it before [`Stores::start`](crate::Stores::start), so that alerts tell of a store that
    /// fails at once. Outside a tokio runtime the method does nothing.
    pub fn start(&self) {
        self.0.shared.load().start();
    }

    /// Returns the status of keys and providers, with the present configuration.
    pub fn status(&self) -> Status {
        self.0.shared.load().status.clone()
    }

    /// Returns the present configuration.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.0.shared.load().config)
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
        let shared = self.0.shared.load_full();
        let (mut head, body) = request.into_parts();
        shared.start();
        paths::fold(&mut head.uri);
        let cors = shared.cors.as_ref().map(|cors| (cors.preflight(&head), cors.headers(&head)));
        let (preflight, added) = cors.unzip();
        let is_served = shared.is_served(&head);
        let permission = shared.authorize(&head, is_served, local);
        let caller = permission.as_ref().ok().and_then(Option::as_ref);
        let tracer = shared.options.tracer.as_ref().filter(|_| is_served);
        let trace = Trace::begin(tracer, &mut head);
        let line = is_served.then(|| AccessLine::begin(&head, caller, trace)).flatten();
        let reply = shared.reply(&head);
        let sent = line.as_ref().and_then(|line| line.sent());
        let body = body.inspect_frame(move |frame| {
            if let (Some(sent), Some(data)) = (&sent, frame.data_ref()) {
                sent.fetch_add(data.len() as u64, Ordering::Relaxed);
            }
        });
        let responding = shared.respond(head, body, permission, reply);
        if let Some(preflight) = preflight.flatten() {
            return ready(preflight.map(Either::Right)).right_future();
        }
        // An `async` block would keep the future twice.
        let responded = responding.map(move |response| {
            let mut response = response.unwrap_or_else(|refusal| reply.refuse(refusal).map(Either::Right));
            if let Some(added) = added {
                cors::add(&mut response, added);
            }
            match line {
                Some(line) => line.follow(response),
                None => response,
            }
        });
        responded.left_future()
    }

    /// Returns the response for a request that is refused before it is handled.
    pub(crate) fn refuse<B>(&self, request: &Request<B>, refusal: Refusal) -> Response<GatewayBody> {
        let shared = self.0.shared.load();
        let shape = shared.destinations.shape(request.uri().path(), request.headers());
        let reply = Reply { shape, max_request: shared.options.max_request };
        reply.refuse(refusal).map(Either::Right)
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { config, options, .. } = &**self.0.shared.load();
        f.debug_struct("Gateway").field("config", config).field("options", options).finish_non_exhaustive()
    }
}
