//! The command `init`: a configuration file for the keys in the environment.

mod environment;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use tower::BoxError;
use tower_key_rotation_gateway::config::{Format, Loader};

use crate::init::environment::{Environment, Found};

/// Write a commented configuration file for the keys that are in the environment.
#[derive(clap::Args)]
pub(crate) struct Init {
    /// File to write; `-` is standard output.
    #[arg(long, value_name = "FILE", default_value = "gateway.toml")]
    output: PathBuf,
    /// Overwrite the file if it exists.
    #[arg(long)]
    force: bool,
}

// === impl Init ===

impl Init {
    pub(crate) fn run(&self) -> Result<(), BoxError> {
        let is_stdout = self.output.as_os_str() == "-";
        let is_toml = self.output.extension().is_some_and(|it| it.eq_ignore_ascii_case("toml"));
        if !is_toml && !is_stdout && !self.output.starts_with("/dev") {
            let file = self.output.display();
            return Err(format!("{file}: the file is TOML: give it a name that ends in .toml").into());
        }
        let Environment { found, notes } = Environment::searched();
        let mut log = io::stderr().lock();
        for note in &notes {
            writeln!(log, "{note}")?;
        }
        if found.is_empty() {
            return Err(
                "no key in the environment: set OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or the \
                        variable of another provider, and try again"
                    .into(),
            );
        }
        let text = text(&found);
        // The file must be usable as it is.
        Loader::new().parse(&text, Format::Toml)?;
        for it in &found {
            let variables: Vec<_> = it.variables.iter().map(String::as_str).collect();
            writeln!(log, "{}: keys in {}", it.name, variables.join(", "))?;
        }
        if is_stdout {
            return Ok(io::stdout().lock().write_all(text.as_bytes())?);
        }
        self.write(&text)?;
        let file = self.output.display();
        writeln!(log, "wrote {file}; next: key-rotation-gateway check --live --config {file}")?;
        Ok(())
    }

    fn write(&self, text: &str) -> Result<(), BoxError> {
        let mut options = OpenOptions::new();
        let options = options.write(true).truncate(true).create(self.force).create_new(!self.force);
        let file = options.open(&self.output);
        let mut file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{} exists: give --force to overwrite it", self.output.display())
            }
            _ => format!("{}: {error}", self.output.display()),
        })?;
        let written = file.write_all(text.as_bytes());
        Ok(written.map_err(|error| format!("{}: {error}", self.output.display()))?)
    }
}

fn text(found: &[Found]) -> String {
    let names: Vec<_> = found.iter().map(|it| format!("\"{}\"", it.name)).collect();
    let providers: String = found.iter().map(Found::table).collect();
    format!(
        "# A gateway over the keys in the environment, written by `key-rotation-gateway init`. Start it with\n\
         #   key-rotation-gateway --config gateway.toml\n\
         # No secret is in this file. A setting in a comment shows its default, or an example.\n\
         \n\
         listen = \"127.0.0.1:8787\"              # a public address needs a token, or --allow-open\n\
         # token = \"env:GATEWAY_TOKEN\"          # callers send it as their API key; at least 8 characters\n\
         \n\
         [chain]\n\
         order = [{}]  # the order in which /v1/… asks them\n\
         # deadline = \"10m\"                     # from a request to the commit of its response\n\
         # head_timeout = \"5m\"                  # for each attempt\n\
         # first_content_timeout = \"5m\"         # from the head of a stream to its first content\n\
         # idle_timeout = \"2m\"                  # longest pause in a stream\n\
         # models = \"union\"                     # GET /v1/models: of the whole chain, or of the provider with this name\n\
         \n\
         [rotation]\n\
         # selection = \"round_robin\"            # or \"in_order\", \"random\", \"least_in_flight\", \"most_remaining\"\n\
         \n\
         # [cors]                               # web pages that may use the gateway; default: none\n\
         # origins = [\"https://app.example.com\"]  # or \"*\", which needs a token\n\
         \n\
         [status]\n\
         # operator_token = \"env:OPERATOR_TOKEN\" # turns on verbs on the page at / and at /api/keys\n\
         {providers}",
        names.join(", ")
    )
}
