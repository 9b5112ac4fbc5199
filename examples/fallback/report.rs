//! The report of the run, as a table or as JSON.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::load::Answer;
use crate::providers::LINKS;

type PerLink = BTreeMap<&'static str, u64>;

/// The figures of the run.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    requests: u64,
    ok: u64,
    failed: u64,
    phases: Vec<Figures>,
}

/// The figures of one phase.
#[derive(Serialize)]
pub(crate) struct Figures {
    name: &'static str,
    requests: u64,
    ok: u64,
    failed: u64,
    served: PerLink,
    upstream_calls: PerLink,
    p50_us: u128,
    p99_us: u128,
    #[serde(skip)]
    latencies: Vec<Duration>,
    #[serde(skip)]
    last_error: Option<String>,
}

/// The growing table, on stderr if that is a terminal.
pub(crate) struct Live(ProgressBar);

// === impl Report ===

impl Report {
    pub(crate) fn add(&mut self, phase: Figures) {
        self.requests += phase.requests;
        self.ok += phase.ok;
        self.failed += phase.failed;
        self.phases.push(phase);
    }

    pub(crate) fn table(&self) -> String {
        self.table_with(None)
    }

    fn table_with(&self, now: Option<&Figures>) -> String {
        let phases = || self.phases.iter().chain(now);
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["phase", "ok", "failed"].into_iter().chain(LINKS).chain(["p50 ms", "p99 ms"]));
        for phase in phases() {
            table.add_row(phase.row());
        }
        let sum = |of: fn(&Figures) -> u64| phases().map(of).sum::<u64>();
        let (ok, failed) = (sum(|phase| phase.ok), sum(|phase| phase.failed));
        let mut out = format!(
            "{table}\nof each provider: requests served / upstream calls\n{} requests: {ok} ok, {failed} failed",
            ok + failed,
        );
        if let Some(error) = phases().filter_map(|phase| phase.last_error.as_ref()).next_back() {
            let _infallible = write!(out, "\nlast error: {error}");
        }
        out
    }
}

// === impl Figures ===

impl Figures {
    pub(crate) fn new(name: &'static str) -> Self {
        let none = || PerLink::from(LINKS.map(|link| (link, 0)));
        Self {
            name,
            requests: 0,
            ok: 0,
            failed: 0,
            served: none(),
            upstream_calls: none(),
            p50_us: 0,
            p99_us: 0,
            latencies: Vec::new(),
            last_error: None,
        }
    }

    pub(crate) fn book(&mut self, answer: Answer) {
        let place = self.latencies.partition_point(|latency| *latency < answer.latency);
        self.latencies.insert(place, answer.latency);
        self.p50_us = percentile(&self.latencies, 50).as_micros();
        self.p99_us = percentile(&self.latencies, 99).as_micros();
        match answer.served {
            Ok(served) => {
                self.requests += 1;
                self.ok += 1;
                if let Some(served) = self.served.get_mut(served.provider()) {
                    *served += 1;
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    pub(crate) fn fail(&mut self, error: &impl Display) {
        self.requests += 1;
        self.failed += 1;
        self.last_error = Some(error.to_string());
    }

    /// Sets the calls of each provider in this phase, from the counts before it and now.
    pub(crate) fn called(&mut self, before: [u64; 3], now: [u64; 3]) {
        for (link, (before, now)) in LINKS.into_iter().zip(before.into_iter().zip(now)) {
            self.upstream_calls.insert(link, now - before);
        }
    }

    fn row(&self) -> Vec<String> {
        let of = |calls: &PerLink, link| calls.get(link).copied().unwrap_or_default();
        let mut row = vec![self.name.to_owned(), self.ok.to_string(), self.failed.to_string()];
        row.extend(
            LINKS.map(|link| format!("{}/{}", of(&self.served, link), of(&self.upstream_calls, link))),
        );
        row.extend([self.p50_us, self.p99_us].map(|us| format!("{:.1}", us as f64 / 1_000.0)));
        row
    }
}

// === impl Live ===

impl Live {
    pub(crate) fn new(shown: bool) -> Self {
        let bar = if shown { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{msg}");
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())))
    }

    pub(crate) fn show(&self, report: &Report, now: &Figures) {
        self.0.set_message(report.table_with(Some(now)));
    }

    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}
