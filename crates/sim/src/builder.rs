//! How a simulator is set up.

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

/// Whose API a simulator speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// `/v1/chat/completions`, `/v1/responses`, `/v1/embeddings`, `/v1/models`; keys in
    /// `Authorization: Bearer` or Azure's `api-key`.
    OpenAi,
    /// `/v1/messages`, `/v1/messages/count_tokens`, `/v1/models` and the OpenAI-compatible
    /// `/v1/chat/completions`; keys in `x-api-key` or `Authorization: Bearer`.
    Anthropic,
    /// `/v1beta/models/MODEL:generateContent`, `:streamGenerateContent`, `:embedContent`,
    /// `:countTokens`, keys in `x-goog-api-key` or `?key=`; and the OpenAI-compatible
    /// `/v1beta/openai/chat/completions`, keys in `Authorization: Bearer`.
    Gemini,
}

/// Sets up a [`Simulator`].
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

    /// Adds a key; one with the same label takes the place of the first.
    pub fn key(mut self, key: impl Into<SimKey>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Adds keys.
    pub fn keys<K: Into<SimKey>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Limits and credit of an account; one that a key names and nobody set up is unlimited.
    pub fn account(mut self, account: SimAccount) -> Self {
        self.accounts.push(account);
        self
    }

    /// What happens to calls, whichever key they carry. Nothing by default.
    pub fn script(mut self, script: impl Into<Script>) -> Self {
        self.script = script.into();
        self
    }

    /// Time before each head. None by default.
    pub fn latency(mut self, latency: Latency) -> Self {
        self.latency = latency;
        self
    }

    /// Time between two events of a stream. None by default.
    pub fn event_gap(mut self, gap: Duration) -> Self {
        self.event_gap = gap;
        self
    }

    /// Words in an answer, each of them a token and an event of a stream. 9 by default.
    pub fn words(mut self, words: usize) -> Self {
        self.words = words;
        self
    }

    /// The seed of all that is random, which is the latency. 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How long a minute of the limits lasts. 60 s by default.
    pub fn minute(mut self, minute: Duration) -> Self {
        self.pace.minute = minute;
        self
    }

    /// How long a day of the limits lasts. 24 h by default, whatever the minute.
    pub fn day(mut self, day: Duration) -> Self {
        self.pace.day = day;
        self
    }

    /// The simulator. Flapping starts now.
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
