//! Problems of a `[[provider.rule]]` table.

use tower_key_rotation::UnknownWord;
use tower_key_rotation::provider::RuleProblem;

/// The kind of problem in a `[[provider.rule]]` table.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRule {
    /// A part can never hold, contradicts another, or is missing.
    #[error("{0}")]
    Part(RuleProblem),
    /// A rule before this one holds whenever this one does.
    #[error("this rule never decides, because rule[{by}] holds whenever it does: remove it, or move it up")]
    Hidden {
        /// Index of the rule before it.
        by: usize,
    },
    /// A fault has no reason.
    #[error("a fault without a reason: add `reason`, such as `quota_exceeded`")]
    NoReason,
    /// A verdict other than a fault has a reason or a scope.
    #[error("only a fault has this: remove it, or make the verdict a fault")]
    OfFault,
    /// The reason is unknown.
    #[error("not a reason: {0}")]
    Reason(UnknownWord),
    /// The scope is unknown.
    #[error("not a scope: {0}")]
    Scope(UnknownWord),
    /// The end of the cooldown is invalid.
    #[error("write `midnight`, which is the provider's, or `midnight utc` or `midnight pacific`")]
    Until,
}
