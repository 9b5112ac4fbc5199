//! Classification of error responses from public reports.
//!
//! No rule was written for these files: they measure how well the rules apply to unseen responses. The first
//! file was collected before the classification by meaning was written, the second after it. The floors are one
//! case below the measurement. A case with several readings is scored separately, and each of its readings
//! counts as right.
#![allow(clippy::unwrap_used)]

mod classify_support;
#[path = "support/recorded.rs"]
mod recorded;

use std::path::Path;

use recorded::{Case, Score, half, is_near, word};
use serde_json::Value;
use tower_key_rotation::classify::{Fault, Verdict};

#[test]
fn later_refusals_are_classified() {
    measure("seen_later.jsonl", [0.96, 0.9, 0.96, 0.9]);
}

#[test]
fn held_out_refusals_are_classified() {
    measure("held_back.jsonl", [0.93, 0.85, 0.93, 0.9]);
}

/// Prints the scores of a file, and checks them against the minimum shares of the verdict, the scope, the wait and
/// the cases with several readings.
fn measure(file: &str, least: [f64; 4]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports").join(file);
    let Some(cases) = recorded::cases(&path) else { return };
    let [mut verdict, mut scope, mut wait]: [Score; 3] = Default::default();
    let mut defended = Score::default();
    for case in &cases {
        let seen = case.read().verdict;
        if case.expected["ambiguous"] == true {
            defended.add(case, is_defended(case, &seen), seen.to_string());
            continue;
        }
        verdict.add(case, word(&seen) == case.expected["verdict"], seen.to_string());
        let points = half(case.expected["scope"].as_str().unwrap(), seen.scope().as_str());
        scope.add(case, points >= 1.0, seen.to_string());
        scope.points += if points < 1.0 { points } else { 0.0 };
        let waited = seen.fault().and_then(Fault::retry_after);
        wait.add(case, is_near(case.expected["wait_s"].as_f64(), waited), format!("{waited:?}"));
    }
    let scores = [("verdict", verdict), ("scope", scope), ("wait", wait), ("ambiguous", defended)];
    for ((name, score), least) in scores.into_iter().zip(least) {
        let Score { points, cases, missed } = score;
        eprintln!("{file}: {name}: {points} of {cases}\n{}\n", missed.join("\n"));
        assert!(points >= least * cases, "{name}: {points} of {cases}");
    }
}

/// Returns whether the verdict is one of the defensible ones.
fn is_defended(case: &Case, seen: &Verdict) -> bool {
    let others = case.expected["alternatives"].as_array().into_iter().flatten();
    std::iter::once(&case.expected["verdict"]).chain(others).any(|verdict: &Value| *verdict == word(seen))
}
