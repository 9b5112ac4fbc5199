//! The bodies of messages in the shapes of their receivers.

use serde_json::{Map, Value, json};
use tower_key_rotation::clock::Timestamp;

use crate::alert::incident::{Alert, AlertState, Severity};

/// Maximum number of alerts that a message for people lists (20).
const LISTED: usize = 20;

/// Maximum number of embeds in a message of Discord, and of characters in a description, by its documentation of
/// webhooks.
const EMBEDS: usize = 10;
const DESCRIPTION: usize = 2_000;

pub(super) fn json(alerts: &[Alert]) -> Value {
    let id = alerts.first().map_or("", |alert| alert.id.as_str());
    json!({"id": id, "text": lines(alerts, str::to_owned), "alerts": alerts})
}

/// Slack interprets `&`, `<` and `>` in texts, by its documentation of formatting.
pub(super) fn slack(alerts: &[Alert]) -> Value {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json!({"text": lines(alerts, escape)})
}

/// Mentions are off, because callers choose the names of models.
pub(super) fn discord(alerts: &[Alert]) -> Value {
    let embed = |alert: &Alert| {
        let colour = match (alert.state, alert.severity) {
            (AlertState::Resolved, _) => 0x2f_b3_80,
            (_, Severity::Warning) => 0xf0_a9_2b,
            (_, Severity::Critical) => 0xe5_57_4c,
        };
        let description: String = alert.summary.chars().take(DESCRIPTION).collect();
        json!({"description": description, "color": colour, "timestamp": rfc3339(alert.at)})
    };
    let embeds: Vec<_> = alerts.iter().take(EMBEDS).map(embed).collect();
    let more = alerts.len().saturating_sub(EMBEDS);
    let content = if more > 0 { format!("and {more} more") } else { String::new() };
    json!({"content": content, "embeds": embeds, "allowed_mentions": {"parse": []}})
}

/// Events API v2: the deduplication key makes one incident of both alerts.
pub(super) fn pagerduty(alert: &Alert, routing_key: &str) -> Value {
    let action = match alert.state {
        AlertState::Firing => "trigger",
        AlertState::Resolved => "resolve",
    };
    let key: String = alert.incident.chars().take(255).collect();
    json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": key,
        "client": "key-rotation-gateway",
        "payload": {
            "summary": alert.summary.chars().take(1_024).collect::<String>(),
            "source": alert.provider,
            "severity": alert.severity.as_str(),
            "timestamp": rfc3339(alert.at),
            "class": alert.rule,
            "custom_details": {"key": alert.key, "model": alert.model},
        },
    })
}

pub(super) fn alertmanager(alerts: &[Alert]) -> Value {
    alerts.iter().map(alertmanager_alert).collect()
}

/// Alertmanager knows an incident by its labels.
fn alertmanager_alert(alert: &Alert) -> Value {
    let names = [("key", &alert.key), ("model", &alert.model)];
    let mut labels: Map<String, Value> = names
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into())))
        .collect();
    for (name, value) in
        [("alertname", alert.rule), ("provider", &alert.provider), ("severity", alert.severity.as_str())]
    {
        labels.insert(name.to_owned(), value.into());
    }
    labels.insert("incident".to_owned(), alert.incident.clone().into());
    let mut value = json!({"labels": labels, "annotations": {"summary": alert.summary}});
    let end = match alert.state {
        AlertState::Firing => "startsAt",
        AlertState::Resolved => "endsAt",
    };
    value[end] = rfc3339(alert.at).into();
    value
}

/// Returns the summaries, one a line.
fn lines(alerts: &[Alert], escape: impl Fn(&str) -> String) -> String {
    let mut lines: Vec<_> = alerts.iter().take(LISTED).map(|alert| escape(&alert.summary)).collect();
    if alerts.len() > LISTED {
        lines.push(format!("and {} more", alerts.len() - LISTED));
    }
    lines.join("\n")
}

fn rfc3339(at: Timestamp) -> String {
    let ms = i64::try_from(at.as_unix_ms()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |at| at.to_string())
}
