//! Writes events as log lines.

use std::time::Duration;

use crate::classify::Reason;
use crate::clock::Timestamp;
use crate::event::millis::whole_ms;
use crate::event::{CallerName, Event, EventKind, OperatorEvent, Severity};
use crate::key::{AccountId, KeyId};
use crate::provider::ModelId;

const TARGET: &str = "tower_key_rotation";

/// Writes one line: the sender, then the fields.
macro_rules! line {
    ($level:ident, $who:expr, $message:literal $(, $($field:tt)+)?) => {{
        let (provider, system) = $who;
        tracing::$level!(
            target: TARGET,
            provider,
            gen_ai.provider.name = system,
            $($($field)+,)?
            $message
        )
    }};
}

type Who<'a> = (&'a str, Option<&'a str>);

/// Writes the log line of an event. `system` is the name of the provider's API in the semantic conventions.
pub(super) fn write(event: &Event, system: Option<&str>, severity: Severity) {
    let who = (&*event.provider, system);
    match &event.kind {
        EventKind::Attempt { key, model, outcome, status, duration, request_id } => line!(
            debug, who, "attempt", %key, gen_ai.request.model = name(model), outcome = outcome.as_str(),
            error.type = outcome.error(), http.response.status_code = status,
            duration_ms = whole_ms(*duration), request_id = request_id.as_deref()
        ),
        EventKind::Rotated { key, model, reason, scope, wait, why, caller } => line!(
            debug, who, "rotated", %key, gen_ai.request.model = name(model),
            error.type = reason.as_str(), scope = scope.as_str(), wait_ms = ms(*wait),
            why = why.map(tracing::field::display), caller = named(caller)
        ),
        EventKind::CooledDown { key, model, reason, scope, wait, hint } => line!(
            info, who, "cooled down", %key, gen_ai.request.model = name(model),
            error.type = reason.as_str(), scope = scope.as_str(), wait_ms = ms(*wait), hint_ms = ms(*hint)
        ),
        EventKind::Recovered { key, model } => {
            line!(info, who, "recovered", %key, gen_ai.request.model = name(model));
        }
        EventKind::InvalidKey { .. } => invalid_key(who, &event.kind),
        EventKind::SecretRenewed { .. } | EventKind::SecretUnavailable { .. } => of_source(who, &event.kind),
        EventKind::Exhausted { .. } => exhausted(who, &event.kind),
        EventKind::Available { model, after } => {
            line!(info, who, "available", gen_ai.request.model = name(model), duration_ms = whole_ms(*after));
        }
        EventKind::QuotaWarning { .. } => quota(who, &event.kind),
        EventKind::PoolFailed { model, reason, attempts, retry_after, caller } => line!(
            debug, who, "pool failed", gen_ai.request.model = name(model), error.type = reason, attempts,
            wait_ms = ms(*retry_after), caller = named(caller)
        ),
        EventKind::StreamFailed { key, model, reason } => line!(
            info, who, "stream failed", key = key.as_ref().map(KeyId::as_str),
            gen_ai.request.model = name(model), error.type = reason
        ),
        EventKind::Metered { key, model, input_tokens, output_tokens } => line!(
            debug, who, "metered", %key, gen_ai.request.model = name(model),
            gen_ai.usage.input_tokens = input_tokens, gen_ai.usage.output_tokens = output_tokens
        ),
        EventKind::FellOver { from, to, reason, caller } => line!(
            debug, who, "fell over", from = &**from, to = &**to, error.type = reason, caller = named(caller)
        ),
        EventKind::BreakerOpened { wait } => line!(info, who, "breaker opened", wait_ms = whole_ms(*wait)),
        EventKind::BreakerHalfOpen => line!(info, who, "breaker half-open"),
        EventKind::BreakerClosed => line!(info, who, "breaker closed"),
        EventKind::ChainFailed { .. } => chain_failed(who, &event.kind, severity),
        EventKind::Operator(operated) => by_operator(who, operated),
        EventKind::Checked { key, result, status } => line!(
            debug, who, "checked", %key, outcome = result.as_str(), http.response.status_code = status
        ),
        EventKind::StoreFailed { .. } | EventKind::StoreRecovered { .. } => of_store(who, &event.kind),
    }
}

/// Writes what an operator has done to a key, or to all keys.
fn by_operator(who: Who<'_>, event: &OperatorEvent) {
    match event {
        OperatorEvent::Reset { key } => line!(info, who, "reset", key = key.as_ref().map(KeyId::as_str)),
        OperatorEvent::QuotaReset { key, model } => {
            line!(info, who, "quota reset", %key, gen_ai.request.model = name(model));
        }
        OperatorEvent::ForcedCooldown { key, model, wait } => line!(
            info, who, "forced cooldown", %key, gen_ai.request.model = name(model), wait_ms = whole_ms(*wait)
        ),
        OperatorEvent::Disabled { key } => line!(info, who, "disabled", %key),
        OperatorEvent::Enabled { key } => line!(info, who, "enabled", %key),
        OperatorEvent::Added { key } => line!(info, who, "added", %key),
        OperatorEvent::Replaced { key } => line!(info, who, "replaced", %key),
        OperatorEvent::Changed { key } => line!(info, who, "changed", %key),
        OperatorEvent::Removed { key } => line!(info, who, "removed", %key),
        OperatorEvent::Drained { key } => line!(info, who, "drained", %key),
    }
}

/// Writes whether a store of the state works.
fn of_store(who: Who<'_>, kind: &EventKind) {
    match kind {
        EventKind::StoreFailed { store, reason } => {
            line!(warn, who, "store failed", store, reason = &**reason);
        }
        EventKind::StoreRecovered { store, after } => {
            line!(info, who, "store recovered", store, duration_ms = whole_ms(*after));
        }
        _ => {}
    }
}

/// Writes what has become of the secret of a key with a source.
fn of_source(who: Who<'_>, kind: &EventKind) {
    match kind {
        EventKind::SecretRenewed { key, lifetime } => {
            line!(debug, who, "secret renewed", %key, lifetime_ms = ms(*lifetime));
        }
        EventKind::SecretUnavailable { key, error, retry_in, valid_for } => line!(
            warn, who, "secret unavailable", %key, error = &**error, wait_ms = whole_ms(*retry_in),
            valid_for_ms = ms(*valid_for)
        ),
        _ => {}
    }
}

fn invalid_key(who: Who<'_>, kind: &EventKind) {
    let EventKind::InvalidKey { key, scope } = kind else { return };
    let error = Reason::InvalidKey.as_str();
    line!(warn, who, "invalid key", %key, error.type = error, scope = scope.as_str());
}

fn exhausted(who: Who<'_>, kind: &EventKind) {
    let EventKind::Exhausted { model, attempts, retry_after } = kind else { return };
    let wait_ms = ms(*retry_after);
    line!(warn, who, "exhausted", gen_ai.request.model = name(model), attempts, wait_ms);
}

fn chain_failed(who: Who<'_>, kind: &EventKind, severity: Severity) {
    let EventKind::ChainFailed { providers, attempts, deadline_passed, retry_after, caller } = kind else {
        return;
    };
    let (wait_ms, caller) = (ms(*retry_after), named(caller));
    if severity == Severity::Alarm {
        line!(warn, who, "chain failed", providers, attempts, deadline_passed, wait_ms, caller);
    } else {
        line!(debug, who, "chain failed", providers, attempts, deadline_passed, wait_ms, caller);
    }
}

fn quota(who: Who<'_>, kind: &EventKind) {
    let EventKind::QuotaWarning {
        key,
        account,
        model,
        dimension,
        window,
        used,
        threshold,
        remaining,
        limit,
        resets_at,
    } = kind
    else {
        return;
    };
    line!(
        warn, who, "quota warning", key = key.as_ref().map(KeyId::as_str),
        account = account.as_ref().map(AccountId::as_str), gen_ai.request.model = name(model),
        %dimension, window = window.map(tracing::field::display), used, threshold, remaining, limit,
        resets_at_ms = resets_at.map(Timestamp::as_unix_ms)
    );
}

fn named(caller: &Option<CallerName>) -> Option<&str> {
    caller.as_ref().map(CallerName::as_str)
}

fn name(model: &Option<ModelId>) -> Option<&str> {
    model.as_ref().map(ModelId::as_str)
}

fn ms(time: Option<Duration>) -> Option<u64> {
    time.map(whole_ms)
}
