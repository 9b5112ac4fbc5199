//! The verdict of a rule.

use std::time::Duration;

use crate::classify::response::UpstreamResponse;
use crate::classify::{Reason, Rejection, Scope, Verdict, Why};
use crate::provider::rule::error::{RuleError, RuleField, RuleProblem};
use crate::zone::Zone;

/// The verdict of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    Fault { reason: Reason, scope: Scope, cooldown: Option<Cooldown> },
    Deliver,
    Ignore,
}

/// The end of a cooldown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cooldown {
    After(Duration),
    At(Midnight),
}

/// A midnight, the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Midnight {
    OfProvider,
    In(Zone),
}

/// The settings from which a verdict is made.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) verdicts: Vec<Consequence>,
    pub(super) wait: Option<Duration>,
    pub(super) midnight: Option<Midnight>,
}

// === impl Settings ===

impl Settings {
    pub(super) fn check(self) -> Result<Consequence, RuleError> {
        let Self { mut verdicts, wait, midnight } = self;
        let Some(verdict) = verdicts.pop() else { return Err(RuleProblem::NoVerdict.at(RuleField::Verdict)) };
        if !verdicts.is_empty() {
            return Err(RuleProblem::TwoVerdicts.at(RuleField::Verdict));
        }
        let (field, cooldown) = match (wait, midnight) {
            (None, None) => return Ok(verdict),
            (Some(_), Some(_)) => return Err(RuleProblem::TwoWaits.at(RuleField::Until)),
            (Some(wait), None) if wait.is_zero() => return Err(RuleProblem::ZeroWait.at(RuleField::Wait)),
            (Some(wait), None) => (RuleField::Wait, Cooldown::After(wait)),
            (None, Some(midnight)) => (RuleField::Until, Cooldown::At(midnight)),
        };
        verdict.with_cooldown(cooldown).map_err(|problem| problem.at(field))
    }
}

// === impl Consequence ===

impl Consequence {
    pub(super) const fn fault(reason: Reason, scope: Scope) -> Self {
        Self::Fault { reason, scope, cooldown: None }
    }

    fn with_cooldown(self, cooldown: Cooldown) -> Result<Self, RuleProblem> {
        match self {
            Self::Deliver | Self::Ignore => Err(RuleProblem::WaitOfNoFault),
            Self::Fault { reason: Reason::InvalidKey, .. } => Err(RuleProblem::WaitOfInvalidKey),
            Self::Fault { scope: Scope::None, .. } => Err(RuleProblem::WaitOfNoScope),
            Self::Fault { reason, scope, .. } => Ok(Self::Fault { reason, scope, cooldown: Some(cooldown) }),
        }
    }

    /// Returns the verdict. Whether the request may have been executed depends on the status, whatever the
    /// reason that the rule gives it.
    pub(super) fn verdict(&self, response: &UpstreamResponse<'_>, index: u16, midnight: Zone) -> Verdict {
        let (reason, scope, cooldown) = match self {
            Self::Deliver => return Verdict::Rejected(Rejection::Invalid),
            Self::Ignore => return Verdict::Success,
            Self::Fault { reason, scope, cooldown } => (*reason, *scope, cooldown),
        };
        let fault = response.said(reason, scope).with_account_reason(true).with_why(Why::OwnRule(index));
        let until_midnight = |zone: &Zone| zone.next_midnight(response.now).saturating_since(response.now);
        let fault = match cooldown {
            None => fault,
            Some(Cooldown::After(wait)) => fault.with_fixed_wait(*wait),
            Some(Cooldown::At(Midnight::In(zone))) => fault.with_fixed_wait(until_midnight(zone)),
            Some(Cooldown::At(Midnight::OfProvider)) => fault.with_fixed_wait(until_midnight(&midnight)),
        };
        fault.into()
    }
}
