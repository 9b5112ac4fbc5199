//! Shared helpers for the tests of the classifiers: an error response in one line, a verdict in another.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tower_key_rotation::Provider;
use tower_key_rotation::body::sse::{Decoder, Event};
use tower_key_rotation::classify::{Outcome, Rejection, Verdict};
use tower_key_rotation::clock::Timestamp;
use tower_service::Service;

/// 2026-03-31T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_ms(1_774_915_200_000);

pub(crate) fn provider(name: &str) -> Provider {
    Provider::preset(name).unwrap_or_else(|| Provider::compatible(name.to_owned()))
}

pub(crate) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

pub(crate) fn head(status: u16, pairs: &[(&str, &str)]) -> Arc<Parts> {
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = StatusCode::from_u16(status).unwrap();
    head.headers = headers(pairs);
    Arc::new(head)
}

pub(crate) fn ask(provider: &Provider, outcome: Outcome) -> Verdict {
    provider.classifier().call(outcome).into_inner().unwrap()
}

/// Classifies an error response with headers.
pub(crate) fn judge_with(name: &str, status: u16, pairs: &[(&str, &str)], body: &str) -> String {
    let body = Bytes::copy_from_slice(body.as_bytes());
    say(&ask(&provider(name), Outcome::response(head(status, pairs), body, NOW)))
}

/// Classifies an error response, and returns `reason scope wait` or `rejected KIND`.
pub(crate) fn judge(name: &str, status: u16, body: &str) -> String {
    judge_with(name, status, &[], body)
}

/// Classifies one event of a 200, whose `retry-after` is no cooldown.
pub(crate) fn event(name: &str, kind: &'static str, data: &str) -> String {
    let event = Event::new(kind, Bytes::copy_from_slice(data.as_bytes()));
    say(&ask(&provider(name), Outcome::streaming(head(200, &[("retry-after", "53")]), Some(event), NOW)))
}

/// Returns the verdicts on all events of a stream.
pub(crate) fn stream(name: &str, body: &'static str) -> Vec<String> {
    let mut decoder = Decoder::new();
    decoder.push(Bytes::from_static(body.as_bytes()));
    let mut verdicts = Vec::new();
    while let Some(event) = decoder.next_event().unwrap() {
        verdicts.push(say(&ask(&provider(name), Outcome::streaming(head(200, &[]), Some(event), NOW))));
    }
    verdicts
}

pub(crate) fn say(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Fault(fault) => {
            let mut text = format!("{} {}", fault.reason(), fault.scope());
            if let Some(wait) = fault.retry_after() {
                text += &format!(" {}s", seconds(wait));
            }
            if fault.may_have_run() {
                text += " perhaps";
            }
            text
        }
        Verdict::Rejected(Rejection::ContentFilter) => "rejected content".into(),
        Verdict::Rejected(Rejection::ContextLength) => "rejected context".into(),
        Verdict::Rejected(Rejection::TooLarge) => "rejected size".into(),
        Verdict::Rejected(_) => "rejected".into(),
        other => other.as_str().into(),
    }
}

fn seconds(wait: Duration) -> f64 {
    (wait.as_secs_f64() * 1e3).round() / 1e3
}
