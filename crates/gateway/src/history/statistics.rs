//! Statistics of attempts and states, by provider, key and model.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use tower_key_rotation::ModelId;
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::event::{Event, EventKind};
use tower_key_rotation::key::KeyId;
use tower_key_rotation::pool::{KeySnapshot, KeyState, PoolSnapshot};

use crate::history::counts::Counts;
use crate::history::names::ModelNames;
use crate::history::ring::Rings;
use crate::history::state_times::StateTimes;
use crate::history::usage::{KeyTimes, ModelUsage, Point, ProviderUsage, Spans, UsageReport, spans};

/// Numbers since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Attempts that have ended.
    pub attempts: u64,
    /// Attempts that were served.
    pub successes: u64,
    /// Times a request went on with another key, or was retried.
    pub rotations: u64,
    /// Times a request went on at another provider.
    pub fallbacks: u64,
    /// Requests that no provider of the chain could serve.
    pub chain_failures: u64,
    /// Responses that failed after they were handed to the caller.
    pub stream_failures: u64,
    /// Tokens in prompts.
    pub input_tokens: u64,
    /// Tokens in responses.
    pub output_tokens: u64,
}

/// A key of a provider with a model.
type Series = (Arc<str>, KeyId, ModelId);

#[derive(Default)]
pub(super) struct Statistics {
    totals: Totals,
    names: ModelNames,
    providers: BTreeMap<Arc<str>, Rings<Counts>>,
    models: HashMap<Series, Rings<Counts>>,
    states: BTreeMap<(Arc<str>, KeyId), KeyStates>,
}

/// The states of a key over time, and the one that was seen last.
#[derive(Default)]
struct KeyStates {
    times: Rings<StateTimes>,
    last: Option<Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    at: Timestamp,
    state: &'static str,
    until: Option<Timestamp>,
}

// === impl Statistics ===

impl Statistics {
    /// Maximum number of combinations of key and model.
    pub(super) const MAX_SERIES: usize = 1_000;

    pub(super) fn record(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Attempt { key, model, outcome, duration, .. } => {
                self.totals.attempts += 1;
                if outcome.as_str() == "success" {
                    self.totals.successes += 1;
                    self.names.serve(model.as_ref());
                }
                self.count(event, key, model.as_ref(), |counts| counts.attempt(*outcome, *duration));
            }
            EventKind::Metered { key, model, input_tokens, output_tokens, .. } => {
                self.totals.input_tokens = self.totals.input_tokens.saturating_add(*input_tokens);
                self.totals.output_tokens = self.totals.output_tokens.saturating_add(*output_tokens);
                self.count(event, key, model.as_ref(), |counts| counts.tokens(*input_tokens, *output_tokens));
            }
            EventKind::Rotated { .. } => self.totals.rotations += 1,
            EventKind::FellOver { .. } => self.totals.fallbacks += 1,
            EventKind::ChainFailed { .. } => self.totals.chain_failures += 1,
            EventKind::StreamFailed { .. } => self.totals.stream_failures += 1,
            _ => {}
        }
    }

    /// Adds the time since the last sample to the states of the keys.
    pub(super) fn sample(&mut self, pool: &PoolSnapshot) {
        let provider: Arc<str> = pool.provider.as_str().into();
        for key in &pool.keys {
            let states = self.states.entry((Arc::clone(&provider), key.id.clone())).or_default();
            states.sample(key, pool.at);
        }
        // Keys that the pool no longer has.
        self.states
            .retain(|(of, _), states| **of != *provider || states.last.is_some_and(|it| it.at == pool.at));
    }

    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    /// Returns the usage of one provider; zeros if it was never used.
    pub(super) fn provider(&self, name: &str, now: Timestamp) -> Spans<Counts> {
        self.providers.get(name).map(|rings| spans(rings, now)).unwrap_or_default()
    }

    pub(super) fn report(&self, now: Timestamp) -> UsageReport {
        let providers = self.providers.iter().map(|(provider, rings)| ProviderUsage {
            provider: Arc::clone(provider),
            usage: spans(rings, now),
            history: rings.day.steps(now).map(Point::of).collect(),
        });
        let models = self.models.iter().map(|((provider, key, model), rings)| ModelUsage {
            provider: Arc::clone(provider),
            key: key.clone(),
            model: model.clone(),
            usage: spans(rings, now),
        });
        let mut models: Vec<_> = models.filter(|it| it.usage.day.attempts() > 0).collect();
        let name = |it: &ModelUsage| (it.provider.clone(), it.key.to_string(), it.model.to_string());
        models.sort_by_cached_key(name);
        let keys = self.states.iter().map(|((provider, key), states)| KeyTimes {
            provider: Arc::clone(provider),
            key: key.clone(),
            states_ms: spans(&states.times, now),
        });
        UsageReport { at: now, providers: providers.collect(), models, keys: keys.collect() }
    }

    fn count(&mut self, event: &Event, key: &KeyId, model: Option<&ModelId>, count: impl Fn(&mut Counts)) {
        let provider = &event.provider;
        if !self.providers.contains_key(provider) {
            self.providers.insert(Arc::clone(provider), Rings::default());
        }
        if let Some(rings) = self.providers.get_mut(provider) {
            rings.change(event.at, &count);
        }
        let series = (Arc::clone(provider), key.clone(), self.names.of(model));
        if self.models.len() >= Self::MAX_SERIES && !self.models.contains_key(&series) {
            self.models.retain(|_, rings| !rings.is_empty(event.at));
            if self.models.len() >= Self::MAX_SERIES {
                return;
            }
        }
        self.models.entry(series).or_default().change(event.at, &count);
    }
}

// === impl KeyStates ===

impl KeyStates {
    fn sample(&mut self, key: &KeySnapshot, now: Timestamp) {
        let (state, until) = present(key);
        if let Some(Seen { at, state: before, until }) = self.last {
            let spent = |from: Timestamp, to: Timestamp| to.as_unix_ms().saturating_sub(from.as_unix_ms());
            // A state that ended by itself since then was followed by this one.
            let end = until.map_or(now, |until| until.clamp(at, now.max(at)));
            self.times.change(now, |times| times.add(before, spent(at, end)));
            self.times.change(now, |times| times.add(state, spent(end, now)));
        }
        self.last = Some(Seen { at: now, state, until });
    }
}

/// Returns the state of a key, and the time at which it ends by itself.
fn present(key: &KeySnapshot) -> (&'static str, Option<Timestamp>) {
    if key.state == KeyState::Available && !key.models.is_empty() {
        return (StateTimes::MODELS_OUT, key.models.iter().filter_map(|model| model.until).max());
    }
    (key.state.as_str(), key.until)
}
