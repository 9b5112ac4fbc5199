//! The gateway as a program.
//!
//! ```text
//! key-rotation-gateway                               # simulated providers, no account needed
//! key-rotation-gateway --config gateway.toml         # the providers of a configuration file
//! key-rotation-gateway init                          # a file for the keys in the environment
//! key-rotation-gateway check --live --config gateway.toml
//! key-rotation-gateway status --watch                # the keys of a running gateway
//! key-rotation-gateway explain --provider openai responses.jsonl
//! ```
//!
//! `gateway.toml` in the package is a configuration file to start from. With simulated providers, callers must send
//! the token in `GATEWAY_TOKEN`, if it is set.

mod alert_test;
mod check;
mod demo;
mod describe;
mod explain;
mod init;
mod log_writer;
mod output;
mod recorder;
mod reload;
mod schema;
mod signals;
mod status;

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use metrics_exporter_prometheus::PrometheusHandle;
use mimalloc::MiMalloc;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tower::BoxError;
#[cfg(feature = "otlp")]
use tower_key_rotation_gateway::Traces;
use tower_key_rotation_gateway::config::Loader;
use tower_key_rotation_gateway::{Gateway, Options, Stores};
use tracing::Level;

use crate::alert_test::AlertTest;
use crate::check::Check;
use crate::demo::Demo;
use crate::describe::{describe, invitation, open_to_all, report};
use crate::explain::Explain;
use crate::init::Init;
use crate::log_writer::LogWriter;
use crate::output::{LogFormat, Output};
use crate::schema::Schema;
use crate::signals::{Hangups, Signals};
use crate::status::Status;

/// A request costs many small allocations, most of them in the HTTP stack.
///
/// Transparent huge pages are off: they double the resident memory, and the time of a request stays the same.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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
    /// Format of log lines.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(clap::Subcommand)]
enum Command {
    AlertTest(AlertTest),
    Check(Check),
    Explain(Explain),
    Init(Init),
    Schema(Schema),
    Status(Status),
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    match args.command.take() {
        Some(command) => ended(command.run()),
        None => serve(args),
    }
}

/// Runs the gateway until it is stopped.
fn serve(args: Args) -> ExitCode {
    let Ok(output) = Output::start(args.log, args.log_format) else { return ExitCode::FAILURE };
    let ended = runtime().map_err(BoxError::from).and_then(|runtime| {
        let ended = runtime.block_on(run(args, output.clone()));
        // A file on a network that is away keeps no process from ending.
        runtime.shutdown_background();
        ended
    });
    if let Err(error) = &ended {
        output.log.add(report(&**error).as_bytes());
    }
    output.flush();
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

// === impl Command ===

impl Command {
    /// Runs a command. Commands write to the standard streams at once, because no request waits for them.
    fn run(self) -> Result<(), BoxError> {
        match self {
            Self::AlertTest(test) => runtime()?.block_on(test.run()),
            Self::Check(check) => runtime()?.block_on(check.run()),
            Self::Explain(explain) => explain.run(&mut io::stdout().lock(), &mut io::stderr().lock()),
            Self::Init(init) => init.run(),
            Self::Schema(schema) => schema.run(),
            Self::Status(status) => runtime()?.block_on(status.run()),
            Self::Completions { shell } => {
                let mut command = Args::command();
                let name = command.get_name().to_owned();
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut command, name, &mut script);
                Ok(io::stdout().lock().write_all(&script)?)
            }
        }
    }
}

/// Reports the error of a command.
fn ended(result: Result<(), BoxError>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(is_closed) {
        // The reader of the output, such as `head`, has all it wants.
        return ExitCode::SUCCESS;
    }
    let _ = io::stderr().write_all(report(&*error).as_bytes());
    ExitCode::FAILURE
}

/// Creates a runtime with one thread on a machine with one core, which saves waking others.
fn runtime() -> io::Result<Runtime> {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    let mut builder = if cores == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
}

async fn run(args: Args, output: Output) -> Result<(), BoxError> {
    let (signals, hangups) = (Signals::install()?, Hangups::install()?);
    let (config, demo) = match &args.config {
        Some(file) => (Loader::new().load(file)?, None),
        None => {
            let demo = Demo::start().await?;
            (demo.config.clone(), Some(demo))
        }
    };
    let address = args.listen.or_else(|| config.listen());
    let address = address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)));
    if !config.requires_token() && !args.allow_open && !address.ip().to_canonical().is_loopback() {
        return Err(open_to_all(address).into());
    }
    let recorded = if args.no_metrics { None } else { Some(recorder::install()?) };
    let options = options(args.max_request, recorded.clone(), &output.log);
    #[cfg(feature = "otlp")]
    let traces = Traces::from_env()?;
    #[cfg(feature = "otlp")]
    let options = traces.iter().cloned().fold(options, Options::traces);
    let gateway = Gateway::new(config, options);
    if args.check {
        output.print(&describe(&gateway.config()));
        return Ok(());
    }
    if let Some(recorded) = recorded {
        tokio::spawn(recorder::upkeep(recorded));
    }
    // Alerts listen before a store may fail.
    gateway.start();
    let stores = Stores::start(&gateway.config()).await?;
    let listener = TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}"))?;
    let address = listener.local_addr()?;
    output.print(&format!("{}\nlistening on http://{address}\n", describe(&gateway.config())));
    let _watching = match args.config {
        Some(file) => tokio::spawn(reload::reload(gateway.clone(), stores.clone(), file, hangups)),
        None => tokio::spawn(hangups.ignore()),
    };
    if demo.is_some() {
        output.print(&invitation(&format!("http://{address}")));
    }
    let served = tower_key_rotation_gateway::serve(listener, gateway, signals.stop()).await;
    stores.stop().await;
    #[cfg(feature = "otlp")]
    if let Some(traces) = traces {
        traces.stop().await;
    }
    Ok(served?)
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
