//! The command `check`: what a configuration does, and with `--live` whether its keys work.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;

use tower::BoxError;
use tower_key_rotation::check::CheckResult;
use tower_key_rotation::pool::KeySnapshot;
use tower_key_rotation_gateway::config::{Config, Loader, ProviderSettings};
use tower_key_rotation_gateway::{CheckedKey, check_keys};

use crate::describe::shown;

/// Check a configuration file: its keys, limits and models, and where each route leads.
#[derive(clap::Args)]
pub(crate) struct Check {
    /// Configuration file in TOML or JSON.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check each key with a call that costs nothing: the list of models, or the account of the key.
    #[arg(long)]
    live: bool,
}

// === impl Check ===

impl Check {
    pub(crate) async fn run(&self) -> Result<(), BoxError> {
        let config = Loader::new().load(&self.config)?;
        let mut out = io::stdout().lock();
        out.write_all(report(&config).as_bytes())?;
        if !self.live {
            return Ok(());
        }
        drop(out);
        let checked = check_keys(&config).await;
        let lines: Vec<_> = checked.iter().map(line).collect();
        writeln!(io::stdout().lock(), "\nlive\n{}", lines.join("\n"))?;
        let proven = checked
            .iter()
            .filter(|it| it.check.is_some_and(|check| check.result == CheckResult::Valid))
            .count();
        if proven < checked.len() {
            let failed = checked.len() - proven;
            Err(format!("{failed} of {} keys were not proven valid", checked.len()).into())
        } else {
            Ok(())
        }
    }
}

fn line(checked: &CheckedKey) -> String {
    let CheckedKey { provider, key, check, .. } = checked;
    let status = check.and_then(|check| check.status);
    let status = status.map(|status| format!(" (status {status})")).unwrap_or_default();
    let meaning = check.map_or("not known: the key is gone", |it| meaning(it.result));
    format!("  {provider} {}: {meaning}{status}", shown(key.as_str()))
}

fn meaning(result: CheckResult) -> &'static str {
    match result {
        CheckResult::Valid => "works",
        CheckResult::Invalid => "the provider refuses the key: replace it",
        CheckResult::OpenList => "not known: the provider's list of models is open to every caller",
        CheckResult::NoCall => {
            "not known: the provider has no free call that proves a key; set `check` to its path"
        }
        CheckResult::Forbidden => "not known: the key may not make this call",
        CheckResult::QuotaExceeded => "not known: its quota or balance is used up",
        CheckResult::RateLimited => "not known: too many requests",
        CheckResult::ServerError => "not known: the provider fails",
        CheckResult::Timeout => "not known: the provider did not respond in time",
        CheckResult::Unreachable => "not known: no connection, no secret, or the key may not be sent there",
        CheckResult::Unconfirmed => "not known: it was refused once, and not a second time",
        _ => "not known",
    }
}

fn report(config: &Config) -> String {
    let mut text = String::new();
    for provider in config.providers() {
        describe(&mut text, config, provider);
    }
    text += "\nroutes\n";
    let order = config.chain().order();
    let _ = writeln!(text, "  /v1/… -> {}", order.join(" -> "));
    for model in models(config) {
        let links = order.iter().filter_map(|name| config.provider(name));
        let links: Vec<_> = links.map(|it| format!("{} ({})", it.name(), name_at(it, &model))).collect();
        let _ = writeln!(text, "  /v1/… with model {} -> {}", shown(&model), links.join(" -> "));
    }
    for provider in config.providers() {
        let _ = writeln!(text, "  /{}/… -> {}, its keys only", provider.name(), provider.base_url());
    }
    let access =
        if config.requires_token() { "callers must send the token" } else { "every caller is accepted" };
    let _ = writeln!(text, "\naccess: {access}");
    for warning in config.warnings() {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

fn describe(text: &mut String, config: &Config, provider: &ProviderSettings) {
    let place = config.chain().order().iter().position(|name| name == provider.name());
    let place = place
        .map_or_else(|| "outside the chain".to_owned(), |place| format!("place {} of the chain", place + 1));
    let _ = writeln!(text, "{}: {place}, {}", provider.name(), provider.base_url());
    for key in provider.pool().snapshot().keys {
        let account = key.account.as_ref().map(|name| format!(", account {}", shown(name.as_str())));
        let tier = if key.tier == tower_key_rotation::key::Tier::Backup { ", backup" } else { "" };
        let _ = writeln!(text, "  key {}{tier}{}", shown(key.id.as_str()), account.unwrap_or_default());
        limits(text, &key);
    }
    for (from, to) in provider.models() {
        let from = if from == ProviderSettings::ANY_MODEL { "any other model" } else { from };
        let _ = writeln!(text, "  model {} -> {}", shown(from), shown(to));
    }
}

fn limits(text: &mut String, key: &KeySnapshot) {
    let of_models =
        key.model_limits.iter().flat_map(|it| it.limits.iter().map(move |limit| (Some(&it.model), limit)));
    for (model, limit) in key.limits.iter().map(|limit| (None, limit)).chain(of_models) {
        let window = limit.window.map(|window| format!(" per {window}")).unwrap_or_default();
        let model = model.map(|model| format!(" of {}", shown(model.as_str()))).unwrap_or_default();
        let _ = writeln!(text, "    limit: {} {}{window}{model}", limit.limit, limit.metric.as_str());
    }
}

/// Returns the models that some provider of the chain has another name for.
fn models(config: &Config) -> BTreeSet<String> {
    let links = config.chain().order().iter().filter_map(|name| config.provider(name));
    let names = links.flat_map(ProviderSettings::models).map(|(from, _)| from.to_owned());
    names.filter(|name| name != ProviderSettings::ANY_MODEL).collect()
}

/// Returns a provider's name for a model.
fn name_at(provider: &ProviderSettings, model: &str) -> String {
    let find = |wanted: &str| provider.models().find(|(from, _)| *from == wanted).map(|(_, to)| to);
    shown(find(model).or_else(|| find(ProviderSettings::ANY_MODEL)).unwrap_or(model))
}
