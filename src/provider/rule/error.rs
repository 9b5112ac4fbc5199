//! Errors of building a rule.

use std::fmt;

/// An error from building a [`Rule`](crate::provider::Rule): a part that can never hold, contradicts another, or
/// is missing.
///
/// Displayed with its place: ``status[1]: not a status: write a number from 200 to 999``.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", Place(*.field, *.index))]
pub struct RuleError {
    field: RuleField,
    index: Option<usize>,
    problem: RuleProblem,
}

/// A part of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RuleField {
    /// Codes of the error.
    Code,
    /// Headers of the response.
    Header,
    /// Name of the rule.
    Name,
    /// Paths of the request.
    Path,
    /// Words of the message.
    Says,
    /// Statuses of the response.
    Status,
    /// End of the cooldown.
    Until,
    /// Verdict of the rule.
    Verdict,
    /// Length of the cooldown.
    Wait,
    /// The rule as a whole.
    Whole,
}

/// The kind of problem in a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RuleProblem {
    /// A text has no letter and no digit, so nothing can be found by it.
    #[error("no text: write a letter or a digit at least")]
    Empty,
    /// Every success of the provider would get this verdict.
    #[error("every success would get this verdict: add `code`, `says` or `header`, or remove the status")]
    EverySuccess,
    /// A header has an invalid name or value.
    #[error("not a header: write `x-name`, or `x-name: value`")]
    Header,
    /// The name is empty, too long, or has a control character.
    #[error("not a name: write 1 to 64 printable characters")]
    Name,
    /// The body of a response with such a status is always empty.
    #[error("a response with this status has no body: remove `code` and `says`, or add another status")]
    NoBody,
    /// The rule has no condition.
    #[error("a rule without a condition: add `status`, `code`, `says`, `header` or `path`")]
    NoCondition,
    /// The rule has no verdict.
    #[error("a rule without a verdict: add `fault`, `deliver` or `ignore`")]
    NoVerdict,
    /// A path can't be that of a request.
    #[error("not a path: begin it with `/` or `*`, and leave out `?`, `#` and spaces")]
    Path,
    /// A status is out of range.
    #[error("not a status: write a number from 200 to 999")]
    Status,
    /// The rule has several verdicts.
    #[error("a rule with several verdicts: keep one")]
    TwoVerdicts,
    /// The rule has a wait and an end.
    #[error("a rule with `wait` and `until`: keep one")]
    TwoWaits,
    /// The verdict is no fault, so nothing waits.
    #[error("only a fault has a cooldown: remove this, or make the verdict a fault")]
    WaitOfNoFault,
    /// An invalid key is out until it is replaced, so its wait has no effect.
    #[error(
        "an invalid key is out until it is replaced: remove this, or use the reason `forbidden` or `quota_exceeded`"
    )]
    WaitOfInvalidKey,
    /// The scope is none, so nothing waits.
    #[error("the scope `none` has no cooldown: remove this, or choose another scope")]
    WaitOfNoScope,
    /// The wait is zero.
    #[error("a wait of zero: write a longer one, or remove it")]
    ZeroWait,
}

struct Place(RuleField, Option<usize>);

// === impl RuleError ===

impl RuleError {
    /// Returns the part of the rule.
    pub const fn field(&self) -> RuleField {
        self.field
    }

    /// Returns the index of the condition among those of its kind, from zero; `None` for a part that is not a
    /// list.
    pub const fn index(&self) -> Option<usize> {
        self.index
    }

    /// Returns the problem.
    pub const fn problem(&self) -> RuleProblem {
        self.problem
    }
}

// === impl RuleProblem ===

impl RuleProblem {
    pub(super) const fn at(self, field: RuleField) -> RuleError {
        RuleError { field, index: None, problem: self }
    }

    pub(super) const fn at_index(self, field: RuleField, index: usize) -> RuleError {
        RuleError { field, index: Some(index), problem: self }
    }
}

// === impl RuleField ===

impl RuleField {
    /// Returns the name of the part, as it is in a configuration file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Header => "header",
            Self::Name => "name",
            Self::Path => "path",
            Self::Says => "says",
            Self::Status => "status",
            Self::Until => "until",
            Self::Verdict => "verdict",
            Self::Wait => "wait",
            Self::Whole => "rule",
        }
    }
}

impl fmt::Display for RuleField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(field, Some(index)) => write!(f, "{field}[{index}]"),
            Self(field, None) => field.fmt(f),
        }
    }
}
