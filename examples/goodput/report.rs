//! The report of all cases, as a table or as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;

use crate::cases::Case;
use crate::measure::Run;

/// The figures of one case, as explained at the top of `main.rs`.
#[derive(Serialize)]
pub(crate) struct Figures {
    case: String,
    offered: u64,
    capacity: f64,
    ok: u64,
    failed: u64,
    upstream_calls: u64,
    wasted_calls: u64,
    utilisation: f64,
    /// Length of the window in seconds.
    seconds: f64,
    /// Median time from the moment at which a request was due to its response, for requests that were served.
    p50_ms: f64,
    p99_ms: f64,
    /// Largest delay of the generator.
    late_ms: f64,
    #[serde(skip)]
    about: &'static str,
    #[serde(skip)]
    last_error: Option<String>,
}

// === impl Figures ===

impl Figures {
    pub(crate) fn of(case: &Case, run: &Run) -> Self {
        let (start, end) = &run.window;
        let answers = || run.answers.iter();
        let offered = || answers().filter(|answer| run.counts(answer.due));
        let done = || answers().filter(|answer| run.counts(answer.done));
        let ok = || done().filter(|answer| answer.result.is_ok());
        let cost = |answer| case.cost(answer);
        let mean = offered().map(cost).sum::<f64>() / offered().count().max(1) as f64;
        let allowed = start.headroom + case.per_second() * run.seconds();
        let mut latencies: Vec<_> = ok().map(|answer| answer.done.saturating_sub(answer.due)).collect();
        latencies.sort_unstable();
        let late = offered().map(|answer| answer.sent.saturating_sub(answer.due)).max();
        Self {
            case: case.name.clone(),
            offered: offered().count() as u64,
            capacity: rounded(allowed / mean, 1),
            ok: ok().count() as u64,
            failed: done().filter(|answer| answer.result.is_err()).count() as u64,
            upstream_calls: end.calls - start.calls,
            wasted_calls: end.wasted - start.wasted,
            utilisation: rounded(ok().map(cost).sum::<f64>() / allowed, 4),
            seconds: rounded(run.seconds(), 3),
            p50_ms: ms(percentile(&latencies, 50)),
            p99_ms: ms(percentile(&latencies, 99)),
            late_ms: ms(late.unwrap_or_default()),
            about: case.about,
            last_error: done().filter_map(|answer| answer.result.as_ref().err()).next_back().cloned(),
        }
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.case.clone(),
            self.offered.to_string(),
            format!("{:.0}", self.capacity),
            self.ok.to_string(),
            self.failed.to_string(),
            format!("{:.1} %", self.utilisation * 100.0),
            self.upstream_calls.to_string(),
            self.wasted_calls.to_string(),
            format!("{:.0}", self.p50_ms),
            format!("{:.0}", self.p99_ms),
        ]
    }
}

pub(crate) fn table(all: &[Figures]) -> String {
    const HEADER: [&str; 10] =
        ["case", "offered", "capacity", "ok", "failed", "used", "upstream", "wasted", "p50 ms", "p99 ms"];
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(HEADER);
    for figures in all {
        table.add_row(figures.row());
    }
    let mut out = table.to_string();
    for Figures { case, about, seconds, late_ms, last_error, .. } in all {
        let _infallible =
            write!(out, "\n{case}: {about}, {seconds:.1} s, requests at most {late_ms:.0} ms late");
        if let Some(error) = last_error {
            let _infallible = write!(out, "; last error: {error}");
        }
    }
    out
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1_000.0, 1)
}

fn rounded(figure: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (figure * factor).round() / factor
}
