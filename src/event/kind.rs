//! What there is to say.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::classify::{Reason, Rejection, Scope, Verdict};
use crate::clock::Timestamp;
use crate::key::{AccountId, KeyId};
use crate::provider::{Dimension, ModelId, Window};

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// An attempt is over: which key served what. Each that was sent has one such line, the last of a request
    /// as well as those before it.
    #[non_exhaustive]
    Attempt {
        /// The key that was used.
        key: KeyId,
        /// The model, where the request names one.
        model: Option<ModelId>,
        /// What came of it.
        outcome: AttemptOutcome,
        /// The status of the answer, if there was one.
        status: Option<u16>,
        /// From sending the request to the verdict.
        #[serde(rename = "duration_ms", serialize_with = "ms")]
        duration: Duration,
        /// What the provider calls the request, for asking it about one: the answer's `x-request-id`,
        /// `request-id`, `x-amzn-requestid` or `apim-request-id`; at most 128 characters of it.
        request_id: Option<Arc<str>>,
    },
    /// A request goes on with another key, or tries again.
    #[non_exhaustive]
    Rotated {
        /// The key that failed.
        key: KeyId,
        /// The model, where it is known.
        model: Option<ModelId>,
        /// Why.
        reason: Reason,
        /// Whom that concerns.
        scope: Scope,
        /// How long the request waits before it tries again; `None`: not at all.
        #[serde(rename = "wait_ms", serialize_with = "maybe_ms")]
        wait: Option<Duration>,
    },
    /// A key, or what it shares with others, is benched.
    #[non_exhaustive]
    CooledDown {
        /// The key that was refused.
        key: KeyId,
        /// The model, where it is known; whether the bench is for that model only is for `scope` to say.
        model: Option<ModelId>,
        /// Why.
        reason: Reason,
        /// Whom that concerns.
        scope: Scope,
        /// How long; `None`: until the key is replaced or reset.
        #[serde(rename = "wait_ms", serialize_with = "maybe_ms")]
        wait: Option<Duration>,
        /// How long the provider said, if it did: more than `wait` where that is more than is
        /// [believed](crate::pool::Cooldowns).
        #[serde(rename = "hint_ms", serialize_with = "maybe_ms")]
        hint: Option<Duration>,
    },
    /// A probe succeeded: what was benched is free.
    #[non_exhaustive]
    Recovered {
        /// The key of the probe.
        key: KeyId,
        /// The model that it was benched for, if it was for one.
        model: Option<ModelId>,
    },
    /// A key is refused for good: a person has to replace it.
    #[non_exhaustive]
    InvalidKey {
        /// The key.
        key: KeyId,
        /// Whom that concerns.
        scope: Scope,
    },
    /// A pool has no usable key, or none for one model. Said once when a request first fails for it, unless a key is
    /// back within a second; [`Available`](Self::Available) ends it.
    #[non_exhaustive]
    Exhausted {
        /// The model of the request that failed, where it is known.
        model: Option<ModelId>,
        /// How many attempts that request had until then.
        attempts: usize,
        /// When the first key becomes usable; `None` if that is not a matter of time.
        #[serde(rename = "wait_ms", serialize_with = "maybe_ms")]
        retry_after: Option<Duration>,
    },
    /// A pool that was [exhausted](Self::Exhausted) has served a request again.
    #[non_exhaustive]
    Available {
        /// The model, if keys were missing for one only.
        model: Option<ModelId>,
        /// How long no key was usable.
        #[serde(rename = "duration_ms", serialize_with = "ms")]
        after: Duration,
    },
    /// A quota is used up to a threshold.
    #[non_exhaustive]
    QuotaWarning {
        /// The key that told, or the one whose quota it is.
        key: Option<KeyId>,
        /// The account whose quota it is, if it is one's.
        account: Option<AccountId>,
        /// The model that it is for, if it is for one.
        model: Option<ModelId>,
        /// What it counts.
        dimension: Dimension,
        /// Over what time.
        window: Option<Window>,
        /// The share that is used, 1 for all of it.
        used: f64,
        /// The share that was declared worth a warning.
        threshold: f64,
        /// How much is left.
        remaining: Option<u64>,
        /// How much there is.
        limit: Option<u64>,
        /// When it is full again.
        resets_at: Option<Timestamp>,
    },
    /// A request failed at a provider, whichever keys it tried. In a chain the next link is asked.
    #[non_exhaustive]
    PoolFailed {
        /// The model, where it is known.
        model: Option<ModelId>,
        /// Why no more was tried, as [`GaveUp::as_str`](crate::GaveUp::as_str) has it.
        reason: &'static str,
        /// How many attempts the request had.
        attempts: usize,
        /// The true time until it is worth trying again.
        #[serde(rename = "wait_ms", serialize_with = "maybe_ms")]
        retry_after: Option<Duration>,
    },
    /// A response failed after it was handed to the caller, who has a part of it: nothing is sent again.
    #[non_exhaustive]
    StreamFailed {
        /// The key that served it; `None` if the link of the chain has no keys of this crate.
        key: Option<KeyId>,
        /// The model, where the request names one and its body is still there to be read.
        model: Option<ModelId>,
        /// Why, as [`StreamErrorKind::as_str`](crate::body::StreamErrorKind::as_str) has it.
        reason: &'static str,
    },
    /// A request goes on at another provider.
    #[non_exhaustive]
    FellOver {
        /// The link that was left, or skipped, last; the event's provider too.
        from: Arc<str>,
        /// The link that is asked now.
        to: Arc<str>,
        /// Why it was left: the [`Reason`] of a fault, or a word of
        /// [`LeftBecause::as_str`](crate::fallback::LeftBecause::as_str).
        reason: &'static str,
    },
    /// A provider failed too often, and is left alone for a while.
    #[non_exhaustive]
    BreakerOpened {
        /// For how long.
        #[serde(rename = "wait_ms", serialize_with = "ms")]
        wait: Duration,
    },
    /// A single request finds out if the provider is back.
    BreakerHalfOpen,
    /// The provider is back.
    BreakerClosed,
    /// No provider of a chain could serve a request.
    #[non_exhaustive]
    ChainFailed {
        /// How many links were asked or skipped.
        providers: usize,
        /// How many attempts the request had in all.
        attempts: usize,
        /// Whether its deadline ended it.
        deadline_passed: bool,
        /// The shortest true time until it is worth trying again.
        #[serde(rename = "wait_ms", serialize_with = "maybe_ms")]
        retry_after: Option<Duration>,
    },
    /// An operator freed a key.
    #[non_exhaustive]
    Reset {
        /// Which; `None`: all of the pool.
        key: Option<KeyId>,
    },
    /// An operator took a key out of use.
    #[non_exhaustive]
    Disabled {
        /// Which.
        key: KeyId,
    },
    /// An operator took a key into use again.
    #[non_exhaustive]
    Enabled {
        /// Which.
        key: KeyId,
    },
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// The provider served the request.
    Success,
    /// It refused it for what it says, which is the caller's fault.
    Rejected(Rejection),
    /// Something failed.
    Failed(Reason),
    /// Nobody waited for the answer: the caller went away, its body failed, or the deadline passed. The provider
    /// may have run the request all the same.
    Abandoned,
}

// === impl AttemptOutcome ===

impl AttemptOutcome {
    /// In one word: `success`, `request_error`, `abandoned`, or the reason of the fault.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Rejected(_) => "request_error",
            Self::Failed(reason) => reason.as_str(),
            Self::Abandoned => "abandoned",
        }
    }

    /// The word, unless it served.
    pub(super) fn error(self) -> Option<&'static str> {
        (self != Self::Success).then(|| self.as_str())
    }
}

impl From<&Verdict> for AttemptOutcome {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Success | Verdict::Inspect => Self::Success,
            Verdict::Rejected(rejection) => Self::Rejected(*rejection),
            Verdict::Fault(fault) => Self::Failed(fault.reason()),
        }
    }
}

impl Serialize for AttemptOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Whole milliseconds.
pub(super) fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn ms<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    whole_ms(*time).serialize(serializer)
}

fn maybe_ms<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(whole_ms).serialize(serializer)
}
