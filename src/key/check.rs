//! The last check of a key: when, and with which result.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::text::words;

/// The last check of a key. See [`KeyChecks`](crate::check::KeyChecks).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyCheck {
    /// The time at which the check ended.
    pub at: Timestamp,
    /// The result.
    pub result: CheckResult,
    /// The status of the response that decided. `None` if there was no response.
    pub status: Option<u16>,
}

/// The result of a check of a key.
///
/// Only [`Valid`](Self::Valid) and [`Invalid`](Self::Invalid) say something about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckResult {
    /// The provider served a call that it serves with a valid key only.
    Valid,
    /// The provider refused the key, twice. The key is out of use until it is replaced, reset, or valid in a check.
    Invalid,
    /// The provider serves the call without a key, too, so it proves nothing.
    OpenList,
    /// The provider is not known to have a free call that proves a key, or does not serve it.
    NoCall,
    /// The key may not make the call.
    Forbidden,
    /// The quota or balance is used up.
    QuotaExceeded,
    /// Too many requests.
    RateLimited,
    /// The provider failed, or has no capacity.
    ServerError,
    /// No response arrived in time.
    Timeout,
    /// No connection could be made, the key may not be sent to the URL, or its source has no secret.
    Unreachable,
    /// The provider refused the key once, and did neither refuse nor serve it the second time.
    Unconfirmed,
}

words! {
    CheckResult {
        Valid => "valid",
        Invalid => "invalid",
        OpenList => "open_list",
        NoCall => "no_call",
        Forbidden => "forbidden",
        QuotaExceeded => "quota_exceeded",
        RateLimited => "rate_limited",
        ServerError => "server_error",
        Timeout => "timeout",
        Unreachable => "unreachable",
        Unconfirmed => "unconfirmed",
    }
}

// === impl KeyCheck ===

impl KeyCheck {
    pub(crate) const fn new(at: Timestamp, result: CheckResult, status: Option<u16>) -> Self {
        Self { at, result, status }
    }
}
