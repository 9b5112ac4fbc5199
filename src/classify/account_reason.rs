//! Whether a refusal names a reason that lies in the account or the key.
//!
//! "Your credit balance is too low" is true of one account, whatever was asked for, and another account may well
//! be served. A bare 401 or 403 says nothing of the kind: the request can be its cause. The difference decides how
//! far a request goes on after it was refused (see [`Fault::account_reason`](super::Fault::account_reason)), so
//! words are matched loosely here: a wrong guess costs attempts, and no key a cooldown.
//!
//! A 402 always names money, by the meaning of its status.

use super::Reason;
use super::answer::Answer;

/// Words about money, quotas, plans, and keys that are no longer accepted; in lower case.
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

/// Names that restate the status and say nothing of the account.
const GENERIC: &[&str] =
    &["authentication_error", "invalid_authentication_error", "UNAUTHENTICATED", "CREDENTIALS_MISSING"];

/// Whether the response itself names a reason in the account or the key.
pub(crate) fn is_named(answer: &Answer<'_>, reason: Reason) -> bool {
    let is_of_keys = matches!(reason, Reason::InvalidKey | Reason::Forbidden | Reason::QuotaExceeded);
    is_of_keys && (answer.status.as_u16() == 402 || WORDS.iter().any(|words| answer.body.says(words)))
}

/// Whether a name restates the status only.
pub(crate) fn is_generic(name: &str) -> bool {
    GENERIC.contains(&name)
}
