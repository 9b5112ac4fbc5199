//! The command `init`: a configuration file for the keys in the environment.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use tower::BoxError;
use tower_key_rotation::Provider;
use tower_key_rotation::key::{EnvKeys, EnvValue};
use tower_key_rotation_gateway::config::{Format, Loader};

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

/// A provider with keys in the environment.
struct Found {
    name: &'static str,
    base_url: String,
    /// The lines that name the keys.
    keys: String,
    /// The variables that hold them.
    variables: BTreeSet<String>,
}

/// Path of Gemini's API in the shape of OpenAI's.
const GEMINI_PATH: &str = "/v1beta/openai";

/// Models for requests that name a model of another provider.
const MODELS: [(&str, &str); 3] =
    [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-5-5"), ("gemini", "gemini-2.5-flash")];

// === impl Init ===

impl Init {
    pub(crate) fn run(&self) -> Result<(), BoxError> {
        let found = found();
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
        let mut log = io::stderr().lock();
        for it in &found {
            let variables: Vec<_> = it.variables.iter().map(String::as_str).collect();
            writeln!(log, "{}: keys in {}", it.name, variables.join(", "))?;
        }
        if self.output.as_os_str() == "-" {
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
        Ok(file.write_all(text.as_bytes())?)
    }
}

/// Returns the presets with keys in the environment. A variable that several presets read counts for the first.
fn found() -> Vec<Found> {
    let first = MODELS.iter().map(|(name, _)| *name);
    let others = Provider::presets().filter(|name| MODELS.iter().all(|(known, _)| known != name));
    let mut taken = BTreeSet::new();
    let mut all = Vec::new();
    for found in first.chain(others).filter_map(of_preset) {
        if found.variables.iter().all(|variable| taken.insert(variable.clone())) {
            all.push(found);
        }
    }
    all
}

fn of_preset(name: &'static str) -> Option<Found> {
    let provider = Provider::preset(name)?;
    let mut base_url = provider.base_url()?.to_owned();
    if name == "gemini" && !base_url.ends_with(GEMINI_PATH) {
        base_url += GEMINI_PATH;
    }
    let vars = || {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
    };
    for prefix in provider.env_prefixes() {
        let keys = EnvKeys::with_prefixes([prefix], vars());
        if !keys.keys().is_empty() {
            let keys_line = format!("keys_env = \"{prefix}\"\n");
            return Some(Found { name, base_url, keys: keys_line, variables: variables(&keys) });
        }
    }
    let keys = EnvKeys::in_vars(&provider, vars());
    let variables = variables(&keys);
    let names = variables.iter().filter(|name| !name.contains('#'));
    let keys: String = names.map(|name| format!("[[provider.key]]\nsecret = \"env:{name}\"\n")).collect();
    (!keys.is_empty()).then_some(Found { name, base_url, keys, variables })
}

/// Returns the names of the variables that hold keys.
fn variables(keys: &EnvKeys) -> BTreeSet<String> {
    let with_keys =
        keys.findings().iter().filter(|it| matches!(it.found, EnvValue::Keys(count) if count > 0));
    with_keys.map(|it| it.variable.clone()).collect()
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

// === impl Found ===

impl Found {
    fn table(&self) -> String {
        let Self { name, base_url, keys, .. } = self;
        let own = MODELS.iter().find(|(known, _)| known == name);
        let models = match own {
            Some((_, model)) if *name != "openai" => format!("[provider.models]\n\"*\" = \"{model}\"  # for requests that name a model of another provider\n"),
            _ => "# [provider.models]\n# \"*\" = \"gpt-4o\"  # this provider's model for any other that callers name\n".to_owned(),
        };
        format!(
            "\n[[provider]]\nname = \"{name}\"\nbase_url = \"{base_url}\"\n{}\
             # endpoints = [\"+rerank\", \"-images\"]   # adds to those of its API, and takes from them\n\
             {models}{}\
             # [[provider.limit]]\n# requests_per_minute = 500              # of each account; see the documentation\n",
            if keys.starts_with("keys_env") { keys } else { "" },
            if keys.starts_with("keys_env") { "" } else { keys },
        )
    }
}
