//! The gateway as a program.
//!
//! ```text
//! key-rotation-gateway                               # simulated providers, no account needed
//! key-rotation-gateway --config gateway.toml         # the providers of a configuration file
//! key-rotation-gateway --config gateway.toml --check
//! key-rotation-gateway explain --provider openai responses.jsonl
//! ```
//!
//! `gateway.toml` in the package is a configuration file to start from. With simulated providers, callers must send
//! the token in `GATEWAY_TOKEN`, if it is set.

mod demo;
mod explain;
mod log_writer;
mod recorder;
mod signals;

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
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
use tower::BoxError;
use tower_key_rotation_gateway::config::{Config, Loader};
use tower_key_rotation_gateway::{Gateway, Options};
use tracing::Level;

use crate::demo::Demo;
use crate::explain::Explain;
use crate::log_writer::LogWriter;
use crate::signals::Signals;

/// A request costs many small allocations, most of them in the HTTP stack.
///
/// Transparent huge pages are off: they double the resident memory, and the time of a request stays the same.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Maximum time to write the last log lines when the process ends (2 s).
const LAST_LINES: Duration = Duration::from_secs(2);

/// Serves LLM APIs over several keys and providers.
#[derive(Parser)]
#[command(name = "key-rotation-gateway", version, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Configuration file in TOML or JSON. Without it, the providers are simulated.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on, instead of the file's `listen`. Default: 127.0.0.1:8787.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Check the file, describe its content, and exit.
    #[arg(long)]
    check: bool,
    /// Listen on an address that other machines reach, although no token is configured. Every caller then spends your
    /// money.
    #[arg(long)]
    allow_open: bool,
    /// Maximum size of a request in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = Options::MAX_REQUEST)]
    max_request: usize,
    /// Do not serve /metrics. Counting begins with the first request for it in any case.
    #[arg(long)]
    no_metrics: bool,
    /// Least severe level to log, on standard error: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: Level,
}

#[derive(clap::Subcommand)]
enum Command {
    Explain(Explain),
}

/// The standard streams of the process. Writing to them neither blocks nor fails.
#[derive(Clone)]
struct Output {
    out: LogWriter,
    log: LogWriter,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Command::Explain(command)) = &args.command {
        return explain(command);
    }
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

/// Explains responses. It writes to the standard streams at once, because no request waits for them.
fn explain(command: &Explain) -> ExitCode {
    let ended = command.run(&mut io::stdout().lock(), &mut io::stderr().lock());
    let Err(error) = ended else { return ExitCode::SUCCESS };
    let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(is_closed) {
        // The reader of the output, such as `head`, has all it wants.
        return ExitCode::SUCCESS;
    }
    let _ = io::stderr().write_all(report(&*error).as_bytes());
    ExitCode::FAILURE
}

impl Output {
    /// Starts the log. Panics are logged with their place and without their message, which may contain a secret.
    fn start(level: Level) -> io::Result<Self> {
        let output = Self {
            out: LogWriter::start("stdout", io::stdout())?,
            log: LogWriter::start("stderr", io::stderr())?,
        };
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

    fn print(&self, text: &str) {
        self.out.add(text.as_bytes());
    }
}

/// Creates a runtime with one thread on a machine with one core, which saves waking others.
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
    let recorded = if args.no_metrics { None } else { Some(recorder::install()?) };
    let gateway = Gateway::new(config, options(args.max_request, recorded.clone(), &output.log));
    if args.check {
        output.print(&describe(gateway.config()));
        return Ok(());
    }
    if let Some(recorded) = recorded {
        tokio::spawn(recorder::upkeep(recorded));
    }
    let listener = TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}"))?;
    let address = listener.local_addr()?;
    output.print(&format!("{}\nlistening on http://{address}\n", describe(gateway.config())));
    if demo.is_some() {
        output.print(&invitation(&format!("http://{address}")));
    }
    tower_key_rotation_gateway::serve(listener, gateway, signals.stop()).await?;
    Ok(())
}

fn options(max_request: usize, recorded: Option<PrometheusHandle>, log: &LogWriter) -> Options {
    let counted = log.clone();
    let options = Options::new().max_request(max_request).lost_log_lines(move || counted.lost());
    match recorded {
        Some(recorded) => {
            let log = log.clone();
            options.metrics(move || recorder::render(&recorded, &log))
        }
        None => options,
    }
}

fn open_to_all(address: SocketAddr) -> String {
    format!(
        "other machines reach {address}, and no token is configured: set `token`, listen on 127.0.0.1, or start with \
         --allow-open"
    )
}

/// Describes providers, keys, chain and access.
fn describe(config: &Config) -> String {
    let mut text = String::new();
    for provider in config.providers() {
        let keys = provider.pool().snapshot().keys;
        // An id may contain characters that a terminal interprets.
        let ids: Vec<_> = keys.iter().map(|key| key.id.as_str().escape_debug().to_string()).collect();
        let _ = writeln!(text, "{} at {}: {}", provider.name(), provider.base_url(), ids.join(", "));
    }
    let _ = writeln!(text, "chain: {}", config.chain().order().join(" -> "));
    let access = if config.token().is_some() {
        "callers must send the token"
    } else {
        "no token configured; every caller is accepted, except foreign web pages"
    };
    let _ = writeln!(text, "access: {access}");
    text
}

fn invitation(origin: &str) -> String {
    let chat = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]"#;
    format!(
        "\nThe providers are simulated. Try in another terminal:\n
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

/// Returns the error and its sources, one per line.
fn report(error: &(dyn Error + 'static)) -> String {
    let mut text = format!("{error}\n");
    let mut source = error.source();
    while let Some(error) = source {
        let _ = writeln!(text, "  because: {error}");
        source = error.source();
    }
    text
}
