//! The words of settings that are not words of the library.

/// Incidents that `on` of an alert lists.
pub(super) const ALERT_RULES: &[&str] = &["breaker", "exhausted", "key_invalid", "state_lost"];

/// Formats of alerts.
pub(super) const ALERT_FORMATS: &[&str] = &["alertmanager", "discord", "json", "pagerduty", "slack"];

/// Clouds of a provider.
pub(super) const CLOUDS: &[&str] = &["azure", "bedrock", "bedrock-mantle", "vertex"];

/// Verdicts of a rule.
pub(super) const VERDICTS: &[&str] = &["fault", "deliver", "ignore"];
