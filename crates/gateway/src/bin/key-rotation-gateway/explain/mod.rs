//! The command `explain`: classifies recorded responses, and says what decided.

mod dump;
mod record;
mod report;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use tower::BoxError;
use tower_key_rotation::Provider;
use tower_key_rotation_gateway::config::{Config, Loader, ProviderSettings};

use crate::explain::record::Record;
use crate::explain::report::report;

/// Maximum size of a response on standard input, in bytes (16 MiB).
const MAX_DUMP: u64 = 16 * 1024 * 1024;

/// The mark with which some editors begin a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Explain recorded responses: the verdict, its scope and wait, and the rule or evidence that decided.
#[derive(clap::Args)]
pub(crate) struct Explain {
    /// Configuration file, whose providers and rules apply. Its keys must be available.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Provider that sent the responses: a name in the configuration file, or a preset. Default: the member
    /// `provider` of a response, or the only provider of the file.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Path of the request, such as /v1/chat/completions, for rules with a path.
    #[arg(long, value_name = "PATH")]
    path: Option<http::uri::PathAndQuery>,
    /// Read one response from standard input, as `curl -i` prints it.
    #[arg(long)]
    stdin: bool,
    /// Responses, one JSON object a line, with `status`, `headers`, `body`, and optionally `id`, `provider`,
    /// `path` and `now`. `-` is standard input.
    #[arg(value_name = "RESPONSES.jsonl", required_unless_present = "stdin", conflicts_with = "stdin")]
    responses: Option<PathBuf>,
}

// === impl Explain ===

impl Explain {
    /// Explains all responses, one paragraph each. A line that is no response is reported to `errors`, and does
    /// not stop the others.
    pub(crate) fn run(&self, out: &mut impl Write, errors: &mut impl Write) -> Result<(), BoxError> {
        let config = self.config.as_ref().map(|file| Loader::new().load(file)).transpose()?;
        if self.stdin {
            let mut bytes = Vec::new();
            io::stdin().lock().take(MAX_DUMP).read_to_end(&mut bytes)?;
            let record = dump::parse(&bytes).map_err(|error| format!("standard input, {error}"))?;
            out.write_all(self.explain(&record, config.as_ref())?.as_bytes())?;
            return Ok(out.flush()?);
        }
        let (mut lines, mut failed) = (0_usize, 0_usize);
        for line in self.input()?.split(b'\n') {
            let line = line?;
            lines += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let explained = Record::parse(&line).map_err(BoxError::from).map(|record| record.at_line(lines));
            match explained.and_then(|record| self.explain(&record, config.as_ref())) {
                Ok(text) => out.write_all(text.as_bytes())?,
                Err(error) => {
                    failed += 1;
                    writeln!(errors, "line {lines}: {error}")?;
                }
            }
        }
        out.flush()?;
        if lines == 0 {
            return Err("there is no response to explain: the input is empty".into());
        }
        if failed == 0 { Ok(()) } else { Err(format!("{failed} of {lines} lines are not explained").into()) }
    }

    fn input(&self) -> Result<Box<dyn BufRead>, BoxError> {
        match &self.responses {
            Some(path) if path.as_os_str() != "-" => {
                let failed = |error: io::Error| format!("{}: {error}", path.display());
                let mut file = BufReader::new(File::open(path).map_err(failed)?);
                let has_mark = file.fill_buf().map_err(failed)?.starts_with(BYTE_ORDER_MARK);
                file.consume(if has_mark { BYTE_ORDER_MARK.len() } else { 0 });
                Ok(Box::new(file))
            }
            _ => Ok(Box::new(io::stdin().lock())),
        }
    }

    fn explain(&self, record: &Record, config: Option<&Config>) -> Result<String, BoxError> {
        let provider = provider(self.provider.as_deref().or(record.provider.as_deref()), config)?;
        Ok(report(&provider, record, self.path.as_ref()))
    }
}

/// Returns the provider with a name, of the configuration or else a preset. Without a name, the only one of the
/// configuration.
fn provider(name: Option<&str>, config: Option<&Config>) -> Result<Provider, String> {
    let configured = config.map_or(&[][..], Config::providers);
    let known = || configured.iter().map(ProviderSettings::name).collect::<Vec<_>>().join(", ");
    let one = match (name, configured) {
        (None, [only]) => Some(only),
        (None, []) => {
            return Err("no provider: add --provider NAME, or `provider` to the response".to_owned());
        }
        (None, _) => return Err(format!("no provider: add --provider with one of {}", known())),
        (Some(name), _) => configured.iter().find(|provider| provider.name() == name),
    };
    if let Some(one) = one {
        return Ok(one.pool().provider().clone());
    }
    match name {
        Some("compatible") => Ok(Provider::compatible("compatible")),
        Some(name) => Provider::preset(name).ok_or_else(|| {
            let known = if configured.is_empty() { String::new() } else { format!("{}, ", known()) };
            format!("unknown provider: write one of {known}`compatible`, or the name of a preset")
        }),
        None => Err("no provider".to_owned()),
    }
}
