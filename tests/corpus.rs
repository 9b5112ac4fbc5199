//! Classification of recorded responses of real providers, if a collection of them is available.
//!
//! `TKR_CORPUS` names the file. The default is `../shared/corpus/dev.jsonl` beside the crate. The collection is not
//! part of the crate, and the test reports if it is missing.
#![allow(clippy::unwrap_used)]

mod classify_support;
#[path = "support/recorded.rs"]
mod recorded;

use std::path::PathBuf;

use recorded::{Score, half, is_near, word};
use serde_json::Value;
use tower_key_rotation::body::Usage;
use tower_key_rotation::classify::Fault;
use tower_key_rotation::provider::Limit;

#[test]
fn recorded_responses_are_classified() {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/dev.jsonl");
    let path = std::env::var_os("TKR_CORPUS").map_or_else(beside, PathBuf::from);
    let Some(cases) = recorded::cases(&path) else { return };
    let [mut verdict, mut scope, mut wait, mut limits, mut usage]: [Score; 5] = Default::default();
    for case in &cases {
        let seen = case.read();
        let expected = &case.expected;
        if expected["ambiguous"] != true {
            verdict.add(case, word(&seen.verdict) == expected["verdict"], seen.verdict.to_string());
            scope.points += half(expected["scope"].as_str().unwrap(), seen.verdict.scope().as_str());
            scope.cases += 1.0;
            let waited = seen.verdict.fault().and_then(Fault::retry_after);
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
        ("scope", scope, 1.0),
        ("wait", wait, 1.0),
        ("limits", limits, 0.95),
        ("usage", usage, 1.0),
    ] {
        let Score { points, cases, missed } = score;
        eprintln!("{name}: {points} of {cases}");
        assert!(points / cases >= least, "{name}: {points} of {cases}\n{}", missed.join("\n"));
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
