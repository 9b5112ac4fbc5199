//! The builder of a simulator.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::account::{Account, SimAccount};
use super::key::{Latency, SimKey};
use super::limits::Pace;
use super::log::{CallLog, Tally};
use super::script::Script;
use super::service::Simulator;
use super::state::{Shared, State};

/// The API that a simulator speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI's API.
    ///
    /// Paths: `/v1/chat/completions`, `/v1/responses`, `/v1/embeddings`, `/v1/models`. Keys arrive in
    /// `Authorization: Bearer` or in Azure's `api-key`.
    OpenAi,
    /// Anthropic's API.
    ///
    /// Paths: `/v1/messages`, `/v1/messages/count_tokens`, `/v1/models`, and the OpenAI-compatible
    /// `/v1/chat/completions`. Keys arrive in `x-api-key` or in `Authorization: Bearer`.
    Anthropic,
    /// Gemini's API.
    ///
    /// Paths: `/v1beta/models/MODEL:generateContent`, `:streamGenerateContent`, `:embedContent` and
    /// `:countTokens`, with keys in `x-goog-api-key` or `?key=`; and the OpenAI-compatible
    /// `/v1beta/openai/chat/completions`, with keys in `Authorization: Bearer`.
    Gemini,
}

/// Builder of a [`Simulator`].
///
/// Start with [`Simulator::openai`], [`Simulator::anthropic`], [`Simulator::gemini`] or
/// [`Simulator::builder`].
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
    pace: Pace,
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
            pace: Pace { days_roll: dialect == Dialect::OpenAi, ..Pace::default() },
        }
    }

    /// Adds a key. A key with the same label replaces the one added before.
    pub fn key(mut self, key: impl Into<SimKey>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Adds several keys, like [`key`](Self::key).
    pub fn keys<K: Into<SimKey>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Adds an account with its limits and credit.
    ///
    /// An account that a key names and that was not added has no limits and unlimited credit.
    pub fn account(mut self, account: SimAccount) -> Self {
        self.accounts.push(account);
        self
    }

    /// Sets the script that applies to all calls, whatever their key. Default: no faults.
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
    pub fn event_gap(mut self, gap: Duration) -> Self {
        self.event_gap = gap;
        self
    }

    /// Sets the number of words in a response. Each word counts as one token and is one event of a stream.
    /// Default: 9.
    pub fn words(mut self, words: usize) -> Self {
        self.words = words;
        self
    }

    /// Sets the seed of everything random, which is the latency only. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets how long a minute of the limits lasts. Default: 60 s.
    ///
    /// A second of the limits is a sixtieth of it.
    pub fn minute(mut self, minute: Duration) -> Self {
        self.pace.minute = minute;
        self
    }

    /// Sets how long a day of the limits lasts. Default: 24 h, whatever the [minute](Self::minute).
    pub fn day(mut self, day: Duration) -> Self {
        self.pace.day = day;
        self
    }

    /// Builds the simulator. Periods of [flapping](Script::flapping) scripts are counted from now.
    pub fn build(self) -> Simulator {
        let now = Instant::now();
        let Self { dialect, keys, accounts, script, latency, event_gap, words, seed, pace } = self;
        let named = |account: SimAccount| (account.name.clone(), Account::new(account, pace));
        let mut state = State {
            keys: Vec::new(),
            accounts: accounts.into_iter().map(named).collect(),
            script: script.start(now),
            latency,
            event_gap,
            words,
            rng: fastrand::Rng::with_seed(seed),
            pace,
            log: CallLog::default(),
            tally: Tally::default(),
            strangers: Tally::default(),
            in_flight: 0,
            serial: 0,
        };
        for key in keys {
            state.add_key(key, now);
        }
        Simulator::new(Arc::new(Shared::new(dialect, state)))
    }
}
