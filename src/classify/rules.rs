//! Rules as data: the meaning of names, words and statuses at one provider.
//!
//! A rule is a row of conditions, all of which must hold, and the verdict that they imply. A table is read
//! from the top and the first row that holds decides, so a row stands above the rows that it is an exception
//! to. Names (codes, types, reasons) are matched exactly, words loosely.
//!
//! A table belongs to one provider, because the same word can mean opposite things at two of them.
//!
//! Rows with names or words come before the [meaning](crate::classify::meaning) of the response, rows with
//! statuses only come after it.

use std::fmt;

use crate::classify::meaning::is_generic_name;
use crate::classify::response::UpstreamResponse;
use crate::classify::{Fault, Reason, Rejection, Scope, Verdict, Why};

/// One row of a rule table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    statuses: &'static [u16],
    names: &'static [&'static str],
    words: &'static [&'static str],
    then: Then,
    about: About,
}

/// The subject of an error response, as far as the row itself determines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// Not determined by the row: the meaning of the response decides.
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

/// Creates a row whose verdict is a fault.
pub(crate) const fn fault(reason: Reason, scope: Scope) -> Rule {
    Rule { statuses: &[], names: &[], words: &[], then: Then::Fault(reason, scope), about: About::Unsaid }
}

/// Creates a row whose verdict rejects the request.
pub(crate) const fn reject(rejection: Rejection) -> Rule {
    Rule { statuses: &[], names: &[], words: &[], then: Then::Rejected(rejection), about: About::Unsaid }
}

/// Returns the verdict of the first row with names or words that holds, and that row.
pub(crate) fn judge<'r>(rules: &'r [Rule], response: &UpstreamResponse<'_>) -> Option<(Verdict, &'r Rule)> {
    let mut rows = rules.iter().filter(|rule| !rule.is_bare());
    let row = rows.find(|rule| rule.holds(response))?;
    Some((row.verdict(response).with_why(Why::Rule), row))
}

/// Returns the verdict of the first row with statuses only that holds, and that row.
pub(crate) fn judge_status<'r>(
    rules: &'r [Rule],
    response: &UpstreamResponse<'_>,
) -> Option<(Verdict, &'r Rule)> {
    let mut rows = rules.iter().filter(|rule| rule.is_bare());
    let row = rows.find(|rule| rule.holds(response))?;
    Some((row.verdict(response).with_why(Why::Status), row))
}

impl Rule {
    /// Restricts the row to these statuses.
    pub(crate) const fn on(mut self, statuses: &'static [u16]) -> Self {
        self.statuses = statuses;
        self
    }

    /// Restricts the row to bodies with a code, type or reason that is one of these.
    pub(crate) const fn named(mut self, names: &'static [&'static str]) -> Self {
        self.names = names;
        self
    }

    /// Restricts the row to messages that contain one of these phrases, which must be in lower case.
    pub(crate) const fn says(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }

    /// Marks the reason as one that lies in the account or the key, independent of the request.
    pub(crate) const fn of_account(mut self) -> Self {
        self.about = About::Account;
        self
    }

    /// Marks the error as one about a single resource, which says nothing else about the key.
    pub(crate) const fn of_resource(mut self) -> Self {
        self.about = About::Resource;
        self
    }

    /// Returns whether the row has statuses only.
    const fn is_bare(&self) -> bool {
        self.names.is_empty() && self.words.is_empty()
    }

    fn holds(&self, response: &UpstreamResponse<'_>) -> bool {
        let Self { statuses, names, words, then: _, about: _ } = self;
        (statuses.is_empty() || statuses.contains(&response.status.as_u16()))
            && (names.is_empty() || names.iter().any(|name| response.body.is_named(name)))
            && (words.is_empty() || words.iter().any(|words| response.body.says(words)))
    }

    fn verdict(&self, response: &UpstreamResponse<'_>) -> Verdict {
        match self.then {
            Then::Fault(reason, scope) => self.told(response, response.said(reason, scope)).into(),
            Then::Rejected(rejection) => Verdict::Rejected(rejection),
        }
    }

    /// Returns whether a row about keys or quotas holds because of more than the status.
    fn names_account(&self, response: &UpstreamResponse<'_>, reason: Reason) -> bool {
        let said = |name: &&str| response.body.is_named(name) && !is_generic_name(name);
        matches!(reason, Reason::InvalidKey | Reason::QuotaExceeded)
            && (!self.words.is_empty() || self.names.iter().any(said))
    }

    fn told(&self, response: &UpstreamResponse<'_>, fault: Fault) -> Fault {
        match self.about {
            About::Unsaid if self.names_account(response, fault.reason()) => fault.with_account_reason(true),
            About::Unsaid => fault,
            About::Account => fault.with_account_reason(true),
            About::Resource => fault.with_account_reason(false).with_one_resource(true),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { statuses, names, words, then: _, about: _ } = self;
        let statuses: Vec<_> = statuses.iter().map(u16::to_string).collect();
        let statuses: Vec<_> = statuses.iter().map(String::as_str).collect();
        let mut separator = "";
        for (kind, any_of) in [("status", &statuses[..]), ("code", names), ("says", words)] {
            if !any_of.is_empty() {
                write!(f, "{separator}{kind}: {}", any_of.join(" | "))?;
                separator = "; ";
            }
        }
        Ok(())
    }
}
