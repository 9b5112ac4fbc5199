//! Recorded responses of providers, one JSON object per line, and their classification.

#![allow(dead_code, clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::response::Parts;
use serde_json::Value;
use tower_key_rotation::Provider;
use tower_key_rotation::body::Usage;
use tower_key_rotation::body::sse::Decoder;
use tower_key_rotation::classify::{Outcome, Reason, Verdict};
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::provider::Limit;

use crate::classify_support::{ask, head, provider};

/// The classification of one case.
pub(crate) struct Seen {
    pub(crate) verdict: Verdict,
    pub(crate) limits: Vec<Limit>,
    pub(crate) usage: Option<Usage>,
}

pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) provider: Provider,
    pub(crate) head: Arc<Parts>,
    pub(crate) body: Bytes,
    pub(crate) expected: Value,
    pub(crate) now: Timestamp,
}

#[derive(Default)]
pub(crate) struct Score {
    pub(crate) points: f64,
    pub(crate) cases: f64,
    pub(crate) missed: Vec<String>,
}

/// Reads the cases of a file. `None`, with a message, if it is missing.
pub(crate) fn cases(path: &Path) -> Option<Vec<Case>> {
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: no recorded responses at {}", path.display());
        return None;
    };
    Some(text.lines().filter(|line| !line.is_empty()).map(Case::parse).collect())
}

impl Score {
    pub(crate) fn add(&mut self, case: &Case, good: bool, seen: String) {
        self.cases += 1.0;
        self.points += f64::from(u8::from(good));
        if !good {
            self.missed.push(format!("{}: {seen}, expected {}", case.id, case.expected));
        }
    }
}

impl Case {
    pub(crate) fn parse(line: &str) -> Self {
        let record: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| record[name].as_str().unwrap_or_default();
        let status = u16::try_from(record["status"].as_u64().unwrap()).unwrap();
        let pairs: Vec<_> = record["headers"].as_object().into_iter().flatten().collect();
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        let head = head(status, &pairs);
        let date =
            head.headers.get("date").map(|date| httpdate::parse_http_date(date.to_str().unwrap()).unwrap());
        let now = record["expected"]["now"]
            .as_str()
            .map(|now| SystemTime::from(now.parse::<jiff::Timestamp>().unwrap()));
        Self {
            id: text("id").to_owned(),
            provider: provider(text("provider")),
            body: match &record["body"] {
                Value::String(text) => Bytes::copy_from_slice(text.as_bytes()),
                document => Bytes::from(document.to_string()),
            },
            expected: record["expected"].clone(),
            now: now.or(date).map_or_else(Timestamp::now, Timestamp::from),
            head,
        }
    }

    pub(crate) fn read(&self) -> Seen {
        let start = self.body.trim_ascii_start();
        let is_stream = [&b"data:"[..], b"event:", b"id:", b":"].iter().any(|field| start.starts_with(field));
        if self.head.status.is_success() && is_stream {
            return self.read_stream();
        }
        let is_read = !self.head.status.is_success() || self.provider.errors_in_ok_bodies();
        let body = if is_read { self.body.clone() } else { Bytes::new() };
        let verdict = ask(&self.provider, Outcome::response(Arc::clone(&self.head), body, self.now));
        let served = verdict == Verdict::Success;
        Seen {
            limits: self.limits(if served { b"" } else { &self.body }),
            usage: self.provider.usage(&self.head.headers, &self.body).filter(|_| served),
            verdict,
        }
    }

    pub(crate) fn read_stream(&self) -> Seen {
        let mut seen = Seen { verdict: Verdict::Inspect, limits: self.limits(b""), usage: None };
        let mut decoder = Decoder::new();
        decoder.push(self.body.clone());
        while let Some(event) = decoder.next_event().unwrap().or_else(|| decoder.finish()) {
            if let Some(usage) = Usage::from_event(&event) {
                seen.usage.get_or_insert_default().merge(usage);
            }
            match ask(&self.provider, Outcome::streaming(Arc::clone(&self.head), Some(event), self.now)) {
                verdict @ (Verdict::Fault(_) | Verdict::Rejected(_)) => seen.verdict = verdict,
                verdict if seen.verdict == Verdict::Inspect => seen.verdict = verdict,
                _ => {}
            }
        }
        seen
    }

    pub(crate) fn limits(&self, body: &[u8]) -> Vec<Limit> {
        self.provider.limits(&self.head.headers, body, self.now)
    }
}

pub(crate) fn word(verdict: &Verdict) -> &'static str {
    match verdict.fault() {
        Some(fault) if fault.reason() == Reason::Blocked => "forbidden",
        _ => verdict.as_str(),
    }
}

/// A scope that is one step wider or narrower in the same family counts half.
pub(crate) fn half(expected: &str, seen: &str) -> f64 {
    let family = |scope: &str| scope.trim_end_matches("_model").to_owned();
    match () {
        () if expected == seen => 1.0,
        () if family(expected) == family(seen) => 0.5,
        () => 0.0,
    }
}

pub(crate) fn is_near(expected: Option<f64>, seen: Option<Duration>) -> bool {
    match (expected, seen.map(|seen| seen.as_secs_f64())) {
        (Some(expected), Some(seen)) => (expected - seen).abs() <= (expected * 0.02).max(1.0),
        (expected, seen) => expected.is_none() && seen.is_none(),
    }
}
