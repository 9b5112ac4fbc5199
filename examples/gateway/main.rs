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

mod app;
mod demo;
mod signals;

use std::error::Error;
use std::fmt::Write as _;
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

use crate::app::Lines;
use crate::demo::Demo;
use crate::signals::Signals;

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
    /// Listen on an address that others reach, although no token is configured: every caller spends your money.
    #[arg(long)]
    allow_open: bool,
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

/// How long the last lines of the log may take when the process ends.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Where the process writes: neither waits, and neither can fail.
#[derive(Clone)]
struct Output {
    out: Lines,
    log: Lines,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let Ok(output) = Output::start(args.log) else { return ExitCode::FAILURE };
    let ended =
        runtime().map_err(BoxError::from).and_then(|runtime| runtime.block_on(run(args, output.clone())));
    if let Err(error) = &ended {
        output.log.add(report(&**error).as_bytes());
    }
    output.out.flush(LAST_LINES);
    output.log.flush(LAST_LINES);
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Output {
    /// Starts the log, and has panics logged by their place: their messages may hold anything.
    fn start(level: Level) -> io::Result<Self> {
        let output =
            Self { out: Lines::start("stdout", io::stdout())?, log: Lines::start("stderr", io::stderr())? };
        let lines = output.log.clone();
        tracing_subscriber::fmt()
            .with_max_level(level)
            .log_internal_errors(false)
            .with_writer(move || lines.clone())
            .init();
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            tracing::error!(target: "gateway", place, "panicked");
        }));
        Ok(output)
    }

    fn say(&self, text: &str) {
        self.out.add(text.as_bytes());
    }
}

/// One core is served best by one thread, which wakes no other.
fn runtime() -> io::Result<Runtime> {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    let mut builder = if cores == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
}

async fn run(args: Args, output: Output) -> Result<(), BoxError> {
    let signals = Signals::install()?;
    let (config, demo) = match &args.config {
        Some(file) => (Loader::new().load(file)?, None),
        None => {
            let demo = Demo::start().await?;
            (demo.config.clone(), Some(demo))
        }
    };
    let address = args.listen.or_else(|| config.listen());
    let address = address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)));
    if config.token().is_none() && !args.allow_open && !address.ip().to_canonical().is_loopback() {
        return Err(open_to_all(address).into());
    }
    let recorded = if args.no_metrics { None } else { Some(record()?) };
    let log = Some(output.log.clone());
    let settings = app::Settings { max_request: args.max_request, recorded: recorded.clone(), log };
    let limits = app::Limits::new(config.server());
    let front = app::front(config.clone(), settings, |others| others)?;
    if args.check {
        output.say(&describe(&config));
        return Ok(());
    }
    if let Some(recorded) = recorded {
        tokio::spawn(upkeep(recorded));
    }
    let listener = TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}"))?;
    let address = listener.local_addr()?;
    output.say(&format!("{}\nlistening on http://{address}\n", describe(&config)));
    if demo.is_some() {
        output.say(&invitation(&format!("http://{address}")));
    }
    app::serve(listener, move |request, local| front.answer(request, local), limits, signals.stop()).await?;
    Ok(())
}

fn open_to_all(address: SocketAddr) -> String {
    format!(
        "{address} can be reached by others, and there is no token: set `token`, listen on 127.0.0.1, or start with \
         --allow-open"
    )
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

fn describe(config: &Config) -> String {
    let mut text = String::new();
    for provider in config.providers() {
        let keys = provider.pool().snapshot().keys;
        // As they are, ids could say anything to a terminal.
        let ids: Vec<_> = keys.iter().map(|key| key.id.as_str().escape_debug().to_string()).collect();
        let _ = writeln!(text, "{} at {}: {}", provider.name(), provider.base_url(), ids.join(", "));
    }
    let _ = writeln!(text, "chain: {}", config.chain().order().join(" -> "));
    let access = if config.token().is_some() {
        "every caller has to show the token"
    } else {
        "no token is configured, every caller that is no foreign web page is accepted"
    };
    let _ = writeln!(text, "access: {access}");
    text
}

fn invitation(origin: &str) -> String {
    let chat = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]"#;
    format!(
        "\nthe providers are simulated; try, in another terminal:\n
  curl -i {origin}/v1/chat/completions -H 'content-type: application/json' -d '{chat}}}'
  curl -N {origin}/v1/chat/completions -H 'content-type: application/json' -d '{chat},\"stream\":true}}'
  curl {origin}/api/key-status
  curl {origin}/metrics

or any program that uses an SDK:

  export OPENAI_BASE_URL={origin}/v1 OPENAI_API_KEY=any
  export ANTHROPIC_BASE_URL={origin}/anthropic ANTHROPIC_API_KEY=any
  export GOOGLE_GEMINI_BASE_URL={origin}/gemini GEMINI_API_KEY=any\n\n"
    )
}

/// The error with all its causes, each on a line.
fn report(error: &(dyn Error + 'static)) -> String {
    let mut text = format!("{error}\n");
    let mut source = error.source();
    while let Some(error) = source {
        let _ = writeln!(text, "  because: {error}");
        source = error.source();
    }
    text
}
