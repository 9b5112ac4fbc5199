//! The settings of one simulated key.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::limits::Limits;
use super::script::Script;

/// A key as the provider knows it: a secret, what it may do, and a label for tests to speak of it.
///
/// Belongs to an account of its own, named like the key, unless [`account`](Self::account) says
/// otherwise.
#[derive(Clone)]
pub struct SimKey {
    pub(super) label: String,
    pub(super) secret: String,
    pub(super) account: String,
    pub(super) limits: Limits,
    pub(super) model_limits: HashMap<String, Limits>,
    pub(super) revoked: bool,
    pub(super) broke: bool,
    pub(super) forbidden: BTreeSet<String>,
    pub(super) script: Script,
    pub(super) latency: Option<Latency>,
}

/// How long the provider thinks before it sends the head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Latency {
    /// No time at all.
    #[default]
    None,
    /// Always this long.
    Fixed(Duration),
    /// Evenly spread over the range, by the simulator's seed.
    Uniform(Range<Duration>),
}

// === impl SimKey ===

impl SimKey {
    /// A key without limits.
    pub fn new(label: impl Into<String>, secret: impl Into<String>) -> Self {
        let label = label.into();
        Self {
            account: label.clone(),
            label,
            secret: secret.into(),
            limits: Limits::new(),
            model_limits: HashMap::new(),
            revoked: false,
            broke: false,
            forbidden: BTreeSet::new(),
            script: Script::new(),
            latency: None,
        }
    }

    /// The account that pays for the key and whose limits it shares.
    pub fn account(mut self, name: impl Into<String>) -> Self {
        self.account = name.into();
        self
    }

    /// The key's own limits, beside its account's.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The key's own limits for one model, in place of [`limits`](Self::limits).
    pub fn model_limits(mut self, model: impl Into<String>, limits: Limits) -> Self {
        self.model_limits.insert(model.into(), limits);
        self
    }

    /// The key is no longer valid.
    pub fn revoked(mut self) -> Self {
        self.revoked = true;
        self
    }

    /// The key's account has no money, and so has none of its other keys.
    pub fn out_of_credit(mut self) -> Self {
        self.broke = true;
        self
    }

    /// The key may not use `model`.
    pub fn forbid_model(mut self, model: impl Into<String>) -> Self {
        self.forbidden.insert(model.into());
        self
    }

    /// What happens to calls with this key, after the provider's own script let them pass.
    pub fn script(mut self, script: impl Into<Script>) -> Self {
        self.script = script.into();
        self
    }

    /// The latency of this key, in place of the provider's.
    pub fn latency(mut self, latency: Latency) -> Self {
        self.latency = Some(latency);
        self
    }
}

impl<L: Into<String>, S: Into<String>> From<(L, S)> for SimKey {
    fn from((label, secret): (L, S)) -> Self {
        Self::new(label, secret)
    }
}

impl fmt::Debug for SimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            label,
            secret: _,
            account,
            limits,
            model_limits,
            revoked,
            broke,
            forbidden,
            script,
            latency,
        } = self;
        f.debug_struct("SimKey")
            .field("label", label)
            .field("account", account)
            .field("limits", limits)
            .field("model_limits", model_limits)
            .field("revoked", revoked)
            .field("out_of_credit", broke)
            .field("forbidden", forbidden)
            .field("script", script)
            .field("latency", latency)
            .finish_non_exhaustive()
    }
}

// === impl Latency ===

impl Latency {
    pub(super) fn draw(&self, rng: &mut fastrand::Rng) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Fixed(time) => *time,
            Self::Uniform(range) => {
                let width = range.end.saturating_sub(range.start);
                range.start + width.mul_f64(rng.f64())
            }
        }
    }
}
