//! The `[[alert]]` tables, which make webhooks.

use crate::alert::{Rules, Webhook, WebhookFormat};
use crate::config::choices::{ALERT_FORMATS, ALERT_RULES};
use crate::config::duration;
use crate::config::error::{ConfigError, Problem};
use crate::config::file::AlertTable;
use crate::config::location::ValuePath;
use crate::config::secret::Sources;
use crate::config::text::is_printable;

pub(super) fn webhooks(tables: Vec<AlertTable>, sources: &Sources) -> Result<Vec<Webhook>, ConfigError> {
    let root = ValuePath::default().field("alert");
    let tables = tables.into_iter().enumerate();
    tables.map(|(index, table)| webhook(table, sources, &root.index(index))).collect()
}

fn webhook(table: AlertTable, sources: &Sources, at: &ValuePath) -> Result<Webhook, ConfigError> {
    let format = format(table.format.as_deref(), &at.field("format"))?;
    let name = table.name.filter(|name| is_printable(name)).unwrap_or_else(|| format.as_str().to_owned());
    let webhook = Webhook::new(name, table.url.url(sources, &at.field("url"))?).format(format);
    let mut rules = rules(table.on.as_deref(), &at.field("on"))?;
    if let Some(share) = table.quota {
        if !(share > 0.0 && share <= 1.0) {
            return Err(Problem::Share.at(at.field("quota")));
        }
        rules = rules.quota(share);
    }
    if let Some(rotations) = table.rotations_per_minute {
        rules = rules.rotations(rotations.get());
    }
    let webhook = match table.secret {
        Some(secret) => webhook.secret(secret.signing(sources, &at.field("secret"))?),
        None => webhook,
    };
    let wait = duration::optional(table.group_wait, &at.field("group_wait"))?;
    let webhook = wait.into_iter().fold(webhook, Webhook::group_wait);
    Ok(webhook.rules(rules))
}

fn format(word: Option<&str>, at: &ValuePath) -> Result<WebhookFormat, ConfigError> {
    let Some(word) = word else { return Ok(WebhookFormat::default()) };
    let known = WebhookFormat::ALL.into_iter().find(|format| format.as_str() == word);
    known.ok_or_else(|| Problem::Choice { allowed: ALERT_FORMATS }.at(at.clone()))
}

fn rules(on: Option<&[String]>, at: &ValuePath) -> Result<Rules, ConfigError> {
    let Some(on) = on else { return Ok(Rules::new()) };
    let mut rules = Rules::none();
    for (index, rule) in on.iter().enumerate() {
        rules = match rule.as_str() {
            "breaker" => rules.breaker(true),
            "exhausted" => rules.exhausted(true),
            "key_invalid" => rules.key_invalid(true),
            "state_lost" => rules.state_lost(true),
            _ => return Err(Problem::Choice { allowed: ALERT_RULES }.at(at.index(index))),
        };
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_in_errors_are_those_of_the_formats() {
        let mut names = WebhookFormat::ALL.map(WebhookFormat::as_str);
        names.sort_unstable();
        assert_eq!(names, ALERT_FORMATS);
    }
}
