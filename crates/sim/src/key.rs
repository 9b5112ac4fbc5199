//! The settings of one simulated key.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::quota::Limits;
use crate::script::Script;

/// A key of a simulated provider: its secret, what it may do, and the label by which tests refer to it.
///
/// The key belongs to an account of its own, which has the name of the key's label, unless
/// [`account`](Self::account) names another. A pair of label and secret converts into a `SimKey` without
/// limits.
///
/// ```
/// use std::time::Duration;
///
/// use tower_key_rotation_sim::{Latency, Limits, SimKey, Simulator};
///
/// let first = SimKey::new("first", "sk-1")
///     .limits(Limits::new().requests_per_minute(60))
///     .model_limits("gpt-4o", Limits::new().requests_per_minute(5))
///     .forbid_model("o3")
///     .latency(Latency::Fixed(Duration::from_millis(200)));
/// let sim = Simulator::openai().key(first).key(("second", "sk-2")).build();
///
/// assert_eq!(sim.key("first").headroom("gpt-4o").requests, Some(5.0));
/// assert_eq!(sim.key("first").headroom("gpt-4o-mini").requests, Some(60.0));
/// assert_eq!(sim.key("second").headroom("gpt-4o").requests, None);
/// ```
#[derive(Clone)]
pub struct SimKey {
    pub(crate) label: String,
    pub(crate) secret: String,
    pub(crate) account: String,
    pub(crate) limits: Limits,
    pub(crate) model_limits: HashMap<String, Limits>,
    pub(crate) revoked: bool,
    pub(crate) out_of_credit: bool,
    pub(crate) forbidden: BTreeSet<String>,
    pub(crate) script: Script,
    pub(crate) latency: Option<Latency>,
}

/// The time that a simulated provider takes before it sends the response head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Latency {
    /// No time.
    #[default]
    None,
    /// Always this time.
    Fixed(Duration),
    /// A random time, uniformly distributed over this range, its end excluded. An empty range is its start. The
    /// simulator's [seed](crate::SimBuilder::seed) determines the sequence of times.
    Uniform(Range<Duration>),
}

// === impl SimKey ===

impl SimKey {
    /// Creates a valid key without limits.
    pub fn new(label: impl Into<String>, secret: impl Into<String>) -> Self {
        let label = label.into();
        Self {
            account: label.clone(),
            label,
            secret: secret.into(),
            limits: Limits::new(),
            model_limits: HashMap::new(),
            revoked: false,
            out_of_credit: false,
            forbidden: BTreeSet::new(),
            script: Script::new(),
            latency: None,
        }
    }

    /// Sets the account that pays for the key and whose limits it shares.
    ///
    /// Default: an account of its own, named like the key's label.
    pub fn account(mut self, name: impl Into<String>) -> Self {
        self.account = name.into();
        self
    }

    /// Sets the key's own limits, which apply in addition to those of its account. Default: none.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the key's own limits for one model. They replace [`limits`](Self::limits) for that model.
    /// Default: none.
    pub fn model_limits(mut self, model: impl Into<String>, limits: Limits) -> Self {
        self.model_limits.insert(model.into(), limits);
        self
    }

    /// Revokes the key: calls with it are refused as [`Refusal::InvalidKey`](crate::Refusal::InvalidKey).
    /// Default: not revoked.
    pub fn revoked(mut self) -> Self {
        self.revoked = true;
        self
    }

    /// Takes all credit from the key's account, and so from every other key of that account. Default: the
    /// account keeps its credit.
    pub fn out_of_credit(mut self) -> Self {
        self.out_of_credit = true;
        self
    }

    /// Forbids the key to use `model`. May be called for several models. Default: all models are allowed.
    pub fn forbid_model(mut self, model: impl Into<String>) -> Self {
        self.forbidden.insert(model.into());
        self
    }

    /// Sets the script that applies to calls with this key. Default: no faults.
    ///
    /// The provider's own script comes first: a fault of it that replaces the response leaves this script
    /// untouched.
    pub fn script(mut self, script: impl Into<Script>) -> Self {
        self.script = script.into();
        self
    }

    /// Sets the time before each response head, in place of the provider's
    /// [latency](crate::SimBuilder::latency). Default: the provider's.
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
            out_of_credit,
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
            .field("out_of_credit", out_of_credit)
            .field("forbidden", forbidden)
            .field("script", script)
            .field("latency", latency)
            .finish_non_exhaustive()
    }
}

// === impl Latency ===

impl Latency {
    /// Returns the latency of one call.
    pub(crate) fn draw(&self, rng: &mut fastrand::Rng) -> Duration {
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
