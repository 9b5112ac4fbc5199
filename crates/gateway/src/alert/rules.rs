//! The rules that turn events into alerts.

/// Rules of a webhook: which incidents it gets.
///
/// ```
/// use tower_key_rotation_gateway::alert::Rules;
///
/// let rules = Rules::new().quota(0.9).rotations(60);
/// # drop(rules);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "give them to a webhook"]
pub struct Rules {
    pub(super) exhausted: bool,
    pub(super) key_invalid: bool,
    pub(super) breaker: bool,
    pub(super) state_lost: bool,
    pub(super) quota: Option<f64>,
    pub(super) rotations: Option<u32>,
}

// === impl Rules ===

impl Rules {
    /// Creates the default rules: exhausted pools and models, invalid keys, breakers, the store of state.
    pub const fn new() -> Self {
        Self {
            exhausted: true,
            key_invalid: true,
            breaker: true,
            state_lost: true,
            quota: None,
            rotations: None,
        }
    }

    /// Creates rules without any incident, to add some.
    pub const fn none() -> Self {
        Self {
            exhausted: false,
            key_invalid: false,
            breaker: false,
            state_lost: false,
            quota: None,
            rotations: None,
        }
    }

    /// Sets whether a pool or model without a usable key is an incident.
    pub const fn exhausted(mut self, alert: bool) -> Self {
        self.exhausted = alert;
        self
    }

    /// Sets whether an invalid key is an incident.
    pub const fn key_invalid(mut self, alert: bool) -> Self {
        self.key_invalid = alert;
        self
    }

    /// Sets whether an open circuit breaker is an incident.
    pub const fn breaker(mut self, alert: bool) -> Self {
        self.breaker = alert;
        self
    }

    /// Sets whether a store of state that fails is an incident.
    pub const fn state_lost(mut self, alert: bool) -> Self {
        self.state_lost = alert;
        self
    }

    /// Makes the used share of a limit an incident: from 0 to 1. Default: none.
    pub const fn quota(mut self, share: f64) -> Self {
        self.quota = Some(share);
        self
    }

    /// Makes more rotations than this within a minute an incident, for each provider. Default: none.
    pub const fn rotations(mut self, per_minute: u32) -> Self {
        self.rotations = Some(per_minute);
        self
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new()
    }
}
