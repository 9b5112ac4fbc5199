//! Classification of responses from public reports, if a collection of them is available.
//!
//! `TKR_REPORTS` names the file. The default is `../shared/corpus/reports.jsonl` beside the crate. The
//! collection is not part of the crate, and the test reports if it is missing.
#![allow(clippy::unwrap_used)]

mod classify_support;
#[path = "support/recorded.rs"]
mod recorded;

use std::path::PathBuf;

use recorded::{Score, half, is_near, word};
use serde_json::Value;
use tower_key_rotation::classify::Fault;

#[test]
fn reported_responses_are_classified() {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/reports.jsonl");
    let path = std::env::var_os("TKR_REPORTS").map_or_else(beside, PathBuf::from);
    let Some(cases) = recorded::cases(&path) else { return };
    let [mut verdict, mut scope, mut wait]: [Score; 3] = Default::default();
    for case in &cases {
        let (seen, expected) = (case.read().verdict, &case.expected);
        let why = format!("{seen}, because of {:?}", seen.fault().and_then(Fault::why));
        if expected["ambiguous"] == true {
            eprintln!("ambiguous: {}: {why}, expected {}", case.id, expected["verdict"]);
            continue;
        }
        verdict.add(case, is_allowed(expected, word(&seen)), why.clone());
        let points = half(expected["scope"].as_str().unwrap(), seen.scope().as_str());
        scope.add(case, points >= 1.0, why);
        scope.points += if points < 1.0 { points } else { 0.0 };
        let waited = seen.fault().and_then(Fault::retry_after);
        wait.add(case, is_near(expected["wait_s"].as_f64(), waited), format!("{waited:?}"));
    }
    for (name, score, least) in [("verdict", verdict, 1.0), ("scope", scope, 0.95), ("wait", wait, 0.95)] {
        let Score { points, cases, missed } = score;
        eprintln!("{name}: {points} of {cases}\n{}", missed.join("\n"));
        assert!(points >= least * cases, "{name}: {points} of {cases}");
    }
}

fn is_allowed(expected: &Value, seen: &str) -> bool {
    let alternatives = expected["alternatives"].as_array().into_iter().flatten();
    std::iter::once(&expected["verdict"]).chain(alternatives).any(|allowed| allowed == seen)
}
