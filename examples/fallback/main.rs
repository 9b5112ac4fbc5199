//! Three providers behind one service. Two of them fail in one way after another, and no request fails.
//!
//! ```text
//! cargo run --example fallback             # simulated providers over HTTP, no account needed
//! cargo run --example fallback -- --json   # the same, as JSON
//! ```

#![allow(clippy::print_stdout, reason = "an example talks")]

mod load;
mod phases;
mod providers;
mod report;

use clap::Parser;
use tower::BoxError;

use crate::load::Load;
use crate::providers::Providers;
use crate::report::{Live, Report};

/// Sends load through a chain of providers and shows which provider served it.
#[derive(Parser)]
struct Args {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let Args { json } = Args::parse();
    let providers = Providers::start().await?;
    let chain = providers.chain()?;
    let live = Live::new(!json);
    let mut report = Report::default();
    for phase in phases::all() {
        providers.befall(phase.troubles);
        let load = Load { requests: phase.requests, per_second: phases::PER_SECOND };
        let figures = load.run(&chain, phase.name, &providers, |now| live.show(&report, now)).await;
        report.add(figures);
    }
    live.clear();
    println!("{}", if json { serde_json::to_string(&report)? } else { report.table() });
    Ok(())
}
