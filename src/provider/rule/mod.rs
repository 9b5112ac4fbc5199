//! Rules of an operator: conditions on a response, and the verdict that they imply.
//!
//! A provider's [rules](crate::Provider::rules) are read in their order before its built-in classification. The first
//! rule whose conditions all hold decides.

mod conditions;
mod consequence;
mod error;
mod phrase;
mod seen;

use std::time::Duration;

pub use self::error::{RuleError, RuleField, RuleProblem};
pub(super) use self::seen::Seen;
use crate::classify::response::UpstreamResponse;
use crate::classify::{Reason, Scope, Verdict};
use crate::provider::rule::conditions::{Conditions, Given};
use crate::provider::rule::consequence::{Consequence, Midnight, Settings};
use crate::zone::Zone;

/// A rule of an operator: if a response meets these conditions, this is the verdict.
///
/// | condition | holds if |
/// |---|---|
/// | [`status`](RuleBuilder::status) | the response, or the error inside a 200, has this status |
/// | [`code`](RuleBuilder::code) | the error has this code, type or reason |
/// | [`says`](RuleBuilder::says) | the message contains these words |
/// | [`header`](RuleBuilder::header) | the response has this header, or this value of it |
/// | [`path`](RuleBuilder::path) | the request went to this path |
///
/// All kinds of conditions that are given must hold. Of several conditions of one kind, one must hold. A rule
/// without a status applies to errors only: to responses without a success status, and to errors inside a
/// 200.
///
/// The verdict is a [`fault`](RuleBuilder::fault), or the response is the caller's
/// ([`deliver`](RuleBuilder::deliver)), or it counts as a success ([`ignore`](RuleBuilder::ignore)). A fault is
/// certain: its scope is put into its cooldown at once, without the doubt whether the request is to blame.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::Provider;
/// use tower_key_rotation::classify::{Reason, Scope};
/// use tower_key_rotation::provider::{Rule, RuleField};
///
/// // A key without credit is out for an hour.
/// let hour = Duration::from_secs(60 * 60);
/// let broke = Rule::builder().status(402).fault(Reason::QuotaExceeded, Scope::Key).wait(hour).build()?;
/// // A 403 for an image is the caller's own.
/// let images = Rule::builder().name("images").status(403).path("/v1/images").deliver().build()?;
/// let provider = Provider::openai().rule(images).rule(broke);
/// assert_eq!(provider.rules().len(), 2);
///
/// let error = Rule::builder().status(403).deliver().wait(hour).build().unwrap_err();
/// assert_eq!(error.field(), RuleField::Wait);
/// # Ok::<(), tower_key_rotation::provider::RuleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    name: Option<String>,
    conditions: Conditions,
    consequence: Consequence,
}

/// Builder of a [`Rule`]. [`build`](Self::build) checks what it was given.
#[derive(Clone, Debug, Default)]
#[must_use = "call `build`"]
pub struct RuleBuilder {
    name: Option<String>,
    given: Given,
    settings: Settings,
}

// === impl Rule ===

impl Rule {
    /// Maximum length of a name, in characters (64).
    pub const MAX_NAME: usize = 64;

    /// Starts a rule without conditions and without a verdict.
    pub fn builder() -> RuleBuilder {
        RuleBuilder::default()
    }

    /// Returns the name of the rule; `None` if it has none.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns whether this rule holds for every response for which `later` holds. If it comes first, `later`
    /// never decides.
    pub fn hides(&self, later: &Self) -> bool {
        self.conditions.cover(&later.conditions)
    }

    /// Returns whether the rule needs the body of a response with a success status.
    pub(super) fn reads_success(&self) -> bool {
        self.conditions.read_success()
    }

    pub(super) fn holds(&self, seen: &Seen<'_>, response: &UpstreamResponse<'_>) -> bool {
        self.conditions.hold(seen, response)
    }

    /// Returns the verdict about a response for which the rule holds. `index` is the rule's place, and
    /// `midnight` tells the provider's time zone.
    pub(super) fn verdict(&self, response: &UpstreamResponse<'_>, index: u16, midnight: Zone) -> Verdict {
        self.consequence.verdict(response, index, midnight)
    }
}

// === impl RuleBuilder ===

impl RuleBuilder {
    /// Sets the name of the rule, for people: 1 to [`Rule::MAX_NAME`] printable characters. Default: none.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a status, 200 to 999. May be called repeatedly; one of the statuses must hold. Default: every
    /// status of an error.
    ///
    /// An error inside a 200 has both that status and the one that its body claims or that such an error
    /// usually has.
    pub fn status(mut self, status: u16) -> Self {
        self.given.statuses.push(status);
        self
    }

    /// Adds a code: a member such as `code`, `type`, `status` or `reason` of the error must be equal to it.
    /// Case is ignored in ASCII letters. May be called repeatedly; one of the codes must hold. Default: any.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.given.codes.push(code.into());
        self
    }

    /// Adds words that the message must contain, as whole words and in any case. May be called repeatedly; one
    /// of the phrases must hold. Default: any.
    ///
    /// The message is the error's own sentence. If no sentence is found, all text of the body counts, as for an
    /// HTML page. In a success only the message of a JSON document counts, never the text of a model.
    pub fn says(mut self, words: impl Into<String>) -> Self {
        self.given.phrases.push(words.into());
        self
    }

    /// Adds a header that the response must have: `x-should-retry`, or with a value `x-should-retry: false`.
    /// Values are compared as a whole, and case is ignored in ASCII letters. May be called repeatedly; one of
    /// the headers must hold. Default: any.
    pub fn header(mut self, header: impl Into<String>) -> Self {
        self.given.headers.push(header.into());
        self
    }

    /// Adds a path of the request, as it is sent to the provider and without its query: `/v1/images` matches
    /// itself and every path below it. With a `*`, which stands for any text, the pattern must match the whole
    /// path: `/v1/*/edits`. Case is ignored in ASCII letters. May be called repeatedly; one of the paths must
    /// hold. Default: any.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.given.paths.push(path.into());
        self
    }

    /// Sets the verdict: a fault. Without a wait, the one that the response names counts, within the limits of
    /// the pool's [`Cooldowns`](crate::pool::Cooldowns).
    pub fn fault(mut self, reason: Reason, scope: Scope) -> Self {
        self.settings.verdicts.push(Consequence::fault(reason, scope));
        self
    }

    /// Sets the verdict: the response is the caller's. It is delivered, no key is blamed, and nothing is
    /// retried. The request counts as not served.
    pub fn deliver(mut self) -> Self {
        self.settings.verdicts.push(Consequence::Deliver);
        self
    }

    /// Sets the verdict: the response counts as a success. It is delivered, and no fault is remembered.
    pub fn ignore(mut self) -> Self {
        self.settings.verdicts.push(Consequence::Ignore);
        self
    }

    /// Sets how long the scope of the fault is in its cooldown. No cap and no jitter applies. Default: the wait
    /// that the response names.
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.settings.wait = Some(wait);
        self
    }

    /// Sets the end of the cooldown: the next midnight of the provider, which is Pacific time for Gemini and
    /// UTC for others. Default: after the wait that the response names.
    pub fn until_midnight(mut self) -> Self {
        self.settings.midnight = Some(Midnight::OfProvider);
        self
    }

    /// Sets the end of the cooldown: the next midnight in this time zone.
    pub fn until_midnight_in(mut self, zone: Zone) -> Self {
        self.settings.midnight = Some(Midnight::In(zone));
        self
    }

    /// Builds the rule.
    ///
    /// # Errors
    ///
    /// Returns [`RuleError`] with the first part that can never hold, that contradicts another, or that is
    /// missing.
    pub fn build(self) -> Result<Rule, RuleError> {
        let Self { name, given, settings } = self;
        let is_shown = |name: &str| {
            !name.trim().is_empty()
                && name.chars().count() <= Rule::MAX_NAME
                && name.chars().all(|letter| !letter.is_control())
        };
        if name.as_deref().is_some_and(|name| !is_shown(name)) {
            return Err(RuleProblem::Name.at(RuleField::Name));
        }
        let conditions = given.check()?;
        let consequence = settings.check()?;
        conditions.allow(&consequence)?;
        Ok(Rule { name, conditions, consequence })
    }
}
