//! Detection of error responses whose reason lies in the account or the key.
//!
//! "Your credit balance is too low" holds for one account, independent of the request; another account may
//! serve the same request. A bare 401 or 403 does not say so: the request itself can be its cause. The
//! difference decides how many accounts a refused request still tries (see
//! [`Fault::account_reason`](crate::classify::Fault::account_reason)).
//!
//! Words are matched loosely here, because a wrong guess costs attempts and never puts a key into a cooldown.
//!
//! A 402 always counts as a reason in the account: the status means that payment is required.

use http::StatusCode;

use crate::classify::Reason;
use crate::classify::error_body::ErrorBody;

/// Phrases about money, quotas, plans, and keys that are no longer accepted. All are in lower case.
const WORDS: &[&str] = &[
    // Money and quotas.
    "credit",
    "billing",
    "balance",
    "payment",
    "prepaid",
    "top up",
    "recharge",
    "arrear",
    "overdue",
    "quota",
    "budget",
    "usage limit",
    "spend limit",
    "spending limit",
    "余额",
    "欠费",
    // Plans.
    "subscription",
    "upgrade",
    "your plan",
    "current plan",
    "free tier",
    "free trial",
    // Keys and accounts that are no longer accepted.
    "revoked",
    "deactivated",
    "suspended",
    "terminated",
    "account is disabled",
    "account has been disabled",
    "organization has been",
    "key expired",
    "key has expired",
    "token has expired",
    "invalid api key",
    "incorrect api key",
    "invalid x-api-key",
    "api key not valid",
    "invalid token",
];

/// Error names that only restate the status and give no reason in the account.
const GENERIC: &[&str] =
    &["authentication_error", "invalid_authentication_error", "UNAUTHENTICATED", "CREDENTIALS_MISSING"];

/// Returns whether the response itself names a reason in the account or the key.
pub(crate) fn is_named(status: StatusCode, body: &ErrorBody, reason: Reason) -> bool {
    let is_of_keys = matches!(reason, Reason::InvalidKey | Reason::Forbidden | Reason::QuotaExceeded);
    is_of_keys && (status.as_u16() == 402 || WORDS.iter().any(|words| body.says(words)))
}

/// Returns whether a name only restates the status.
pub(crate) fn is_generic(name: &str) -> bool {
    GENERIC.contains(&name)
}
