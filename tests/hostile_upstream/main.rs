//! A provider that sends any bytes, and cuts or stalls anywhere, before a chain. In every case the request ends
//! within its time limits, no truncated response ends cleanly, no response that may have been executed is paid
//! for twice, and the caller gets the bytes that were sent.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod case;
mod judge;
#[path = "../support/raw.rs"]
mod raw;
mod sockets;
mod stage;
mod wire;

use std::time::Duration;

use case::{Behind, Case, Kind};
use stage::{Got, Limits};
use tower_key_rotation::fallback::Commit;
use wire::Wire;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_promises_hold_for_every_fault() {
    let cases = Case::all();
    assert!(cases.len() > 1_000, "{} cases", cases.len());
    check(cases, usize::MAX).await;
}

#[tokio::test(start_paused = true)]
async fn the_promises_hold_at_any_pace() {
    let at_first = |case: &Case| case.behind == Behind::Well && case.commit == Commit::FirstContent;
    for pace in [1, 7] {
        check(Case::all().into_iter().filter(at_first).collect(), pace).await;
    }
}

/// The faults that involve the kernel, each over a connection of its own.
#[tokio::test]
async fn the_promises_hold_over_sockets() {
    let faults = Case::all().into_iter().filter(|case| {
        let framed = matches!(case.kind, Kind::StreamInChunks | Kind::JsonToClose);
        framed && case.behind == Behind::Well && case.commit == Commit::FirstContent
    });
    let (cases, tried): (Vec<_>, Vec<_>) = faults.map(|case| (case, sockets::run(case))).unzip();
    let tried = futures_util::future::join_all(tried).await;
    show(cases.into_iter().zip(tried).collect(), "over sockets");
}

/// Tries all cases in memory.
async fn check(cases: Vec<Case>, pace: usize) {
    let limits = Limits { phase: SECOND, deadline: 5 * SECOND, slack: SECOND / 10 };
    let mut tried = Vec::new();
    for case in cases {
        let [first, second] = stage::scripts(case).map(|script| Wire::new(script, pace));
        let got = stage::run(case, limits, first.clone(), second.clone()).await;
        let got = got.map(|got| Got { calls: [first.calls(), second.calls()], ..got });
        tried.push((case, got.map(|got| (judge::faults(case, limits, &got), got))));
    }
    show(tried, &format!("{pace} bytes at a time"));
}

type Tried = Result<(Vec<String>, Got), String>;

/// Prints the failing cases as a table.
fn show(tried: Vec<(Case, Tried)>, how: &str) {
    let count = tried.len();
    let wrong: Vec<_> = tried
        .into_iter()
        .filter_map(|(case, tried)| match tried {
            Ok((wrong, _)) if wrong.is_empty() => None,
            Ok((wrong, got)) => {
                let Got { status, calls, took, broke, .. } = got;
                let wrong = wrong.join("; ");
                Some(format!("{case} {wrong}  [{} {calls:?} {took:?} {broke:?}]", status.as_u16()))
            }
            Err(why) => Some(format!("{case} {why}")),
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {count} cases, {how}:\n{}", wrong.len(), wrong.join("\n"));
}
