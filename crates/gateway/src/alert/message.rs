//! The requests that a format makes of alerts.

use serde_json::Value;

use crate::alert::incident::Alert;
use crate::alert::shape;

/// The format of a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookFormat {
    /// An object with `id`, `text` and `alerts`.
    #[default]
    Json,
    /// Slack's incoming webhooks, and those of Mattermost.
    Slack,
    /// Discord's webhooks.
    Discord,
    /// PagerDuty's Events API v2. The secret is the routing key.
    PagerDuty,
    /// Prometheus' Alertmanager, API v2.
    Alertmanager,
}

// === impl WebhookFormat ===

impl WebhookFormat {
    /// All formats.
    pub const ALL: [Self; 5] = [Self::Json, Self::Slack, Self::Discord, Self::PagerDuty, Self::Alertmanager];

    /// Returns the name in a configuration file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::PagerDuty => "pagerduty",
            Self::Alertmanager => "alertmanager",
        }
    }

    /// Returns the bodies of the requests for a group of alerts. `routing_key` is for PagerDuty.
    pub(super) fn bodies(self, alerts: &[Alert], routing_key: &str) -> Vec<Value> {
        match self {
            Self::Json => vec![shape::json(alerts)],
            Self::Slack => vec![shape::slack(alerts)],
            Self::Discord => vec![shape::discord(alerts)],
            Self::PagerDuty => alerts.iter().map(|alert| shape::pagerduty(alert, routing_key)).collect(),
            Self::Alertmanager => vec![shape::alertmanager(alerts)],
        }
    }
}
