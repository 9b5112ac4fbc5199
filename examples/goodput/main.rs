//! How much of what limited keys allow is used, and how few calls are wasted.
//!
//! ```text
//! cargo run --release --example goodput                     # all cases, some four minutes, as a table
//! cargo run --release --example goodput -- --json           # one JSON object a case, a line each
//! cargo run --release --example goodput -- --case burst1    # the cases whose name begins so
//! cargo run --release --example goodput -- --svg target     # beside the figures, a plot of each case
//! ```
//!
//! Each case offers load over HTTP to simulated keys that have token buckets. What is measured, and how it is
//! kept honest:
//!
//! - **The load is open**: requests come when they are due, whatever became of those before. In each second
//!   there are exactly as many as the case says, at random times (a Poisson process, given its count): bunched
//!   as real ones are, which a small bucket feels, and yet just so many that "97 % of capacity" means
//!   something. A generator that falls behind drops nothing, and its lateness is reported (`late_ms`).
//! - **Each request has a second**, from when it was due, waiting included.
//! - **The provider is another program**: it has threads of its own, and the client's only way to it is a socket.
//!   An answer takes it 20 to 60 ms, as one that came back at once would tell the client of its limits too well.
//! - **All figures are counted in one window of time**, after a warm-up in which full buckets are emptied, and
//!   before a while in which the load goes on: `offered`, what was due in it; `ok` and `failed`, whose answer
//!   came in it; `upstream_calls` and `wasted_calls`, those the provider received, and refused, in it.
//! - **`capacity` is what the provider would have allowed in it**, read from its own buckets: what they held
//!   when the window began, and what came in. Of limits on tokens: those, over the tokens of a mean request.
//! - **`utilisation`** is `ok` over `capacity`; of limits on tokens, the tokens of those that were answered over
//!   the tokens allowed, as more small requests than large ones may be answered. What a provider served and the
//!   caller no longer waited for does not count.

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

/// Measures how much of what limited keys allow is used.
#[derive(Parser)]
struct Args {
    /// Print one JSON object a case instead of a table.
    #[arg(long)]
    json: bool,
    /// Only the cases whose name begins so; may be given several times.
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
    /// Draw each case over time, into this folder.
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// What the times of requests and the sizes of prompts are drawn from.
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

/// On stderr, if that is a terminal.
fn progress_bar(cases: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} cases, {elapsed}, now {msg}");
    ProgressBar::new(cases as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
