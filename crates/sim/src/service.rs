//! The provider as a service.

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
use super::fault::Fault;
use super::handle::{AccountHandle, KeyHandle};
use super::key::{Latency, SimKey};
use super::log::{Call, Tally};
use super::plan::{End, Plan};
use super::script::Script;
use super::state::{Arrival, Shared};

/// What a provider takes as a request body, in bytes.
const MAX_REQUEST: usize = 32 * 1024 * 1024;

/// One provider with its keys: a service, and a handle on what it does.
///
/// Clones are the same provider. See the [module](super) for how it behaves.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
}

/// The future of a call on a [`Simulator`].
pub struct SimFuture {
    inner: Pin<Box<dyn Future<Output = Result<Response<SimBody>, SimError>> + Send>>,
}

// === impl Simulator ===

impl Simulator {
    /// Sets up a provider that speaks OpenAI's dialect.
    pub fn openai() -> SimBuilder {
        Self::builder(Dialect::OpenAi)
    }

    /// Sets up a provider that speaks Anthropic's dialect.
    pub fn anthropic() -> SimBuilder {
        Self::builder(Dialect::Anthropic)
    }

    /// Sets up a provider that speaks Gemini's dialect.
    pub fn gemini() -> SimBuilder {
        Self::builder(Dialect::Gemini)
    }

    /// Sets up a provider.
    pub fn builder(dialect: Dialect) -> SimBuilder {
        SimBuilder::new(dialect)
    }

    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// A key, to be changed or asked for its counts.
    ///
    /// # Panics
    ///
    /// If no key has this label: a test that spells it wrong must not pass.
    #[track_caller]
    pub fn key(&self, label: &str) -> KeyHandle {
        let known = self.shared.lock().key(label).is_some();
        assert!(known, "the simulator has no key labelled {label:?}");
        KeyHandle::new(self.shared.clone(), label)
    }

    /// An account, to be changed.
    ///
    /// # Panics
    ///
    /// If there is no account of this name.
    #[track_caller]
    pub fn account(&self, name: &str) -> AccountHandle {
        let known = self.shared.lock().accounts.contains_key(name);
        assert!(known, "the simulator has no account named {name:?}");
        AccountHandle::new(self.shared.clone(), name)
    }

    /// Adds a key; one with the same label makes way, counts and limits included.
    pub fn add_key(&self, key: impl Into<SimKey>) {
        self.shared.lock().add_key(key.into(), Instant::now());
    }

    /// Removes a key; from now on it is unknown.
    pub fn remove_key(&self, label: &str) {
        self.shared.lock().keys.retain(|key| key.settings.label != label);
    }

    /// Replaces the provider's script.
    pub fn script(&self, script: impl Into<Script>) {
        self.shared.lock().script = script.into().start(Instant::now());
    }

    /// Replaces the provider's script by `fault` for the next `calls` calls.
    pub fn fail(&self, calls: u64, fault: impl Into<Fault>) {
        self.script(Script::new().then_times(calls, fault.into()));
    }

    /// Ends the provider's script; those of keys go on.
    pub fn heal(&self) {
        self.script(Script::new());
    }

    /// Time before each head, for keys that have none of their own.
    pub fn set_latency(&self, latency: Latency) {
        self.shared.lock().latency = latency;
    }

    /// Gives every key and account its daily quota back.
    pub fn new_day(&self) {
        let mut state = self.shared.lock();
        state.keys.iter_mut().for_each(|key| key.meter.new_day());
        state.accounts.values_mut().for_each(|account| account.meter.new_day());
    }

    /// All calls that arrived, refused and cut off ones included.
    pub fn calls(&self) -> u64 {
        self.shared.lock().tally.total
    }

    /// All calls by what became of them.
    pub fn tally(&self) -> Tally {
        self.shared.lock().tally.clone()
    }

    /// Calls with an unknown key or none.
    pub fn unknown_calls(&self) -> Tally {
        self.shared.lock().strangers.clone()
    }

    /// Calls whose body has not ended.
    pub fn in_flight(&self) -> usize {
        self.shared.lock().in_flight
    }

    /// The latest calls, oldest first, at most [`LOG_CAPACITY`](super::LOG_CAPACITY).
    pub fn log(&self) -> Vec<Call> {
        self.shared.lock().log.to_vec()
    }

    /// Forgets counts and log, but no limit that was used.
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

/// The body, and whether there was more of it than is kept.
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
