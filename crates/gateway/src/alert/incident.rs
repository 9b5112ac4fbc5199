//! Alerts, and the incidents that they are about.

use serde::Serialize;
use tower_key_rotation::clock::Timestamp;

/// One alert: an incident has begun or ended. Contains no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Alert {
    /// Identifies the alert, the same whenever it is sent again.
    pub id: String,
    /// Identifies the incident: the same for both of its alerts, and for the next incident of the same kind.
    pub incident: String,
    /// Whether the incident has begun or ended.
    pub state: AlertState,
    /// The severity of the incident.
    pub severity: Severity,
    /// The rule: `exhausted`, `key_invalid`, `breaker`, `state_lost`, `quota`, `rotations` or `test`.
    pub rule: &'static str,
    /// Name of the provider; of the store for `state_lost`.
    pub provider: String,
    /// The key, if the incident is about one.
    pub key: Option<String>,
    /// The model, if the incident is about one.
    pub model: Option<String>,
    /// One sentence for people.
    pub summary: String,
    /// Time of the event.
    pub at: Timestamp,
}

/// Whether an incident has begun or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AlertState {
    /// The incident has begun.
    Firing,
    /// The incident has ended.
    Resolved,
}

/// The severity of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// Requests are still served.
    Warning,
    /// Requests may fail.
    Critical,
}

// === impl Alert ===

impl Alert {
    /// Creates an alert that only shows that a webhook works.
    pub fn test() -> Self {
        Self::new("test", Severity::Warning, "test", Timestamp::now())
            .says("This is a test of key-rotation-gateway. No key is concerned.".to_owned())
    }

    pub(super) fn new(rule: &'static str, severity: Severity, provider: &str, at: Timestamp) -> Self {
        let incident = format!("{rule}/{provider}");
        Self {
            id: String::new(),
            incident,
            state: AlertState::Firing,
            severity,
            rule,
            provider: provider.to_owned(),
            key: None,
            model: None,
            summary: String::new(),
            at,
        }
        .identified()
    }

    /// Adds a part to the identity of the incident.
    pub(super) fn about(mut self, part: &str) -> Self {
        self.incident = format!("{}/{part}", self.incident);
        self.identified()
    }

    pub(super) fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self.about(key)
    }

    pub(super) fn model(mut self, model: Option<&str>) -> Self {
        self.model = model.map(str::to_owned);
        match model {
            Some(model) => self.about(model),
            None => self,
        }
    }

    pub(super) fn says(mut self, summary: String) -> Self {
        self.summary = summary;
        self
    }

    /// Returns the alert that ends the incident.
    pub(super) fn resolved(mut self, at: Timestamp) -> Self {
        self.state = AlertState::Resolved;
        self.at = at;
        self.summary = format!("Over: {}", self.summary);
        self.identified()
    }

    fn identified(mut self) -> Self {
        self.id = format!("{}/{}/{}", self.incident, self.at.as_unix_ms(), self.state.as_str());
        self
    }
}

// === impl AlertState ===

impl AlertState {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

// === impl Severity ===

impl Severity {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}
