//! The builder of a simulator.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Simulator;
use crate::account::{Account, SimAccount};
use crate::answer::{Responder, SimAnswer, SimRequest};
use crate::dialect::Dialect;
use crate::key::{Latency, SimKey};
use crate::log::{CallLog, Tally};
use crate::models::Models;
use crate::quota::Periods;
use crate::script::Script;
use crate::state::{Shared, State};

/// Builder of a [`Simulator`].
///
/// Start with [`Simulator::openai`], [`Simulator::anthropic`], [`Simulator::gemini`] or
/// [`Simulator::builder`]. The defaults are a provider without keys, limits, faults and latency.
///
/// ```
/// use std::time::Duration;
///
/// use tower_key_rotation_sim::{Latency, Limits, SimKey, Simulator};
///
/// let limits = Limits::new().requests_per_minute(10);
/// let sim = Simulator::openai()
///     .key(SimKey::new("a", "sk-a").limits(limits))
///     .key(("b", "sk-b"))
///     .latency(Latency::Uniform(Duration::from_millis(5)..Duration::from_millis(20)))
///     .event_gap(Duration::from_millis(1))
///     .words(20)
///     .seed(7)
///     // The limits refill within a second instead of a minute.
///     .minute(Duration::from_secs(1))
///     .build();
/// assert_eq!(sim.key("a").headroom("gpt-4o").requests, Some(10.0));
/// ```
#[derive(Debug)]
pub struct SimBuilder {
    dialect: Dialect,
    keys: Vec<SimKey>,
    accounts: Vec<SimAccount>,
    script: Script,
    latency: Latency,
    event_gap: Duration,
    words: usize,
    seed: u64,
    periods: Periods,
    models: Models,
    responder: Option<Responder>,
}

// === impl SimBuilder ===

impl SimBuilder {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            keys: Vec::new(),
            accounts: Vec::new(),
            script: Script::new(),
            latency: Latency::None,
            event_gap: Duration::ZERO,
            words: 9,
            seed: 0,
            periods: Periods { rolling_days: dialect == Dialect::OpenAi, ..Periods::default() },
            models: Models::of(dialect),
            responder: None,
        }
    }

    /// Adds a key. Default: no keys, so that every call is refused.
    ///
    /// A key with the same label replaces the one added before.
    pub fn key(mut self, key: impl Into<SimKey>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Adds several keys, like [`key`](Self::key).
    pub fn keys<K: Into<SimKey>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Adds an account with its limits and credit. An account with the same name replaces the one added before.
    ///
    /// An account that a key names and that was not added has no limits and unlimited credit.
    pub fn account(mut self, account: SimAccount) -> Self {
        self.accounts.push(account);
        self
    }

    /// Sets the script that applies to all calls, with or without a valid key. Default: no faults.
    pub fn script(mut self, script: impl Into<Script>) -> Self {
        self.script = script.into();
        self
    }

    /// Sets the time before each response head, for keys without a [latency](SimKey::latency) of their own.
    /// Default: none.
    pub fn latency(mut self, latency: Latency) -> Self {
        self.latency = latency;
        self
    }

    /// Sets the time between two events of a stream. Default: zero.
    ///
    /// It begins when the caller polls the body for the next event.
    pub fn event_gap(mut self, gap: Duration) -> Self {
        self.event_gap = gap;
        self
    }

    /// Sets the number of words in a response. Each word counts as one token and is one event of a stream.
    /// Default: 9. With 0, responses have an empty text.
    pub fn words(mut self, words: usize) -> Self {
        self.words = words;
        self
    }

    /// Sets the seed of everything random, which is the latency only. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the time to the first token and the speed of the tokens after it. Default: no waits.
    ///
    /// This sets [`latency`](Self::latency) and [`event_gap`](Self::event_gap). A speed that is not positive
    /// means no gap.
    pub fn speed(self, first_token: Duration, tokens_per_second: f64) -> Self {
        let gap = Duration::try_from_secs_f64(tokens_per_second.recip()).unwrap_or_default();
        self.latency(Latency::Fixed(first_token)).event_gap(gap)
    }

    /// Sets a function that chooses the output of chat, messages, responses and completions. Default: the
    /// simulator [chooses](crate#output).
    ///
    /// It is called once for each request that has arrived whole, and also for those that a fault or a limit
    /// then refuses. It may use the handles of the simulator.
    ///
    /// ```
    /// use http::Request;
    /// use http_body_util::BodyExt;
    /// use tower::ServiceExt;
    /// use tower_key_rotation_sim::{SimAnswer, Simulator};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sim = Simulator::openai()
    ///     .key(("a", "sk-a"))
    ///     .respond(|request| match request.body()["messages"][0]["content"].as_str() {
    ///         Some("ping") => SimAnswer::text("pong"),
    ///         _ => SimAnswer::usual(),
    ///     })
    ///     .build();
    /// let request = Request::post("/v1/chat/completions")
    ///     .header("authorization", "Bearer sk-a")
    ///     .body(r#"{"model":"gpt-4o","messages":[{"role":"user","content":"ping"}]}"#.to_owned())?;
    /// let body = sim.oneshot(request).await?.into_body().collect().await?.to_bytes();
    /// assert!(String::from_utf8_lossy(&body).contains(r#""content":"pong""#));
    /// # Ok(())
    /// # }
    /// ```
    pub fn respond<A: Into<SimAnswer>>(
        mut self,
        respond: impl Fn(&SimRequest<'_>) -> A + Send + Sync + 'static,
    ) -> Self {
        self.responder = Some(Responder::new(respond));
        self
    }

    /// Adds a model to those that the provider lists. Default: a selection of the provider's own models.
    ///
    /// A model that is listed is also known as a snapshot (`gpt-4o-2024-11-20`), as `-latest`, and as the base
    /// of a fine-tuned model (`ft:gpt-4o:…`). Looking up any other model is refused as
    /// [`Refusal::ModelNotFound`](crate::Refusal::ModelNotFound). Calls with another model are served, unless
    /// [`listed_models_only`](Self::listed_models_only) is set.
    pub fn model(mut self, id: impl Into<String>) -> Self {
        self.models.add(id.into());
        self
    }

    /// Refuses calls with a model that is not listed as
    /// [`Refusal::ModelNotFound`](crate::Refusal::ModelNotFound), as the provider does. Default: calls with any
    /// model are served.
    ///
    /// ```
    /// use http::{Request, StatusCode};
    /// use tower::ServiceExt;
    /// use tower_key_rotation_sim::Simulator;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sim = Simulator::openai().key(("a", "sk-a")).listed_models_only().model("fox-1").build();
    /// let chat = |model: &str| {
    ///     Request::post("/v1/chat/completions")
    ///         .header("authorization", "Bearer sk-a")
    ///         .body(format!(r#"{{"model":"{model}","messages":[]}}"#))
    /// };
    /// assert_eq!(sim.clone().oneshot(chat("gpt-4o")?).await?.status(), StatusCode::OK);
    /// assert_eq!(sim.clone().oneshot(chat("fox-1")?).await?.status(), StatusCode::OK);
    /// assert_eq!(sim.clone().oneshot(chat("fox-2")?).await?.status(), StatusCode::NOT_FOUND);
    /// # Ok(())
    /// # }
    /// ```
    pub fn listed_models_only(mut self) -> Self {
        self.models.serve_listed_only();
        self
    }

    /// Sets the length of a minute of the limits. Default: 60 s.
    ///
    /// A second of the limits is a sixtieth of it. With zero, limits refill at once.
    pub fn minute(mut self, minute: Duration) -> Self {
        self.periods.minute = minute;
        self
    }

    /// Sets the length of a day of the limits. Default: 24 h. It does not depend on the
    /// [minute](Self::minute).
    pub fn day(mut self, day: Duration) -> Self {
        self.periods.day = day;
        self
    }

    /// Builds the simulator. Periods of [flapping](Script::flapping) scripts are counted from now.
    pub fn build(self) -> Simulator {
        let now = Instant::now();
        let Self {
            dialect,
            keys,
            accounts,
            script,
            latency,
            event_gap,
            words,
            seed,
            periods,
            models,
            responder,
        } = self;
        let named = |account: SimAccount| (account.name.clone(), Account::new(account, periods));
        let mut state = State {
            keys: Vec::new(),
            accounts: accounts.into_iter().map(named).collect(),
            script: script.start(now),
            latency,
            event_gap,
            words,
            rng: fastrand::Rng::with_seed(seed),
            periods,
            models: Arc::new(models),
            log: CallLog::default(),
            tally: Tally::default(),
            unknown_keys: Tally::default(),
            in_flight: 0,
            serial: 0,
        };
        for key in keys {
            state.add_key(key, now);
        }
        Simulator { shared: Arc::new(Shared::new(dialect, responder, state)) }
    }
}
