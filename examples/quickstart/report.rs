//! The report of the run, as a table or as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;
use tower::BoxError;
use tower_key_rotation::KeyPool;
use tower_key_rotation::pool::{KeySnapshot, KeyState};

use crate::load::Outcome;

/// The figures of the run.
#[derive(Serialize)]
pub(crate) struct Report {
    requests: u64,
    ok: u64,
    failed: u64,
    upstream_calls: u64,
    wasted_calls: u64,
    rotations: u64,
    p50_us: u128,
    p99_us: u128,
    keys: Vec<Key>,
    #[serde(skip)]
    last_error: Option<String>,
}

#[derive(Serialize)]
struct Key {
    id: String,
    state: KeyState,
    calls: u64,
    ok: u64,
    #[serde(skip)]
    until: String,
}

impl Report {
    pub(crate) fn new(outcome: &Outcome, pool: &KeyPool) -> Self {
        let snapshot = pool.snapshot();
        let keys = snapshot.keys.iter().map(|key| {
            let (state, until) = worst(key);
            let wait = until.map(|until| until.saturating_since(snapshot.at));
            Key {
                id: key.id.to_string(),
                state,
                calls: key.calls,
                ok: outcome.by_key.get(&key.id).copied().unwrap_or(0),
                until: wait.map_or_else(String::new, |wait| format!("{} s", wait.as_secs())),
            }
        });
        let mut latencies = outcome.latencies.clone();
        latencies.sort_unstable();
        let calls = snapshot.keys.iter().map(|key| key.calls).sum();
        Self {
            requests: outcome.ok + outcome.failed,
            ok: outcome.ok,
            failed: outcome.failed,
            upstream_calls: calls,
            wasted_calls: calls - outcome.ok.min(calls),
            rotations: outcome.rotations,
            p50_us: percentile(&latencies, 50).as_micros(),
            p99_us: percentile(&latencies, 99).as_micros(),
            keys: keys.collect(),
            last_error: outcome.last_error.clone(),
        }
    }

    /// Sets the provider's own counts.
    pub(crate) fn upstream(mut self, calls: u64, wasted: u64) -> Self {
        self.upstream_calls = calls;
        self.wasted_calls = wasted;
        self
    }

    pub(crate) fn json(&self) -> Result<String, BoxError> {
        Ok(serde_json::to_string(self)?)
    }

    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(["key", "calls", "ok", "state", "until"]);
        for key in &self.keys {
            let until = key.until.clone();
            table.add_row([
                key.id.clone(),
                key.calls.to_string(),
                key.ok.to_string(),
                key.state.to_string(),
                until,
            ]);
        }
        let mut out = format!(
            "{table}\n{} requests: {} ok, {} failed; {} upstream calls, {} wasted; {} rotations; \
             p50 {:.1} ms, p99 {:.1} ms",
            self.requests,
            self.ok,
            self.failed,
            self.upstream_calls,
            self.wasted_calls,
            self.rotations,
            self.p50_us as f64 / 1_000.0,
            self.p99_us as f64 / 1_000.0,
        );
        if let Some(error) = &self.last_error {
            let _infallible = write!(out, "\nlast error: {error}");
        }
        out
    }
}

/// Returns the state that keeps the key from being used, for all models or for the one that was requested,
/// and its end.
fn worst(key: &KeySnapshot) -> (KeyState, Option<tower_key_rotation::clock::Timestamp>) {
    match key.models.first() {
        Some(model) if key.state == KeyState::Available => (model.state, model.until),
        _ => (key.state, key.until),
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}
