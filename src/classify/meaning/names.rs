//! Error names: codes, types and reasons.
//!
//! A name is read like a sentence after it was split into words: `AccountOverdueError` is read as *account
//! overdue error*, `Throttling.AllocationQuota` as *throttling allocation quota*. So most new names need no
//! row of their own. The rows here are for names that say more than their words would in a sentence.

use crate::classify::meaning::topic::Topic::{
    Access, Capacity, Closed, Content, Denied, Key, Missing, Money, Quota, Rate, Request, Upstream, Window,
};
use crate::classify::meaning::topic::{Row, name};

pub(super) const TABLE: &[Row] = &[
    name(
        Money,
        &[&[
            "credits error",
            "billing error",
            "payment required",
            "not enough balance",
            "no credit",
            "out of credit",
            "account overdue",
            "account arrear",
            "pre consume token quota failed",
            "balance",
            "bill overdue",
        ]],
    ),
    name(
        Window,
        &[&[
            "usage limit",
            "monthly limit",
            "weekly limit",
            "daily limit",
            "hourly limit",
            "weekly rate limit",
            "weekly rate limited",
            "daily rate limit",
            "daily rate limited",
            "monthly rate limit",
            "monthly rate limited",
            "session limit",
            "monthly request count",
            "usage not included",
            "free tier only",
            "free used",
            "premium request",
            "spend limit",
            "plan limit",
            "subscription limit",
            "free usage limit",
            "set limit exceeded",
        ]],
    ),
    name(Quota, &[&["no quota", "out of quota", "over quota"]]),
    name(Rate, &[&["throttling", "throttled", "burst", "concurrency", "rpm", "tpm", "qps"]]),
    name(
        Capacity,
        &[&[
            "no capacity",
            "failover exhausted",
            "no available channel",
            "server overloaded",
            "model busy",
            "no available provider",
            "capacity",
            "degraded",
            "engine overloaded",
        ]],
    ),
    name(Upstream, &[&["upstream", "bad response status code", "failover"]]),
    name(
        Access,
        &[&[
            "model not open",
            "not open",
            "unpurchased",
            "not purchased",
            "not subscribed",
            "no available model endpoint",
            "model access denied",
            "access not granted",
            "subscription required",
            "requires subscription",
            "plan required",
            "upgrade required",
            "feature not available",
            "model not allowed",
            "not activated",
            "not entitled",
            "verification required",
            "org verification",
            "terms not accepted",
            "model not enabled",
            "plan not supported",
            "model not available for plan",
            "forbidden feature",
            "no access",
        ]],
    ),
    name(Denied, &[&["access denied"]]),
    name(
        Key,
        &[&[
            "invalid api key",
            "invalid key",
            "key expired",
            "api key expired",
            "token expired",
            "token invalidated",
            "token revoked",
            "invalid token",
            "key disabled",
            "key revoked",
            "invalid credential",
        ]],
    ),
    name(
        Closed,
        &[&[
            "account deactivated",
            "deactivated workspace",
            "account suspended",
            "account disabled",
            "account banned",
            "organization disabled",
            "organization restricted",
            "user banned",
            "user disabled",
            "account locked",
        ]],
    ),
    name(Missing, &[&["not found", "not exist", "unknown model", "model error", "model not supported"]]),
    name(
        Request,
        &[&[
            "invalid parameter",
            "invalid argument",
            "invalid value",
            "unsupported parameter",
            "unsupported value",
            "unknown parameter",
            "missing parameter",
            "missing required parameter",
            "context length",
            "invalid type",
            "validation",
            "invalid json",
            "invalid image",
            "string above max length",
            "invalid schema",
            "invalid function",
            "parse error",
            "tool use failed",
            "json validate failed",
            "bad parameter",
        ]],
    ),
    name(
        Content,
        &[&["content filter", "content policy", "data inspection", "moderation", "sensitive content"]],
    ),
];

/// Names, in words, that only restate the status or the kind of document. They are no evidence.
const GENERIC: &[&str] = &[
    "access denied error",
    "api error",
    "authentication error",
    "bad request",
    "bad request error",
    "client error",
    "conflict",
    "credentials missing",
    "error",
    "failed precondition",
    "fail",
    "failed",
    "forbidden",
    "forbidden error",
    "gateway error",
    "gateway timeout",
    "internal",
    "internal error",
    "internal server error",
    "invalid argument",
    "invalid authentication error",
    "invalid request",
    "invalid request error",
    "new api error",
    "not found",
    "not found error",
    "permission denied",
    "permission error",
    "permission denied error",
    "rate limit",
    "rate limit error",
    "rate limit exceeded",
    "rate limit exceeded error",
    "rate limit reached",
    "rate limited",
    "rate limit reached error",
    "request error",
    "requests",
    "resource exhausted",
    "resource not found",
    "resource not found exception",
    "server error",
    "service unavailable",
    "timeout",
    "tokens",
    "too many requests",
    "too many requests error",
    "unauthenticated",
    "unauthorized",
    "unauthorized error",
    "unavailable",
    "unknown",
    "unknown error",
    "v api error",
    "access denied",
    "access denied exception",
    "validation exception",
    "invalid parameter error",
    "not allowed",
    "payment required",
    "payment required error",
    "access terminated error",
    "failed_precondition",
];

/// Returns whether a name, in words, only restates the status.
pub(super) fn is_generic(words: &str) -> bool {
    GENERIC.contains(&words)
}

/// Returns whether a name only restates the status.
pub(crate) fn is_generic_name(name: &str) -> bool {
    is_generic(&words_of(name))
}

/// Splits a name into words in lower case: at underscores, dots, other punctuation, and at the humps of camel
/// case.
pub(super) fn words_of(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    let (mut before, mut rest) = (' ', name.chars().peekable());
    while let Some(letter) = rest.next() {
        let next_is_lower = rest.peek().is_some_and(|next| next.is_lowercase());
        let is_hump = letter.is_uppercase() && (!before.is_uppercase() || next_is_lower);
        let is_letter = letter.is_alphanumeric() || letter == '\'';
        if (!is_letter || is_hump) && !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
        if is_letter {
            words.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.truncate(words.trim_end().len());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_into_words() {
        for (name, words) in [
            ("insufficient_user_quota", "insufficient user quota"),
            ("AccountOverdueError", "account overdue error"),
            ("Throttling.AllocationQuota", "throttling allocation quota"),
            ("RESOURCE_EXHAUSTED", "resource exhausted"),
            ("GoUsageLimitError", "go usage limit error"),
            ("APIKeyExpired", "api key expired"),
            ("Too Many Requests", "too many requests"),
            ("__", ""),
        ] {
            assert_eq!(words_of(name), words, "{name}");
        }
    }
}
