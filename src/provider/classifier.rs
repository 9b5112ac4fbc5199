//! The classifier of a provider: from an outcome to a verdict.
//!
//! The [rules of the operator](Provider::rule) come first. A response for which none of them holds is classified
//! by what is built in. An error response goes through these steps, the most reliable first:
//!
//! 1. The form of the response: failures of a proxy or CDN in front of the provider blame no key.
//! 2. The numbers in its message: a request larger than the limit never passes.
//! 3. The rules of the provider for names and words.
//! 4. The names that mean the same at every provider.
//! 5. The [meaning](crate::classify::Reading) of its names and sentences.
//! 6. The rules of the provider for bare statuses, and the status.
//!
//! Whatever decided, a rate limit with a stated wait of an hour or more is a used-up quota.
//!
//! An error inside a 200 goes through steps 2 to 6, with the status that it claims or that its names usually
//! have. It is classified without the headers, which belong to the 200: a `retry-after` there is no cooldown.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tower_service::Service;

use crate::body::meter::{Progress, progress};
use crate::body::sse::Event;
use crate::classify::error_body::ErrorBody;
use crate::classify::response::UpstreamResponse;
use crate::classify::{
    Fault, Outcome, Reason, Rejection, Scope, Transport, Verdict, Why, by_meaning, by_status, rules,
};
use crate::clock::Timestamp;
use crate::provider::dialect::Dialect;
use crate::provider::explanation::{DecidedBy, Explanation, TableRow};
use crate::provider::rule::Seen;
use crate::provider::{Provider, limits};
use crate::zone::Zone;

/// The built-in classifier of a [`Provider`], a [`Classify`](crate::classify::Classify) service. Created by
/// [`Provider::classifier`].
#[derive(Clone, Debug)]
pub struct ProviderClassifier {
    provider: Provider,
}

/// Statuses by error name, the more specific first: Anthropic's OpenAI-compatible endpoint sends code
/// `rate_limit_error` and type `invalid_request_error` at once.
const STATUS_OF: [(u16, &[&str]); 9] = [
    (529, &["overloaded_error"]),
    (503, &["server_is_overloaded", "UNAVAILABLE", "serviceUnavailableException", "slow_down"]),
    (
        429,
        &[
            "rate_limit_error",
            "rate_limit_exceeded",
            "insufficient_quota",
            "RESOURCE_EXHAUSTED",
            "throttlingException",
            "too_many_requests_error",
            "rate_limit_reached_error",
        ],
    ),
    (504, &["timeout_error", "DEADLINE_EXCEEDED"]),
    (401, &["authentication_error", "invalid_api_key", "UNAUTHENTICATED"]),
    (402, &["billing_error"]),
    (403, &["permission_error", "PERMISSION_DENIED"]),
    (404, &["not_found_error", "NOT_FOUND"]),
    (400, &["invalid_request_error", "INVALID_ARGUMENT", "validationException", "request_too_large"]),
];

// === impl ProviderClassifier ===

impl ProviderClassifier {
    pub(super) const fn new(provider: Provider) -> Self {
        Self { provider }
    }

    /// Classifies an outcome, and says what decided.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http::Response;
    /// use tower_key_rotation::Provider;
    /// use tower_key_rotation::classify::Outcome;
    /// use tower_key_rotation::clock::Timestamp;
    ///
    /// let (head, ()) = Response::builder().status(402).body(())?.into_parts();
    /// let outcome = Outcome::response(head, Bytes::new(), Timestamp::now());
    /// let explanation = Provider::openai().classifier().explain(&outcome);
    /// assert_eq!(explanation.by.to_string(), "status");
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn explain(&self, outcome: &Outcome) -> Explanation {
        let (Some(status), Some(headers)) = (outcome.status(), outcome.headers()) else {
            return by(DecidedBy::NoResponse, by_transport(outcome.error().unwrap_or(Transport::Broken)));
        };
        let body = outcome.event().map_or_else(|| outcome.body(), Event::data);
        let seen = Seen { status, headers, path: outcome.path(), body, is_error: is_error(status) };
        if seen.is_error {
            return self.refused(seen, outcome.now());
        }
        if outcome.is_stream_end() {
            return by(DecidedBy::Stream, Fault::new(Reason::Truncated, Scope::Provider));
        }
        match outcome.event() {
            Some(event) => self.streamed(seen, event, outcome.now()),
            None => self.served(seen, outcome.now()),
        }
    }

    fn dialect(&self) -> &'static Dialect {
        self.provider.0.dialect
    }

    fn refused(&self, seen: Seen<'_>, now: Timestamp) -> Explanation {
        let dialect = self.dialect();
        let mut response = UpstreamResponse::new(seen.status, seen.headers, seen.body, now);
        let mut found = limits::in_headers(dialect.windows, response.headers, response.now);
        limits::merge(&mut found, limits::in_body(&response.body, response.now));
        response.reset = dialect.exhausted_reset(&found);
        response.utc_offset = dialect.utc_offset;
        if lacks_scope(&response) {
            response.add_name("insufficient_scope");
        }
        self.by_own_rule(&seen, &response)
            .or_else(|| Some(by(DecidedBy::Edge, by_status::edge(&response)?)))
            .unwrap_or_else(|| judge(dialect, response))
    }

    fn streamed(&self, seen: Seen<'_>, event: &Event, now: Timestamp) -> Explanation {
        let verdict = match progress(event) {
            Progress::Failed => return self.in_band(seen, event.status(), now),
            Progress::Preamble => by(DecidedBy::Served, Verdict::Inspect),
            Progress::Content | Progress::End => by(DecidedBy::Served, Verdict::Success),
            Progress::Malformed => by(DecidedBy::Stream, Fault::new(Reason::Truncated, Scope::Provider)),
        };
        self.success_by_own_rule(seen, now).unwrap_or(verdict)
    }

    fn served(&self, seen: Seen<'_>, now: Timestamp) -> Explanation {
        if self.provider.errors_in_ok_bodies() && says_error(&ErrorBody::parse(seen.body)) {
            return self.in_band(seen, None, now);
        }
        self.success_by_own_rule(seen, now).unwrap_or_else(|| by(DecidedBy::Served, Verdict::Success))
    }

    /// Classifies an error inside a 200. `status` is the one beside it in the stream.
    fn in_band(&self, seen: Seen<'_>, status: Option<u16>, now: Timestamp) -> Explanation {
        let headers = HeaderMap::new();
        let mut response = UpstreamResponse::new(StatusCode::INTERNAL_SERVER_ERROR, &headers, seen.body, now);
        let status =
            status.or_else(|| status_in_band(&response)).and_then(|status| StatusCode::from_u16(status).ok());
        response.status = status.unwrap_or(response.status);
        response.utc_offset = self.dialect().utc_offset;
        let seen = Seen { is_error: true, ..seen };
        self.by_own_rule(&seen, &response).unwrap_or_else(|| judge(self.dialect(), response))
    }

    /// Returns the verdict of the operator about a response that is no error. A `retry-after` there is no
    /// cooldown.
    fn success_by_own_rule(&self, seen: Seen<'_>, now: Timestamp) -> Option<Explanation> {
        if self.provider.rules().is_empty() {
            return None;
        }
        let headers = HeaderMap::new();
        self.by_own_rule(&seen, &UpstreamResponse::new(seen.status, &headers, seen.body, now))
    }

    /// Returns the verdict of the first rule of the operator that holds.
    fn by_own_rule(&self, seen: &Seen<'_>, response: &UpstreamResponse<'_>) -> Option<Explanation> {
        let rules = self.provider.rules();
        let (index, rule) = (0..).zip(rules).find(|(_, rule)| rule.holds(seen, response))?;
        let midnight = if self.provider.has_pacific_days() { Zone::pacific() } else { Zone::utc() };
        Some(by(DecidedBy::OwnRule(index), rule.verdict(response, index, midnight)))
    }
}

impl Service<Outcome> for ProviderClassifier {
    type Response = Verdict;
    type Error = Infallible;
    type Future = Ready<Result<Verdict, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, outcome: Outcome) -> Self::Future {
        ready(Ok(self.explain(&outcome).verdict))
    }
}

fn by_transport(transport: Transport) -> Verdict {
    let reason = match transport {
        Transport::Unsent | Transport::Broken => Reason::Unreachable,
        Transport::Timeout => Reason::Timeout,
    };
    Fault::new(reason, Scope::Provider).with_may_have_run(transport != Transport::Unsent).into()
}

fn by(step: DecidedBy, verdict: impl Into<Verdict>) -> Explanation {
    Explanation { verdict: verdict.into(), by: step }
}

/// Returns whether a status is that of an error. A switch of protocols is what the request asked for.
fn is_error(status: StatusCode) -> bool {
    !status.is_success() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// Returns whether the challenge of a response says that the key lacks a scope (RFC 6750, section 3.1).
fn lacks_scope(response: &UpstreamResponse<'_>) -> bool {
    response.header("www-authenticate").is_some_and(|challenge| challenge.contains("\"insufficient_scope\""))
}

/// Goes through the built-in steps.
fn judge(dialect: &'static Dialect, mut response: UpstreamResponse<'_>) -> Explanation {
    let by_rule = by_numbers(&response)
        .map(|verdict| by(DecidedBy::Numbers, verdict))
        .or_else(|| Some(by(DecidedBy::Provider, (dialect.judge)(&mut response)?.with_why(Why::Rule))))
        .or_else(|| rules::judge(dialect.rules, &response).map(by_row));
    let by_status = || match rules::judge_status(dialect.rules, &response) {
        Some(judged) => by_row(judged),
        None => by(DecidedBy::Status, by_status::by_status(&response)),
    };
    let found = by_rule
        .or_else(|| Some(by(DecidedBy::Edge, by_status::edge(&response)?)))
        .or_else(|| {
            let (verdict, row) = by_status::by_name(&response)?;
            Some(by(DecidedBy::SharedRow(TableRow(row)), verdict))
        })
        .or_else(|| {
            let verdict = by_meaning::judge(&response, || by_status().verdict)?;
            Some(by(DecidedBy::Meaning(verdict.fault().and_then(Fault::why)), verdict))
        })
        .unwrap_or_else(by_status);
    let verdict = by_meaning::by_wait(found.verdict, &response);
    let is_by_wait = verdict.fault().and_then(Fault::why) == Some(Why::Wait);
    by(if is_by_wait { DecidedBy::Wait } else { found.by }, verdict)
}

fn by_row((verdict, row): (Verdict, &'static rules::Rule)) -> Explanation {
    by(DecidedBy::Row(TableRow(row)), verdict)
}

/// Classifies an error by the numbers in its message.
///
/// A limit of zero, or one that the request itself exceeds, never clears. In the latter case a wait in the
/// same message is wrong.
fn by_numbers(response: &UpstreamResponse<'_>) -> Option<Verdict> {
    if !matches!(response.status.as_u16(), 413 | 429) {
        return None;
    }
    let stated = limits::stated(response.body.message());
    if stated.can_never_pass() {
        return Some(Verdict::Rejected(Rejection::TooLarge));
    }
    let forbidden = || response.fault(Reason::Forbidden, Scope::AccountModel).with_why(Why::Numbers);
    (stated.limit == Some(0)).then(forbidden)
}

/// Returns whether the body of a 200 is an error: it has an error member, a status other than zero in
/// `base_resp`, or a message as its only member.
pub(crate) fn says_error(body: &ErrorBody) -> bool {
    let is_error = |at: &str| {
        body.at(at)
            .is_some_and(|error| error.is_object() || error.as_str().is_some_and(|text| !text.is_empty()))
    };
    let status = body.at("/base_resp/status_code").and_then(Value::as_i64).unwrap_or_default();
    let only_message = body.root().as_object().is_some_and(|members| {
        members.len() == 1 && members.keys().all(|name| name.eq_ignore_ascii_case("message"))
    });
    is_error("/error") || is_error("/choices/0/error") || status != 0 || only_message
}

/// Returns the status that an error claims, or that one with its names or its meaning usually has.
fn status_in_band(response: &UpstreamResponse<'_>) -> Option<u16> {
    let by_name = || {
        let named = |names: &[&str]| names.iter().any(|name| response.body.is_named(name));
        STATUS_OF.iter().find(|(_, names)| named(names)).map(|(status, _)| *status)
    };
    response.body.claimed_status().or_else(by_name).or_else(|| response.reading().usual_status())
}
