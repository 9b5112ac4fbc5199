//! The kinds of events.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::classify::{Reason, Scope, Why};
use crate::clock::Timestamp;
use crate::event::caller_name::CallerName;
use crate::event::millis::{maybe_ms, ms};
use crate::event::operator::OperatorEvent;
use crate::event::outcome::AttemptOutcome;
use crate::key::{AccountId, CheckResult, KeyId};
use crate::provider::{Dimension, ModelId, Window};

/// The kind of an [`Event`](crate::event::Event), with its details.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// An attempt has ended. Every attempt that was sent has one such event, whether it succeeded or failed.
    #[non_exhaustive]
    Attempt {
        /// The key that was used.
        key: KeyId,
        /// The model, if the request names one. `None` for an abandoned attempt.
        model: Option<ModelId>,
        /// The outcome of the attempt.
        outcome: AttemptOutcome,
        /// The status of the response, if there was one.
        status: Option<u16>,
        /// Time from sending the request to the verdict.
        #[serde(rename = "duration_ms", serialize_with = "ms")]
        duration: Duration,
        /// The provider's id of the request, for questions to its support: the response's `x-request-id`,
        /// `request-id`, `x-amzn-requestid` or `apim-request-id`, cut to 128 characters. `None` if it shows a
        /// part of the key or has unusual characters.
        request_id: Option<Arc<str>>,
    },
    /// A request goes on with another key, or is retried.
    #[non_exhaustive]
    Rotated {
        /// The key that failed.
        key: KeyId,
        /// The model, if it is known.
        model: Option<ModelId>,
        /// The reason of the fault.
        reason: Reason,
        /// The scope of the fault.
        scope: Scope,
        /// Time until the request is sent again. `None` if it is sent at once.
        #[serde(rename = "wait_ms", serialize_with = "maybe_ms")]
        wait: Option<Duration>,
        /// The reason for the verdict: the step of the classification that decided, and the evidence.
        why: Option<Why>,
        /// The name of the caller, if the request [has one](CallerName).
        #[serde(skip_serializing_if = "Option::is_none")]
        caller: Option<CallerName>,
    },
    /// A key, or a scope that it shares with other keys, was put into a cooldown.
    #[non_exhaustive]
    CooledDown {
        /// The key whose request was refused.
        key: KeyId,
        /// The model of that request, if it is known. `scope` says whether only this model is concerned.
        model: Option<ModelId>,
        /// The reason of the fault.
        reason: Reason,
        /// The scope of the cooldown.
        scope: Scope,
        /// Length of the cooldown. `None` if it lasts until the key is replaced or reset.
        #[serde(rename = "wait_ms", serialize_with = "maybe_ms")]
        wait: Option<Duration>,
        /// Wait that the provider stated, if any, before the caps of [`Cooldowns`](crate::pool::Cooldowns).
        #[serde(rename = "hint_ms", serialize_with = "maybe_ms")]
        hint: Option<Duration>,
    },
    /// A probe succeeded, which ends a cooldown.
    #[non_exhaustive]
    Recovered {
        /// The key of the probe.
        key: KeyId,
        /// The model, if the cooldown was for one model.
        model: Option<ModelId>,
    },
    /// The source of a key has given another secret.
    #[non_exhaustive]
    SecretRenewed {
        /// The key with the source.
        key: KeyId,
        /// Time until the secret expires. `None` if it does not.
        #[serde(rename = "lifetime_ms", serialize_with = "maybe_ms")]
        lifetime: Option<Duration>,
    },
    /// The source of a key could not give a secret.
    #[non_exhaustive]
    SecretUnavailable {
        /// The key with the source.
        key: KeyId,
        /// The error of the source.
        error: Arc<str>,
        /// Time until the source is asked again.
        #[serde(rename = "wait_ms", serialize_with = "ms")]
        retry_in: Duration,
        /// Time for which the present secret is valid, at most a year. `None`: the key is not used.
        #[serde(rename = "valid_for_ms", serialize_with = "maybe_ms")]
        valid_for: Option<Duration>,
    },
    /// A key was refused as invalid. An operator has to replace it.
    #[non_exhaustive]
    InvalidKey {
        /// The key that was refused.
        key: KeyId,
        /// The scope of the fault.
        scope: Scope,
    },
    /// A pool has no usable key, at all or for one model. Emitted once until it is
    /// [`Available`](Self::Available) again, and not if a key is usable within a second.
    #[non_exhaustive]
    Exhausted {
        /// The model of the request that failed, if it is known.
        model: Option<ModelId>,
        /// Number of attempts that this request had made.
        attempts: usize,
        /// Time until the first key becomes usable. `None` if that does not depend on time.
        #[serde(rename = "wait_ms", serialize_with = "maybe_ms")]
        retry_after: Option<Duration>,
    },
    /// A pool that was [exhausted](Self::Exhausted) has served a request again.
    #[non_exhaustive]
    Available {
        /// The model, if only that model had no usable key.
        model: Option<ModelId>,
        /// Time during which no key was usable.
        #[serde(rename = "duration_ms", serialize_with = "ms")]
        after: Duration,
    },
    /// The used share of a quota has reached a threshold. Emitted once per threshold and window.
    #[non_exhaustive]
    QuotaWarning {
        /// The key whose request or response revealed it.
        key: Option<KeyId>,
        /// The account of that key, if it is known.
        account: Option<AccountId>,
        /// The model, if the quota is for one model.
        model: Option<ModelId>,
        /// The dimension that the quota counts.
        dimension: Dimension,
        /// The window of the quota, if it is known.
        window: Option<Window>,
        /// The used share, from 0 to 1.
        used: f64,
        /// The threshold that was reached, as a share from 0 to 1.
        threshold: f64,
        /// Amount that is left.
        remaining: Option<u64>,
        /// Size of the quota.
        limit: Option<u64>,
        /// Time at which the quota is full again, if it is known.
        resets_at: Option<Timestamp>,
    },
    /// A request failed at one provider, after all its attempts there. In a chain the next link follows.
    #[non_exhaustive]
    PoolFailed {
        /// The model, if it is known.
        model: Option<ModelId>,
        /// The reason why no further attempt was made, as named by [`StopReason::as_str`](crate::StopReason::as_str).
        reason: &'static str,
        /// Number of attempts that the request had made.
        attempts: usize,
        /// Time until a retry makes sense, if it is known.
        #[serde(rename = "wait_ms", serialize_with = "maybe_ms")]
        retry_after: Option<Duration>,
        /// The name of the caller, if the request [has one](CallerName).
        #[serde(skip_serializing_if = "Option::is_none")]
        caller: Option<CallerName>,
    },
    /// A response failed after it was handed to the caller. The request is not sent again.
    #[non_exhaustive]
    StreamFailed {
        /// The key that served the response. `None` if the link of the chain has no keys of this crate.
        key: Option<KeyId>,
        /// The model, if the request names one and its body could still be read.
        model: Option<ModelId>,
        /// The kind of the error: [`StreamErrorKind::as_str`](crate::body::StreamErrorKind::as_str).
        reason: &'static str,
    },
    /// A response has reported its tokens, at the end of its body.
    #[non_exhaustive]
    Metered {
        /// The key that served the response.
        key: KeyId,
        /// The model, if it is known.
        model: Option<ModelId>,
        /// Number of tokens in the prompt. Zero if the response does not report it.
        input_tokens: u64,
        /// Number of tokens in the response, including thinking. Zero if the response does not report it.
        output_tokens: u64,
    },
    /// A request goes on at another provider of its chain.
    FellOver {
        /// The link that failed or was skipped last. It is also the provider of the event.
        from: Arc<str>,
        /// The link that is called next.
        to: Arc<str>,
        /// The reason: that of a fault, or [`SkipReason::as_str`](crate::fallback::SkipReason::as_str).
        reason: &'static str,
        /// The name of the caller, if the request [has one](CallerName).
        #[serde(skip_serializing_if = "Option::is_none")]
        caller: Option<CallerName>,
    },
    /// The circuit breaker of a provider has opened, because too many calls failed.
    #[non_exhaustive]
    BreakerOpened {
        /// Time for which the provider is skipped.
        #[serde(rename = "wait_ms", serialize_with = "ms")]
        wait: Duration,
    },
    /// The circuit breaker lets one request through as a probe.
    BreakerHalfOpen,
    /// The circuit breaker has closed: the provider is used again.
    BreakerClosed,
    /// No provider of a chain could serve a request.
    #[non_exhaustive]
    ChainFailed {
        /// Number of links that were called or skipped.
        providers: usize,
        /// Number of attempts that the request had made in all.
        attempts: usize,
        /// Whether the deadline of the request ended it.
        deadline_passed: bool,
        /// Shortest time until a retry makes sense, if it is known.
        #[serde(rename = "wait_ms", serialize_with = "maybe_ms")]
        retry_after: Option<Duration>,
        /// The name of the caller, if the request [has one](CallerName).
        #[serde(skip_serializing_if = "Option::is_none")]
        caller: Option<CallerName>,
    },
    /// A store of the pool's state does not work. Requests go on. Emitted once, until it works again.
    #[non_exhaustive]
    StoreFailed {
        /// The kind of the store: `file` or `redis`.
        store: &'static str,
        /// The error.
        reason: Arc<str>,
    },
    /// A store of the pool's state works again, or no longer has the pool.
    #[non_exhaustive]
    StoreRecovered {
        /// The kind of the store: `file` or `redis`.
        store: &'static str,
        /// Time for which it did not work.
        #[serde(rename = "duration_ms", serialize_with = "ms")]
        after: Duration,
    },
    /// A key was checked, by [`KeyChecks`](crate::check::KeyChecks). A confirmed refusal is followed by
    /// [`InvalidKey`](Self::InvalidKey), and the end of one by [`Recovered`](Self::Recovered).
    #[non_exhaustive]
    Checked {
        /// The key that was checked.
        key: KeyId,
        /// The result of the check.
        result: CheckResult,
        /// The status of the response that decided, if there was one.
        status: Option<u16>,
    },
    /// An operator acted on keys. The events of [`OperatorEvent`] are serialized like the other kinds.
    #[serde(untagged)]
    Operator(OperatorEvent),
}

impl From<OperatorEvent> for EventKind {
    fn from(event: OperatorEvent) -> Self {
        Self::Operator(event)
    }
}
