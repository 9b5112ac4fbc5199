//! The simulator as a tower service.

use std::fmt;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower_service::Service;

use super::body::SimBody;
use super::builder::{Dialect, SimBuilder};
use super::error::SimError;
use super::fault::SimFault;
use super::handle::{AccountHandle, KeyHandle};
use super::key::{Latency, SimKey};
use super::log::{Call, Tally};
use super::plan::{End, Plan};
use super::script::Script;
use super::state::{Arrival, Shared};

/// Maximum size of a request body, in bytes (32 MiB).
const MAX_REQUEST: usize = 32 * 1024 * 1024;

/// A simulated provider with its keys: a tower service, and the handle to control and observe it.
///
/// Clones are handles to the same provider. The [crate docs](crate) describe its behaviour and have an
/// example.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
}

/// The response future of [`Simulator`].
pub struct SimFuture {
    inner: Pin<Box<dyn Future<Output = Result<Response<SimBody>, SimError>> + Send>>,
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

    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
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

    /// Removes a key. Calls with it are refused as unknown from now on.
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

    /// Gives every key and account its full daily quota back.
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
        self.shared.lock().strangers.clone()
    }

    /// Returns the number of calls whose response body has not ended.
    pub fn in_flight(&self) -> usize {
        self.shared.lock().in_flight
    }

    /// Returns the latest calls, oldest first: at most [`LOG_CAPACITY`](super::LOG_CAPACITY).
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
        SimFuture { inner: Box::pin(serve_one(self.shared.clone(), request)) }
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

async fn serve_one<B>(shared: Arc<Shared>, request: Request<B>) -> Result<Response<SimBody>, SimError>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let arrival = Arrival::new(shared, &head);
    let (body, too_large) = receive(body).await?;
    let (Plan { delay, end }, open) = arrival.decide(&body, too_large);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match end {
        End::Respond(shaped) => Ok(shaped.into_response(open)),
        End::Fail(error) => Err(error),
        End::Silence => {
            let _open = open;
            pending().await
        }
    }
}

/// Reads the whole body. Returns at most [`MAX_REQUEST`] bytes, and whether there were more.
async fn receive<B>(body: B) -> Result<(Bytes, bool), SimError>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = pin!(body);
    let mut received = Vec::new();
    let mut too_large = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| SimError::request_body(error.into()))?;
        let Ok(mut data) = frame.into_data() else { continue };
        too_large |= received.len() + data.remaining() > MAX_REQUEST;
        while data.has_remaining() {
            let chunk = data.chunk();
            if !too_large {
                received.extend_from_slice(chunk);
            }
            data.advance(data.chunk().len());
        }
    }
    Ok((received.into(), too_large))
}

// === impl SimFuture ===

impl Future for SimFuture {
    type Output = Result<Response<SimBody>, SimError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(context)
    }
}

impl fmt::Debug for SimFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFuture").finish_non_exhaustive()
    }
}
