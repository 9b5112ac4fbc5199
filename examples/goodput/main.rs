//! Measures how much of the capacity of limited keys is used, and how few calls are wasted.
//!
//! ```text
//! cargo run --release --example goodput                     # all cases, about four minutes, as a table
//! cargo run --release --example goodput -- --json           # one JSON object for each case, on a line each
//! cargo run --release --example goodput -- --case burst1    # the cases whose name begins with this
//! cargo run --release --example goodput -- --svg target     # also plots each case
//! ```
//!
//! Each case sends load over HTTP to simulated keys that have token buckets. These rules keep the measurement
//! honest:
//!
//! - **The load is open**: requests are sent when they are due, whatever happened to earlier ones. Each
//!   second has exactly the case's number of requests, at random times (a Poisson process, given its count).
//!   They are bunched like real requests, which matters to a small bucket, and yet their number is exact
//!   enough for "97 % of capacity" to have a meaning. A generator that falls behind drops nothing, and
//!   reports how late it was (`late_ms`).
//! - **Each request has one second**, from the moment at which it is due, including all waiting.
//! - **The provider is separate**: it has threads of its own, and the client reaches it only through a
//!   socket. A response takes 20 to 60 ms, because an immediate one would tell the client too much about its
//!   limits.
//! - **All figures are counted in one window of time**: after a warm-up in which full buckets are emptied,
//!   and before a time in which the load goes on. `offered` counts the requests due in the window; `ok` and
//!   `failed`, those whose response arrived in it; `upstream_calls` and `wasted_calls`, those that the
//!   provider received and refused in it.
//! - **`capacity` is the number of requests that the provider would have allowed in the window**, read from
//!   its own buckets: their content at the start of the window, and the refill during it. For limits of
//!   tokens, it is the tokens divided by those of a mean request.
//! - **`utilisation`** is `ok` divided by `capacity`. For limits of tokens, it is the tokens of the requests
//!   that were served divided by the tokens allowed, because more small requests than large ones may be
//!   served. A request that the provider served after the caller had stopped waiting does not count.

#![allow(clippy::print_stdout, reason = "an example talks")]

mod cases;
mod load;
mod measure;
mod plot;
mod provider;
mod report;

use std::path::PathBuf;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use tower::BoxError;

use crate::cases::Case;
use crate::measure::Run;
use crate::report::Figures;

/// Measures how much of the capacity of limited keys is used.
#[derive(Parser)]
struct Args {
    /// Print one JSON object for each case instead of a table.
    #[arg(long)]
    json: bool,
    /// Only run the cases whose name begins with this; may be given several times.
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
    /// Plot each case over time, into this folder.
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// Seed of the times of requests and the sizes of prompts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let Args { json, case: names, svg, seed } = Args::parse();
    let wanted =
        |case: &Case| names.is_empty() || names.iter().any(|name| case.name.starts_with(name.as_str()));
    let cases: Vec<_> = cases::all().into_iter().filter(wanted).collect();
    if cases.is_empty() {
        return Err(format!("no case is called {}", names.join(" or ")).into());
    }
    let bar = progress_bar(cases.len());
    let mut all = Vec::new();
    for case in &cases {
        bar.set_message(case.name.clone());
        let run = Run::of(case, seed).await?;
        let figures = Figures::of(case, &run);
        if let Some(folder) = &svg {
            std::fs::create_dir_all(folder)?;
            plot::draw(case, &run, &folder.join(format!("{}.svg", case.name)))?;
        }
        if json {
            println!("{}", serde_json::to_string(&figures)?);
        }
        all.push(figures);
        bar.inc(1);
    }
    bar.finish_and_clear();
    if !json {
        println!("{}", report::table(&all));
    }
    Ok(())
}

/// Returns a progress bar on stderr, which is shown if that is a terminal.
fn progress_bar(cases: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} cases, {elapsed}, now {msg}");
    ProgressBar::new(cases as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
