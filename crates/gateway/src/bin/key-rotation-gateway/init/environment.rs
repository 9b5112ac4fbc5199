//! The providers whose keys are in the environment, and where they are.

use std::collections::BTreeSet;

use tower_key_rotation::Provider;
use tower_key_rotation::key::{EnvKeys, EnvValue};

/// The keys and settings that the environment has.
pub(super) struct Environment {
    pub(super) found: Vec<Found>,
    /// The faults of variables that are set, without their values.
    pub(super) notes: BTreeSet<String>,
}

/// A provider with keys in the environment.
pub(super) struct Found {
    pub(super) name: &'static str,
    /// The lines that say where the provider is.
    place: String,
    /// The lines that name the keys.
    keys: String,
    /// The variables that hold them.
    pub(super) variables: BTreeSet<String>,
}

/// Path of Gemini's API in the shape of OpenAI's.
const GEMINI_PATH: &str = "/v1beta/openai";

/// Models for requests that name a model of another provider.
const MODELS: [(&str, &str); 3] =
    [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-5-5"), ("gemini", "gemini-2.5-flash")];

// === impl Environment ===

impl Environment {
    /// Searches the variables of all presets. A variable that several presets read counts for the first.
    pub(super) fn searched() -> Self {
        let first = MODELS.iter().map(|(name, _)| *name);
        let others = Provider::presets().filter(|name| MODELS.iter().all(|(known, _)| known != name));
        let mut taken = BTreeSet::new();
        let (mut all, mut notes) = (Vec::new(), BTreeSet::new());
        for provider in first.chain(others).filter_map(Provider::preset) {
            let seen = EnvKeys::in_vars(&provider, vars());
            let faults = seen.findings().iter().filter(|it| it.is_warning() && it.found != EnvValue::Empty);
            notes.extend(faults.map(ToString::to_string));
            let Some((keys, variables)) = keys_of(&provider, &seen) else { continue };
            if !variables.iter().all(|variable| taken.insert(variable.clone())) {
                continue;
            }
            match place_of(&provider) {
                Ok(place) => all.push(Found { name: name_of(&provider), place, keys, variables }),
                Err(missing) => {
                    let set = variables.into_iter().collect::<Vec<_>>().join(", ");
                    notes.insert(format!("{set} is left out: {missing}, or write the [[provider]] yourself"));
                }
            }
        }
        Self { found: all, notes }
    }
}

/// Returns the name of the preset, which lives as long as the program.
fn name_of(provider: &Provider) -> &'static str {
    Provider::presets().find(|name| *name == provider.name()).unwrap_or("compatible")
}

fn vars() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Returns the lines that name the keys of a provider, and the variables that hold them. `None` if it has none.
fn keys_of(provider: &Provider, seen: &EnvKeys) -> Option<(String, BTreeSet<String>)> {
    for prefix in provider.env_prefixes() {
        let keys = EnvKeys::with_prefixes([prefix], vars());
        if !keys.keys().is_empty() {
            return Some((format!("keys_env = \"{prefix}\"\n"), variables(&keys)));
        }
    }
    let variables = variables(seen);
    let names = variables.iter().filter(|name| !name.contains('#'));
    let keys: String = names.map(|name| format!("[[provider.key]]\nsecret = \"env:{name}\"\n")).collect();
    (!keys.is_empty()).then_some((keys, variables))
}

/// Returns the names of the variables that hold keys.
fn variables(keys: &EnvKeys) -> BTreeSet<String> {
    let with_keys =
        keys.findings().iter().filter(|it| matches!(it.found, EnvValue::Keys(count) if count > 0));
    with_keys.map(|it| it.variable.clone()).collect()
}

/// Returns the lines that say where a provider is, or what to set so that it is known. Clouds have variables that their
/// own tools read.
fn place_of(provider: &Provider) -> Result<String, &'static str> {
    let var = |name: &str| std::env::var(name).ok().filter(|value| is_plain(value));
    match provider.name() {
        "bedrock" => {
            let region = var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION"));
            let region = region.unwrap_or_else(|| "us-east-1".to_owned());
            Ok(format!("cloud = \"bedrock\"\nregion = \"{region}\"\n"))
        }
        "vertex" => {
            let project = var("GOOGLE_CLOUD_PROJECT").ok_or("set GOOGLE_CLOUD_PROJECT")?;
            let location = var("GOOGLE_CLOUD_LOCATION").unwrap_or_else(|| "global".to_owned());
            Ok(format!("cloud = \"vertex\"\nproject = \"{project}\"\nlocation = \"{location}\"\n"))
        }
        "azure" => {
            let endpoint = std::env::var("AZURE_OPENAI_ENDPOINT").ok();
            let host = endpoint.as_deref().and_then(|url| url.trim_end_matches('/').strip_prefix("https://"));
            let host = host.filter(|host| is_plain(host)).ok_or("set AZURE_OPENAI_ENDPOINT")?;
            Ok(format!("cloud = \"azure\"\nbase_url = \"https://{host}\"\n"))
        }
        name => {
            let mut base_url = provider.base_url().ok_or("its base URL differs for each account")?.to_owned();
            if name == "gemini" && !base_url.ends_with(GEMINI_PATH) {
                base_url += GEMINI_PATH;
            }
            Ok(format!("base_url = \"{base_url}\"\n"))
        }
    }
}

/// Returns whether a value is a name that can be written into the file.
fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

// === impl Found ===

impl Found {
    /// Returns the table of the provider.
    pub(super) fn table(&self) -> String {
        let Self { name, place, keys, .. } = self;
        let own = MODELS.iter().find(|(known, _)| known == name);
        let models = match own {
            Some((_, model)) if *name != "openai" => format!("[provider.models]\n\"*\" = \"{model}\"  # for requests that name a model of another provider\n"),
            _ => "# [provider.models]\n# \"*\" = \"gpt-4o\"  # this provider's model for any other that callers name\n".to_owned(),
        };
        format!(
            "\n[[provider]]\nname = \"{name}\"\n{place}{}\
             # endpoints = [\"+rerank\", \"-images\"]   # adds to those of its API, and takes from them\n\
             {models}{}\
             # [[provider.limit]]\n# requests_per_minute = 500              # of each account; see the documentation\n",
            if keys.starts_with("keys_env") { keys } else { "" },
            if keys.starts_with("keys_env") { "" } else { keys },
        )
    }
}
