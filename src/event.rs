//! What operators want to hear of, and the one way of saying it.
//!
//! Events are written to `tracing` under the target `tower_key_rotation`, at the level at which somebody
//! should care: `warn` where a person has to act (a key is invalid, no key is left), `info` where the state
//! of a key changes, `debug` for what one request did. None carries a secret; keys are named by their ids.

use std::time::Duration;

use crate::classify::{Fault, Reason, Scope};
use crate::key::{AccountId, KeyId};
use crate::limits::Alarm;
use crate::provider::ModelId;

/// Something that happened. The provider is said beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    /// A key or what it shares is benched.
    CooledDown { key: &'a KeyId, model: Option<&'a ModelId>, fault: &'a Fault, wait: Option<Duration> },
    /// No usable key is left for a request.
    Exhausted { model: Option<&'a ModelId>, attempts: usize, retry_after: Option<Duration> },
    /// A key is refused for good.
    InvalidKey { key: &'a KeyId, fault: &'a Fault },
    /// A share of a limit is used up that somebody wants to hear of.
    QuotaWarning {
        key: &'a KeyId,
        account: Option<&'a AccountId>,
        model: Option<&'a ModelId>,
        alarm: &'a Alarm,
    },
    /// A probe succeeded.
    Recovered { key: &'a KeyId, model: Option<&'a ModelId> },
    /// A request goes on with another key, or tries again.
    Rotated {
        key: &'a KeyId,
        model: Option<&'a ModelId>,
        reason: Reason,
        scope: Scope,
        wait: Option<Duration>,
    },
}

/// Says it. Never blocks; whether anybody listens changes no decision.
pub(crate) fn emit(provider: &str, event: &Event<'_>) {
    match *event {
        Event::CooledDown { key, model, fault, wait } => tracing::info!(
            target: TARGET, provider, %key, model = name(model), reason = fault.reason().as_str(),
            scope = fault.scope().as_str(), wait = ms(wait), "cooled down"
        ),
        Event::Exhausted { model, attempts, retry_after } => tracing::warn!(
            target: TARGET, provider, model = name(model), attempts, wait = ms(retry_after), "exhausted"
        ),
        Event::InvalidKey { key, fault } => tracing::warn!(
            target: TARGET, provider, %key, reason = fault.reason().as_str(),
            scope = fault.scope().as_str(), "invalid key"
        ),
        Event::QuotaWarning { key, account, model, alarm } => tracing::warn!(
            target: TARGET, provider, %key, account = account.map(AccountId::as_str), model = name(model),
            counted = alarm.reading.counted.as_str(), limit = alarm.reading.limit,
            remaining = alarm.reading.remaining, share = alarm.share, "quota warning"
        ),
        Event::Recovered { key, model } => tracing::info!(
            target: TARGET, provider, %key, model = name(model), "recovered"
        ),
        Event::Rotated { key, model, reason, scope, wait } => tracing::debug!(
            target: TARGET, provider, %key, model = name(model), reason = reason.as_str(),
            scope = scope.as_str(), wait = ms(wait), "rotated"
        ),
    }
}

const TARGET: &str = "tower_key_rotation";

fn name(model: Option<&ModelId>) -> Option<&str> {
    model.map(ModelId::as_str)
}

/// Milliseconds, as tracing's values have no durations.
fn ms(wait: Option<Duration>) -> Option<u64> {
    wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}
