//! Metrics of events, through the `metrics` facade, for any exporter.
//!
//! Install a recorder (`metrics-exporter-prometheus`, for example), then enable metrics on a hub:
//! `Events::new().with_metrics()`. A hub without metrics counts nothing. Only the gauges of key states and
//! the metrics of stores are set without one, by [`KeyPool::record_metrics`](crate::KeyPool::record_metrics).
//!
//! | name | type | unit | labels | description |
//! |---|---|---|---|---|
//! | `tower_key_rotation_attempts_total` | counter | | `provider`, `key`, `outcome` | attempts that have ended |
//! | `tower_key_rotation_attempt_duration_seconds` | histogram | s | `provider`, `model`, `outcome` | time from sending a request to the verdict on its response |
//! | `tower_key_rotation_rate_limits_total` | counter | | `provider`, `key`, `model` | attempts that were rate-limited |
//! | `tower_key_rotation_rotations_total` | counter | | `provider`, `reason` | times a request went on with another key, or was retried |
//! | `tower_key_rotation_cooldowns_total` | counter | | `provider`, `key`, `reason` | cooldowns that began; the reason of those that an operator forced is `operator` |
//! | `tower_key_rotation_recoveries_total` | counter | | `provider`, `key` | probes that ended a cooldown |
//! | `tower_key_rotation_invalid_keys_total` | counter | | `provider`, `key` | times a key was refused as invalid |
//! | `tower_key_rotation_exhausted_total` | counter | | `provider`, `model` | times a pool, or a model of it, was left without a usable key |
//! | `tower_key_rotation_pool_failures_total` | counter | | `provider`, `reason` | requests that failed at a provider |
//! | `tower_key_rotation_stream_failures_total` | counter | | `provider`, `reason` | responses that failed after they were handed to the caller: `truncated`, `broken`, `failed`, `malformed`, `idle` |
//! | `tower_key_rotation_fallbacks_total` | counter | | `from`, `to`, `reason` | times a request went on at another link |
//! | `tower_key_rotation_chain_failures_total` | counter | | `provider` | requests that no link could serve; `provider` is the first link |
//! | `tower_key_rotation_breaker_state` | gauge | | `provider` | 0 closed, 1 half-open, 2 open; set when it changes |
//! | `tower_key_rotation_quota_warnings_total` | counter | | `provider`, `key`, `account`, `dimension` | thresholds of a quota that were reached |
//! | `tower_key_rotation_quota_remaining_ratio` | gauge | | `provider`, `key`, `account`, `model`, `dimension` | share of a quota that is left; of several quotas the smallest share; set by warnings, and by [`KeyPool::record_metrics`](crate::KeyPool::record_metrics) |
//! | `tower_key_rotation_tokens_total` | counter | | `provider`, `model`, `direction` | tokens that responses report: `input`, and `output` including thinking; counted by the pool when a response has ended |
//! | `tower_key_rotation_keys` | gauge | | `provider`, `state` | number of keys in each state; set by [`KeyPool::record_metrics`](crate::KeyPool::record_metrics) |
//! | `tower_key_rotation_key_state` | gauge | | `provider`, `key`, `state` | 1 for the state of the key, 0 for the other states; set by [`KeyPool::record_metrics`](crate::KeyPool::record_metrics). Its average over a time is the share of that time spent in the state |
//! | `tower_key_rotation_usable_keys` | gauge | | `provider`, `model` | number of keys that a request for the model could use; an empty `model` stands for requests of no certain model. Models that a pool does not track are absent, and as usable as those; set by [`KeyPool::record_metrics`](crate::KeyPool::record_metrics) |
//! | `tower_key_rotation_key_changes_total` | counter | | `provider`, `change` | changes of the keys of a pool at run time: `added`, `replaced`, `changed`, `removed`, `drained` |
//! | `tower_key_rotation_key_checks_total` | counter | | `provider`, `key`, `result` | checks of keys that have ended, by [result](crate::key::CheckResult) |
//! | `tower_key_rotation_secret_renewals_total` | counter | | `provider`, `key`, `outcome` | secrets that a source was asked for: `renewed`, `failed` |
//! | `tower_key_rotation_store_up` | gauge | | `provider`, `store` | 1 while the `file`, `redis` or `redis quotas` that keeps or shares the state of the pool works, 0 while it fails; `NaN` after its end. This and the next two are set by [`KeyPool::record_metrics`](crate::KeyPool::record_metrics) |
//! | `tower_key_rotation_store_failures_total` | counter | | `provider`, `store` | times the store failed: a write, a connection |
//! | `tower_key_rotation_store_last_success_timestamp_seconds` | gauge | s | `provider`, `store` | Unix time at which the store last had the present state; Redis is asked at least every 10 s |
//! | `tower_key_rotation_events_missed_total` | counter | | | events that subscribers were too slow for |
//!
//! # Labels
//!
//! All labels have a bounded number of values, and none is a secret or derived from one. `provider`, `key`,
//! `account`, `from` and `to` are configured by the operator; `outcome`, `reason`, `state`, `change`, `dimension`
//! and `direction` are words of this crate.
//!
//! Models are named by callers. A name becomes a label when a provider has served the model, or if a limit is
//! declared for the model by its full name. At most [256](MODELS) served models of a hub have labels. All
//! others are `other`, and so are undeclared names of more than 100 bytes. `unknown` stands for requests
//! whose model is not known.

mod gauges;
mod models;
#[cfg(any(feature = "file-store", feature = "redis"))]
mod stores;

use std::collections::HashMap;
use std::sync::Arc;

use metrics::{
    SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::body::meter::Usage;
use crate::classify::Reason;
pub(crate) use crate::event::metrics::gauges::{key_state, keys};
use crate::event::metrics::gauges::{owner, set_left, usable};
pub(super) use crate::event::metrics::models::Models;
#[cfg(any(feature = "file-store", feature = "redis"))]
pub(crate) use crate::event::metrics::stores::Stores;
use crate::event::{AttemptOutcome, Event, EventKind, OperatorEvent};
use crate::key::{AccountId, KeyId};
use crate::limits::LimitStatus;
use crate::provider::ModelId;

/// Maximum number of served models that have labels at one hub: 256. Models with declared limits do not
/// count.
pub const MODELS: usize = 256;

const LONGEST_MODEL: usize = 100;

const ATTEMPTS: &str = "tower_key_rotation_attempts_total";
const DURATION: &str = "tower_key_rotation_attempt_duration_seconds";
const RATE_LIMITS: &str = "tower_key_rotation_rate_limits_total";
const ROTATIONS: &str = "tower_key_rotation_rotations_total";
const COOLDOWNS: &str = "tower_key_rotation_cooldowns_total";
const RECOVERIES: &str = "tower_key_rotation_recoveries_total";
const INVALID_KEYS: &str = "tower_key_rotation_invalid_keys_total";
const EXHAUSTED: &str = "tower_key_rotation_exhausted_total";
const POOL_FAILURES: &str = "tower_key_rotation_pool_failures_total";
const STREAM_FAILURES: &str = "tower_key_rotation_stream_failures_total";
const FALLBACKS: &str = "tower_key_rotation_fallbacks_total";
const CHAIN_FAILURES: &str = "tower_key_rotation_chain_failures_total";
const BREAKER: &str = "tower_key_rotation_breaker_state";
const QUOTA_WARNINGS: &str = "tower_key_rotation_quota_warnings_total";
const TOKENS: &str = "tower_key_rotation_tokens_total";
const CHECKS: &str = "tower_key_rotation_key_checks_total";
const SECRET_RENEWALS: &str = "tower_key_rotation_secret_renewals_total";
const KEY_CHANGES: &str = "tower_key_rotation_key_changes_total";
const MISSED: &str = "tower_key_rotation_events_missed_total";

/// The metrics of one hub.
pub(super) struct Metrics {
    models: Arc<Models>,
}

// === impl Metrics ===

impl Metrics {
    /// Describes all metrics to the recorder.
    pub(super) fn described(models: &Arc<Models>) -> Self {
        describe_counter!(ATTEMPTS, Unit::Count, "Attempts that are over.");
        describe_histogram!(
            DURATION,
            Unit::Seconds,
            "From sending a request to the verdict on its response."
        );
        describe_counter!(RATE_LIMITS, Unit::Count, "Attempts that were refused as too fast.");
        describe_counter!(ROTATIONS, Unit::Count, "Times a request went on with another key.");
        describe_counter!(COOLDOWNS, Unit::Count, "Cooldowns of keys.");
        describe_counter!(RECOVERIES, Unit::Count, "Probes that ended a cooldown.");
        describe_counter!(INVALID_KEYS, Unit::Count, "Times a key was refused as invalid.");
        describe_counter!(
            EXHAUSTED,
            Unit::Count,
            "Times that a pool, or a model of it, was left without a usable key."
        );
        describe_counter!(POOL_FAILURES, Unit::Count, "Requests that failed at a provider.");
        describe_counter!(STREAM_FAILURES, Unit::Count, "Responses that failed after their commit.");
        describe_counter!(FALLBACKS, Unit::Count, "Times a request went on at another link.");
        describe_counter!(CHAIN_FAILURES, Unit::Count, "Requests that no link could serve.");
        describe_gauge!(BREAKER, "0 closed, 1 half-open, 2 open.");
        describe_counter!(QUOTA_WARNINGS, Unit::Count, "Thresholds of a quota that were passed.");
        describe_counter!(TOKENS, Unit::Count, "Tokens that responses report.");
        gauges::describe();
        #[cfg(any(feature = "file-store", feature = "redis"))]
        stores::describe();
        describe_counter!(KEY_CHANGES, Unit::Count, "Changes of the keys of a pool at run time.");
        describe_counter!(CHECKS, Unit::Count, "Checks of keys that have ended.");
        describe_counter!(SECRET_RENEWALS, Unit::Count, "Secrets that a source was asked for.");
        describe_counter!(MISSED, Unit::Count, "Events that subscribers were too slow for.");
        Self { models: Arc::clone(models) }
    }

    pub(super) fn record(&self, event: &Event) {
        let provider = || SharedString::from(event.provider.clone());
        let count = |name: &'static str, key: &KeyId| {
            counter!(name, "provider" => provider(), "key" => label(key)).increment(1);
        };
        match &event.kind {
            EventKind::Attempt { .. } => self.attempt(event),
            EventKind::Rotated { reason, .. } => {
                counter!(ROTATIONS, "provider" => provider(), "reason" => reason.as_str()).increment(1);
            }
            EventKind::CooledDown { key, reason, .. } => {
                let reason = reason.as_str();
                counter!(COOLDOWNS, "provider" => provider(), "key" => label(key), "reason" => reason)
                    .increment(1);
            }
            EventKind::Recovered { key, .. } => count(RECOVERIES, key),
            EventKind::InvalidKey { key, .. } => count(INVALID_KEYS, key),
            EventKind::SecretRenewed { key, .. } => renewal(event, key, "renewed"),
            EventKind::SecretUnavailable { key, .. } => renewal(event, key, "failed"),
            EventKind::Exhausted { model, .. } => {
                let model = self.models.label(model.as_ref());
                counter!(EXHAUSTED, "provider" => provider(), "model" => model).increment(1);
            }
            EventKind::QuotaWarning { .. } => self.quota(event),
            EventKind::PoolFailed { reason, .. } => {
                counter!(POOL_FAILURES, "provider" => provider(), "reason" => *reason).increment(1);
            }
            EventKind::StreamFailed { reason, .. } => {
                counter!(STREAM_FAILURES, "provider" => provider(), "reason" => *reason).increment(1);
            }
            EventKind::FellOver { from, to, reason, .. } => {
                counter!(FALLBACKS, "from" => from.clone(), "to" => to.clone(), "reason" => *reason)
                    .increment(1);
            }
            EventKind::BreakerClosed => gauge!(BREAKER, "provider" => provider()).set(0.0),
            EventKind::BreakerHalfOpen => gauge!(BREAKER, "provider" => provider()).set(1.0),
            EventKind::BreakerOpened { .. } => gauge!(BREAKER, "provider" => provider()).set(2.0),
            EventKind::ChainFailed { .. } => counter!(CHAIN_FAILURES, "provider" => provider()).increment(1),
            EventKind::Operator(operated) => by_operator(event, operated),
            EventKind::Checked { key, result, .. } => {
                let result = result.as_str();
                counter!(CHECKS, "provider" => provider(), "key" => label(key), "result" => result)
                    .increment(1);
            }
            EventKind::Available { .. }
            | EventKind::Metered { .. }
            | EventKind::StoreFailed { .. }
            | EventKind::StoreRecovered { .. } => {}
        }
    }

    fn attempt(&self, event: &Event) {
        let EventKind::Attempt { key, model, outcome, duration, .. } = &event.kind else { return };
        if *outcome == AttemptOutcome::Success {
            self.models.serve(model.as_ref());
        }
        let provider = || SharedString::from(event.provider.clone());
        let (model, word) = (self.models.label(model.as_ref()), outcome.as_str());
        counter!(ATTEMPTS, "provider" => provider(), "key" => label(key), "outcome" => word).increment(1);
        histogram!(DURATION, "provider" => provider(), "model" => model.clone(), "outcome" => word)
            .record(*duration);
        if *outcome == AttemptOutcome::Failed(Reason::RateLimited) {
            counter!(RATE_LIMITS, "provider" => provider(), "key" => label(key), "model" => model)
                .increment(1);
        }
    }

    fn quota(&self, event: &Event) {
        let EventKind::QuotaWarning { key, account, model, dimension, used, .. } = &event.kind else {
            return;
        };
        let owned = owner(&event.provider, key.as_ref(), account.as_ref(), dimension.as_str());
        counter!(QUOTA_WARNINGS, &owned).increment(1);
        set_left(&owned, self.models.label(model.as_ref()), 1.0 - used);
    }

    /// Sets how much of a key's limits is left. Windows have no label, so of several limits of one dimension
    /// the one with the smallest share left is reported: it is the one that refuses first.
    pub(super) fn left<'a>(
        &self,
        provider: &Arc<str>,
        key: &KeyId,
        account: Option<&AccountId>,
        limits: impl Iterator<Item = (Option<&'a ModelId>, &'a LimitStatus)>,
    ) {
        let mut least = HashMap::new();
        for (model, reading) in limits {
            let left = 1.0 - reading.used_share();
            let known = least.entry((self.models.label(model), reading.metric.as_str())).or_insert(left);
            *known = left.min(*known);
        }
        for ((model, dimension), left) in least {
            set_left(&owner(provider, Some(key), account, dimension), model, left);
        }
    }

    /// Sets the number of keys that a request for a model could use, unless the model has no label.
    pub(super) fn usable(&self, provider: &str, model: Option<&ModelId>, keys: usize) {
        let label = model.map_or_else(SharedString::default, |_| self.models.label(model));
        if &*label != "other" {
            usable(provider, label, keys);
        }
    }

    pub(super) fn tokens(&self, provider: &str, model: Option<&ModelId>, usage: &Usage) {
        let model = self.models.label(model);
        for (direction, tokens) in [("input", usage.input()), ("output", usage.output())] {
            let (provider, model) = (provider.to_owned(), model.clone());
            counter!(TOKENS, "provider" => provider, "model" => model, "direction" => direction)
                .increment(tokens);
        }
    }
}

/// Counts events that a subscriber was too slow for.
pub(super) fn missed(events: u64) {
    counter!(MISSED).increment(events);
}

fn label(name: &impl ToString) -> SharedString {
    name.to_string().into()
}

/// Counts what operators do to keys.
fn by_operator(event: &Event, operated: &OperatorEvent) {
    let provider = SharedString::from(event.provider.clone());
    let change = match operated {
        OperatorEvent::Added { .. } => "added",
        OperatorEvent::Replaced { .. } => "replaced",
        OperatorEvent::Changed { .. } => "changed",
        OperatorEvent::Removed { .. } => "removed",
        OperatorEvent::Drained { .. } => "drained",
        OperatorEvent::ForcedCooldown { key, .. } => {
            let key = label(key);
            return counter!(COOLDOWNS, "provider" => provider, "key" => key, "reason" => "operator")
                .increment(1);
        }
        OperatorEvent::Reset { .. }
        | OperatorEvent::QuotaReset { .. }
        | OperatorEvent::Disabled { .. }
        | OperatorEvent::Enabled { .. } => return,
    };
    counter!(KEY_CHANGES, "provider" => provider, "change" => change).increment(1);
}

fn renewal(event: &Event, key: &KeyId, outcome: &'static str) {
    let provider = SharedString::from(event.provider.clone());
    counter!(SECRET_RENEWALS, "provider" => provider, "key" => label(key), "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests;
