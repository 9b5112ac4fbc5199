//! The crate against recorded responses of real providers, where a collection of them is at hand.
//!
//! `TKR_CORPUS` names the file; without it, `../shared/corpus/dev.jsonl` beside the crate is used. The
//! collection is not part of the crate, and the test says so when it is missing.
#![allow(clippy::unwrap_used)]

mod classify_support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use classify_support::{ask, head, provider};
use http::response::Parts;
use serde_json::Value;
use tower_key_rotation::Provider;
use tower_key_rotation::body::meter::Usage;
use tower_key_rotation::body::sse::Decoder;
use tower_key_rotation::classify::{Fault, Outcome, Reason, Verdict};
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::provider::Limit;

/// What the crate says of one case.
struct Seen {
    verdict: Verdict,
    limits: Vec<Limit>,
    usage: Option<Usage>,
}

struct Case {
    id: String,
    provider: Provider,
    head: Arc<Parts>,
    body: Bytes,
    expected: Value,
    now: Timestamp,
}

#[derive(Default)]
struct Score {
    points: f64,
    cases: f64,
    missed: Vec<String>,
}

#[test]
fn recorded_responses_are_read_as_they_were_meant() {
    let Some(cases) = cases() else { return };
    let [mut verdict, mut scope, mut wait, mut limits, mut usage]: [Score; 5] = Default::default();
    for case in &cases {
        let seen = case.read();
        let expected = &case.expected;
        if expected["ambiguous"] != true {
            verdict.add(case, word(&seen.verdict) == expected["verdict"], seen.verdict.to_string());
            scope.points += half(expected["scope"].as_str().unwrap(), seen.verdict.scope().as_str());
            scope.cases += 1.0;
            let waited = seen.verdict.fault().and_then(Fault::wait);
            wait.add(case, is_near(expected["wait_s"].as_f64(), waited), format!("{waited:?}"));
        }
        for limit in expected["limits"].as_array().into_iter().flatten() {
            let known = seen.limits.iter().any(|seen| is_limit(limit, seen));
            limits.add(case, known, format!("{limit} in {:?}", seen.limits));
        }
        if expected["usage"].is_object() {
            usage.add(case, is_usage(&expected["usage"], seen.usage), format!("{:?}", seen.usage));
        }
    }
    for (name, score, least) in [
        ("verdict", verdict, 1.0),
        ("scope", scope, 0.95),
        ("wait", wait, 0.95),
        ("limits", limits, 0.95),
        ("usage", usage, 1.0),
    ] {
        let Score { points, cases, missed } = score;
        eprintln!("{name}: {points} of {cases}");
        assert!(points / cases >= least, "{name}: {points} of {cases}\n{}", missed.join("\n"));
    }
}

fn cases() -> Option<Vec<Case>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/dev.jsonl");
    let path = std::env::var_os("TKR_CORPUS").map_or_else(beside, PathBuf::from);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: no recorded responses at {}", path.display());
        return None;
    };
    Some(text.lines().filter(|line| !line.is_empty()).map(Case::parse).collect())
}

impl Score {
    fn add(&mut self, case: &Case, good: bool, seen: String) {
        self.cases += 1.0;
        self.points += f64::from(u8::from(good));
        if !good {
            self.missed.push(format!("{}: {seen}, expected {}", case.id, case.expected));
        }
    }
}

impl Case {
    fn parse(line: &str) -> Self {
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
            body: Bytes::copy_from_slice(text("body").as_bytes()),
            expected: record["expected"].clone(),
            now: now.or(date).map_or_else(Timestamp::now, Timestamp::from),
            head,
        }
    }

    fn read(&self) -> Seen {
        let start = self.body.trim_ascii_start();
        let is_stream = [&b"data:"[..], b"event:", b":"].iter().any(|field| start.starts_with(field));
        if self.head.status.is_success() && is_stream {
            return self.read_stream();
        }
        let is_read = !self.head.status.is_success() || self.provider.errors_in_ok_bodies();
        let body = if is_read { self.body.clone() } else { Bytes::new() };
        let verdict = ask(&self.provider, Outcome::answer(Arc::clone(&self.head), body, self.now));
        let served = verdict == Verdict::Success;
        Seen {
            limits: self.limits(if served { b"" } else { &self.body }),
            usage: self.provider.usage(&self.head.headers, &self.body).filter(|_| served),
            verdict,
        }
    }

    fn read_stream(&self) -> Seen {
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

    fn limits(&self, body: &[u8]) -> Vec<Limit> {
        self.provider.limits(&self.head.headers, body, self.now)
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict.fault() {
        Some(fault) if fault.reason() == Reason::Blocked => "forbidden",
        _ => verdict.as_str(),
    }
}

/// One step wider or narrower in the same family counts half.
fn half(expected: &str, seen: &str) -> f64 {
    let family = |scope: &str| scope.trim_end_matches("_model").to_owned();
    match () {
        () if expected == seen => 1.0,
        () if family(expected) == family(seen) => 0.5,
        () => 0.0,
    }
}

fn is_near(expected: Option<f64>, seen: Option<Duration>) -> bool {
    match (expected, seen.map(|seen| seen.as_secs_f64())) {
        (Some(expected), Some(seen)) => (expected - seen).abs() <= (expected * 0.02).max(1.0),
        (expected, seen) => expected.is_none() && seen.is_none(),
    }
}

fn is_limit(expected: &Value, seen: &Limit) -> bool {
    expected["dimension"] == seen.dimension.as_str()
        && expected["limit"].as_u64() == seen.limit
        && expected["remaining"].as_u64() == seen.remaining
        && expected["window"].as_str().map(str::to_owned) == seen.window.map(|window| window.to_string())
}

fn is_usage(expected: &Value, seen: Option<Usage>) -> bool {
    seen.is_some_and(|seen| {
        expected["input_tokens"].as_u64() == seen.input_tokens
            && expected["output_tokens"].as_u64() == seen.output_tokens
            && expected["total_tokens"].as_u64() == seen.total_tokens
    })
}
