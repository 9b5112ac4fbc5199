//! The crate against refusals that people pasted into public reports.
//!
//! The file was collected after the rules were written, and no rule was written for it: it tells how well the
//! rules carry to what they have not seen. The floors are the first measurement. A case that can be read in
//! several ways is scored apart: each of its readings is right.
#![allow(clippy::unwrap_used)]

mod classify_support;
#[path = "support/recorded.rs"]
mod recorded;

use std::path::Path;

use recorded::{Case, Score, half, is_near, word};
use serde_json::Value;
use tower_key_rotation::classify::{Fault, Verdict};

#[test]
fn refusals_seen_later_are_read_well() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/seen_later.jsonl");
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
        let waited = seen.fault().and_then(Fault::wait);
        wait.add(case, is_near(case.expected["wait_s"].as_f64(), waited), format!("{waited:?}"));
    }
    for (name, score, least) in [
        ("verdict", verdict, 0.86),
        ("scope", scope, 0.8),
        ("wait", wait, 0.9),
        ("ambiguous", defended, 0.94),
    ] {
        let Score { points, cases, missed } = score;
        eprintln!("{name}: {points} of {cases}\n{}\n", missed.join("\n"));
        assert!(points >= least * cases, "{name}: {points} of {cases}");
    }
}

/// Whether the verdict is one of those that can be defended.
fn is_defended(case: &Case, seen: &Verdict) -> bool {
    let others = case.expected["alternatives"].as_array().into_iter().flatten();
    std::iter::once(&case.expected["verdict"]).chain(others).any(|verdict: &Value| *verdict == word(seen))
}
