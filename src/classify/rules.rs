//! Rules as data: which names, words and statuses mean what, at one provider.
//!
//! A rule is a row: conditions, all of which must hold, and what they mean. A table is read from the top
//! and the first row that holds decides, so exceptions stand above what they are exceptions of. Names
//! (codes, types, reasons) are matched exactly, words loosely; a table belongs to one provider, because
//! the same word means opposite things at two of them.

use http::StatusCode;

use super::account_reason;
use super::answer::Answer;
use super::{Fault, Reason, Rejection, Scope, Verdict};

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    statuses: &'static [u16],
    names: &'static [&'static str],
    words: &'static [&'static str],
    then: Then,
    about: About,
}

/// What a refusal is about, as far as the row itself says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// For the response to say: see [`account_reason`].
    Unsaid,
    /// The account or the key.
    Account,
    /// One resource: a file, a cache, an endpoint.
    Resource,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    Fault(Reason, Scope),
    Rejected(Rejection),
}

/// A row that blames somebody.
pub(crate) const fn fault(reason: Reason, scope: Scope) -> Rule {
    Rule { statuses: &[], names: &[], words: &[], then: Then::Fault(reason, scope), about: About::Unsaid }
}

/// A row that gives the request back to the caller.
pub(crate) const fn reject(rejection: Rejection) -> Rule {
    Rule { statuses: &[], names: &[], words: &[], then: Then::Rejected(rejection), about: About::Unsaid }
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

    /// The refusal's reason lies in the account or the key, whatever was asked for.
    pub(crate) const fn of_account(mut self) -> Self {
        self.about = About::Account;
        self
    }

    /// The refusal concerns one resource, and says nothing of the key otherwise.
    pub(crate) const fn of_resource(mut self) -> Self {
        self.about = About::Resource;
        self
    }

    fn holds(&self, answer: &Answer<'_>) -> bool {
        let Self { statuses, names, words, then: _, about: _ } = self;
        (statuses.is_empty() || statuses.contains(&answer.status.as_u16()))
            && (names.is_empty() || names.iter().any(|name| answer.body.is_named(name)))
            && (words.is_empty() || words.iter().any(|words| answer.body.says(words)))
    }

    fn verdict(&self, answer: &Answer<'_>) -> Verdict {
        match self.then {
            Then::Fault(reason, scope) => self.told(answer, answer.said(reason, scope)).into(),
            Then::Rejected(rejection) => Verdict::Rejected(rejection),
        }
    }

    /// Whether a row about keys or quotas holds for more than the status.
    fn names_account(&self, answer: &Answer<'_>, reason: Reason) -> bool {
        let said = |name: &&str| answer.body.is_named(name) && !account_reason::is_generic(name);
        matches!(reason, Reason::InvalidKey | Reason::QuotaExceeded)
            && (!self.words.is_empty() || self.names.iter().any(said))
    }

    fn told(&self, answer: &Answer<'_>, fault: Fault) -> Fault {
        match self.about {
            About::Unsaid if self.names_account(answer, fault.reason()) => fault.account_reason(true),
            About::Unsaid => fault,
            About::Account => fault.account_reason(true),
            About::Resource => fault.account_reason(false).one_resource(true),
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
        self.said(reason, scope).into()
    }

    fn said(&self, reason: Reason, scope: Scope) -> Fault {
        Fault::new(reason, scope)
            .may_have_run(may_have_run(self.status))
            .retry_after(self.wait_for(reason))
            .account_reason(account_reason::is_named(self, reason))
    }
}
