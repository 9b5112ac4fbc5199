//! Rules as data: which names, words and statuses mean what, at one provider.
//!
//! A rule is a row: conditions, all of which must hold, and what they mean. A table is read from the top
//! and the first row that holds decides, so exceptions stand above what they are exceptions of. Names
//! (codes, types, reasons) are matched exactly, words loosely; a table belongs to one provider, because
//! the same word means opposite things at two of them.

use http::StatusCode;

use super::answer::Answer;
use super::{Fault, Reason, Rejection, Scope, Verdict};

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    statuses: &'static [u16],
    names: &'static [&'static str],
    words: &'static [&'static str],
    then: Then,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    Fault(Reason, Scope),
    Rejected(Rejection),
}

/// A row that blames somebody.
pub(crate) const fn fault(reason: Reason, scope: Scope) -> Rule {
    Rule { statuses: &[], names: &[], words: &[], then: Then::Fault(reason, scope) }
}

/// A row that gives the request back to the caller.
pub(crate) const fn reject(rejection: Rejection) -> Rule {
    Rule { statuses: &[], names: &[], words: &[], then: Then::Rejected(rejection) }
}

/// The verdict of the first row that holds.
pub(crate) fn judge(rules: &[Rule], answer: &Answer<'_>) -> Option<Verdict> {
    rules.iter().find(|rule| rule.holds(answer)).map(|rule| rule.verdict(answer))
}

impl Rule {
    /// Holds only for these statuses.
    pub(crate) const fn on(mut self, statuses: &'static [u16]) -> Self {
        self.statuses = statuses;
        self
    }

    /// Holds only if a code, type or reason is one of these.
    pub(crate) const fn named(mut self, names: &'static [&'static str]) -> Self {
        self.names = names;
        self
    }

    /// Holds only if the message contains one of these, which are in lower case.
    pub(crate) const fn says(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }

    fn holds(&self, answer: &Answer<'_>) -> bool {
        let Self { statuses, names, words, then: _ } = self;
        (statuses.is_empty() || statuses.contains(&answer.status.as_u16()))
            && (names.is_empty() || names.iter().any(|name| answer.body.is_named(name)))
            && (words.is_empty() || words.iter().any(|words| answer.body.says(words)))
    }

    fn verdict(&self, answer: &Answer<'_>) -> Verdict {
        match self.then {
            Then::Fault(reason, scope) => answer.fault(reason, scope),
            Then::Rejected(rejection) => Verdict::Rejected(rejection),
        }
    }
}

/// Whether a request that got this status may have been executed: a gateway before the provider stopped waiting
/// for the response (408, 499, 504, 524), or got one that it could not read (520,
/// <https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/error-520/>).
pub(crate) fn may_have_run(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 499 | 504 | 520 | 524)
}

impl Answer<'_> {
    /// A fault with the wait that this answer names for it.
    pub(crate) fn fault(&self, reason: Reason, scope: Scope) -> Verdict {
        let may_have_run = may_have_run(self.status);
        Fault::new(reason, scope).may_have_run(may_have_run).retry_after(self.wait_for(reason)).into()
    }
}
