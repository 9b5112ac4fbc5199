//! The simulator: a tower service, and the handle to control and observe it.

mod builder;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use crate::call::{SimBody, SimFuture};
use crate::dialect::Dialect;
use crate::error::SimError;
use crate::handle::{AccountHandle, KeyHandle};
use crate::key::{Latency, SimKey};
use crate::log::{Call, Tally};
use crate::script::{Script, SimFault};
use crate::server::SimServer;
use crate::state::Shared;

pub use self::builder::SimBuilder;

/// A simulated provider with its keys: a tower service, and the handle to control and observe it.
///
/// Clones are handles to the same provider. The [crate docs](crate) describe its behaviour.
///
/// ```
/// use http::{Request, StatusCode};
/// use tower::ServiceExt;
/// use tower_key_rotation_sim::{SimFault, SimKey, Simulator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sim = Simulator::gemini().key(SimKey::new("a", "AIza-a")).build();
/// let generate = || {
///     Request::post("/v1beta/models/gemini-2.5-flash:generateContent")
///         .header("x-goog-api-key", "AIza-a")
///         .body(r#"{"contents":[]}"#.to_owned())
/// };
///
/// sim.fail(1, SimFault::overloaded());
/// assert_eq!(sim.clone().oneshot(generate()?).await?.status(), StatusCode::SERVICE_UNAVAILABLE);
/// assert_eq!(sim.clone().oneshot(generate()?).await?.status(), StatusCode::OK);
///
/// let log = sim.log();
/// assert_eq!(log[1].model.as_deref(), Some("gemini-2.5-flash"));
/// assert_eq!(log[1].key.as_deref(), Some("a"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
}

// === impl Simulator ===

impl Simulator {
    /// Returns a builder of a provider that speaks OpenAI's dialect.
    pub fn openai() -> SimBuilder {
        Self::builder(Dialect::OpenAi)
    }

    /// Returns a builder of a provider that speaks Anthropic's dialect.
    pub fn anthropic() -> SimBuilder {
        Self::builder(Dialect::Anthropic)
    }

    /// Returns a builder of a provider that speaks Gemini's dialect.
    pub fn gemini() -> SimBuilder {
        Self::builder(Dialect::Gemini)
    }

    /// Returns a builder of a provider that speaks `dialect`.
    pub fn builder(dialect: Dialect) -> SimBuilder {
        SimBuilder::new(dialect)
    }

    /// Serves the provider on a free loopback port until the [`SimServer`] is dropped or shut down.
    ///
    /// # Errors
    ///
    /// Returns an error if no port can be bound.
    pub async fn serve(&self) -> io::Result<SimServer> {
        SimServer::start(self.shared.clone()).await
    }

    /// Returns a handle to a key, to change it or to read its counts.
    ///
    /// # Panics
    ///
    /// Panics if no key has this label, so that a test with a misspelt label fails.
    #[track_caller]
    pub fn key(&self, label: &str) -> KeyHandle {
        let known = self.shared.lock().key(label).is_some();
        assert!(known, "the simulator has no key labelled {label:?}");
        KeyHandle::new(self.shared.clone(), label)
    }

    /// Returns a handle to an account, to change it.
    ///
    /// # Panics
    ///
    /// Panics if no account has this name.
    #[track_caller]
    pub fn account(&self, name: &str) -> AccountHandle {
        let known = self.shared.lock().accounts.contains_key(name);
        assert!(known, "the simulator has no account named {name:?}");
        AccountHandle::new(self.shared.clone(), name)
    }

    /// Adds a key. A key with the same label is removed before, with its counts and the state of its limits.
    pub fn add_key(&self, key: impl Into<SimKey>) {
        self.shared.lock().add_key(key.into(), Instant::now());
    }

    /// Removes a key. Calls with it are refused as [`Refusal::InvalidKey`](crate::Refusal::InvalidKey). A label
    /// that no key has is ignored.
    pub fn remove_key(&self, label: &str) {
        self.shared.lock().keys.retain(|key| key.settings.label != label);
    }

    /// Replaces the provider's script, which starts now. The scripts of keys stay.
    pub fn script(&self, script: impl Into<Script>) {
        self.shared.lock().script = script.into().start(Instant::now());
    }

    /// Replaces the provider's script by one that fails the next `calls` calls with `fault`. The scripts of
    /// keys stay.
    pub fn fail(&self, calls: u64, fault: impl Into<SimFault>) {
        self.script(Script::new().then_times(calls, fault.into()));
    }

    /// Removes the provider's script. The scripts of keys stay.
    pub fn heal(&self) {
        self.script(Script::new());
    }

    /// Sets the time before each response head, for keys without a [latency](SimKey::latency) of their own.
    pub fn set_latency(&self, latency: Latency) {
        self.shared.lock().latency = latency;
    }

    /// Returns the full daily quota to every key and account.
    pub fn new_day(&self) {
        let mut state = self.shared.lock();
        state.keys.iter_mut().for_each(|key| key.meter.new_day());
        state.accounts.values_mut().for_each(|account| account.meter.new_day());
    }

    /// Returns the number of all calls that arrived, including those that were refused or cut off.
    pub fn calls(&self) -> u64 {
        self.shared.lock().tally.total
    }

    /// Returns all calls, counted by the status of their response.
    pub fn tally(&self) -> Tally {
        self.shared.lock().tally.clone()
    }

    /// Returns the calls without a key or with an unknown one, counted by the status of their response.
    pub fn unknown_calls(&self) -> Tally {
        self.shared.lock().unknown_keys.clone()
    }

    /// Returns the number of calls whose response body has not ended.
    pub fn in_flight(&self) -> usize {
        self.shared.lock().in_flight
    }

    /// Returns the latest calls, oldest first: at most [`LOG_CAPACITY`](crate::LOG_CAPACITY).
    pub fn log(&self) -> Vec<Call> {
        self.shared.lock().log.to_vec()
    }

    /// Clears all counts and the log. The state of limits stays.
    pub fn reset_counts(&self) {
        self.shared.lock().reset_counts();
    }
}

impl<B> Service<Request<B>> for Simulator
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<SimBody>;
    type Error = SimError;
    type Future = SimFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SimError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> SimFuture {
        SimFuture::new(self.shared.clone(), request)
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shared } = self;
        let labels: Vec<_> = shared.lock().keys.iter().map(|key| key.settings.label.clone()).collect();
        f.debug_struct("Simulator")
            .field("dialect", &shared.dialect)
            .field("keys", &labels)
            .finish_non_exhaustive()
    }
}
