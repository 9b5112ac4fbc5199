//! An OpenAI-compatible gateway for programs in any language.
//!
//! ```text
//! cargo run --release --example gateway                               # simulated providers, no account needed
//! cargo run --release --example gateway -- --config gateway.toml      # real ones
//! cargo run --release --example gateway -- --config gateway.toml --check
//! ```
//!
//! `gateway.toml` beside this file is one to start from. Simulated providers ask for a token as well, if
//! `GATEWAY_TOKEN` is set.

#![allow(clippy::print_stdout, reason = "an example talks")]

mod app;
mod demo;

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use metrics_exporter_prometheus::PrometheusHandle;
use mimalloc::MiMalloc;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;
use tower::BoxError;
use tower_key_rotation::config::{Config, Loader};
use tracing::Level;

use crate::demo::Demo;

/// Much of what a request costs here is small allocations, mostly of HTTP itself.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What was measured waits at the recorder to be sorted into buckets; so long at most.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves LLM APIs with whichever key of whichever provider can.
#[derive(Parser)]
struct Args {
    /// What to serve: a TOML or JSON file. Without it, simulated providers.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen, instead of where the file says. Default: 127.0.0.1:8787.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Only say whether the file can be used, and what is in it.
    #[arg(long)]
    check: bool,
    /// How long a request may be, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = app::MAX_REQUEST)]
    max_request: usize,
    /// Serve no /metrics. Nothing is counted before they are asked for the first time in any case.
    #[arg(long)]
    no_metrics: bool,
    /// What to log, to the standard error stream: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: Level,
}

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt().with_max_level(args.log).with_writer(io::stderr).init();
    match runtime().map_err(BoxError::from).and_then(|runtime| runtime.block_on(run(args))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

/// One core is served best by one thread, which wakes no other.
fn runtime() -> io::Result<Runtime> {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    let mut builder = if cores == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
}

async fn run(args: Args) -> Result<(), BoxError> {
    let (config, demo) = match &args.config {
        Some(file) => (Loader::new().load(file)?, None),
        None => {
            let demo = Demo::start().await?;
            (demo.config.clone(), Some(demo))
        }
    };
    let recorded = if args.no_metrics { None } else { Some(record()?) };
    let settings = app::Settings { max_request: args.max_request, recorded: recorded.clone() };
    let front = app::front(config.clone(), settings, |others| others)?;
    if args.check {
        describe(&config);
        return Ok(());
    }
    if let Some(recorded) = recorded {
        tokio::spawn(upkeep(recorded));
    }
    let address = args.listen.or_else(|| config.listen());
    let address = address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)));
    let listener = TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}"))?;
    let address = listener.local_addr()?;
    describe(&config);
    println!("\nlistening on http://{address}");
    if demo.is_some() {
        invite(&format!("http://{address}"));
    }
    app::serve(listener, move |request| front.answer(request), stopped()).await?;
    Ok(())
}

/// Records what the process counts from now on.
fn record() -> Result<PrometheusHandle, BoxError> {
    let recorder = app::recorder()?;
    let recorded = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    Ok(recorded)
}

/// Keeps what waits at the recorder small, even if nobody scrapes.
async fn upkeep(recorded: PrometheusHandle) {
    loop {
        sleep(UPKEEP).await;
        recorded.run_upkeep();
    }
}

fn describe(config: &Config) {
    for provider in config.providers() {
        let keys = provider.pool().snapshot().keys;
        let ids: Vec<_> = keys.iter().map(|key| key.id.as_str()).collect();
        println!("{} at {}: {}", provider.name(), provider.base_url(), ids.join(", "));
    }
    println!("chain: {}", config.chain().order().join(" -> "));
    let token = if config.token().is_some() { "has to show the token" } else { "is let in" };
    println!("who comes {token}");
}

fn invite(origin: &str) {
    let chat = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]"#;
    println!(
        "\nthe providers are simulated; try, in another terminal:\n
  curl -i {origin}/v1/chat/completions -H 'content-type: application/json' -d '{chat}}}'
  curl -N {origin}/v1/chat/completions -H 'content-type: application/json' -d '{chat},\"stream\":true}}'
  curl {origin}/api/key-status
  curl {origin}/metrics

or any program that uses an SDK:

  export OPENAI_BASE_URL={origin}/v1 OPENAI_API_KEY=any
  export ANTHROPIC_BASE_URL={origin}/anthropic ANTHROPIC_API_KEY=any
  export GOOGLE_GEMINI_BASE_URL={origin}/gemini GEMINI_API_KEY=any\n"
    );
}

/// The error with all its causes, each on a line.
#[allow(clippy::print_stderr, reason = "an example talks")]
fn report(error: &(dyn Error + 'static)) {
    eprintln!("{error}");
    let mut source = error.source();
    while let Some(error) = source {
        eprintln!("  because: {error}");
        source = error.source();
    }
}

/// Ctrl-C or SIGTERM; a second Ctrl-C ends the process at once.
async fn stopped() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupted => {}
        () = terminated() => {}
    }
    tracing::info!(target: "gateway", "stopping; what is running may end, Ctrl-C ends it");
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
