//! The conditions of a rule.

use http::{HeaderMap, HeaderName, StatusCode};

use crate::classify::error_body::ErrorBody;
use crate::classify::response::UpstreamResponse;
use crate::provider::rule::consequence::Consequence;
use crate::provider::rule::error::{RuleError, RuleField, RuleProblem};
use crate::provider::rule::phrase::{Phrase, folded, text_of};
use crate::provider::rule::seen::Seen;
use crate::wildcard;

/// Statuses of responses that never have a body.
const WITHOUT_BODY: [u16; 3] = [204, 205, 304];

/// Conditions as they were given.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    pub(super) statuses: Vec<u16>,
    pub(super) codes: Vec<String>,
    pub(super) phrases: Vec<String>,
    pub(super) headers: Vec<String>,
    pub(super) paths: Vec<String>,
}

/// Conditions of a rule, of several kinds. An empty list is no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conditions {
    statuses: Vec<u16>,
    codes: Vec<String>,
    phrases: Vec<Phrase>,
    headers: Vec<Header>,
    paths: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    name: HeaderName,
    value: Option<String>,
}

// === impl Given ===

impl Given {
    pub(super) fn check(self) -> Result<Conditions, RuleError> {
        let Self { statuses, codes, phrases, headers, paths } = self;
        let checked = Conditions {
            statuses: each(statuses, RuleField::Status, status)?,
            codes: each(codes, RuleField::Code, code)?,
            phrases: each(phrases, RuleField::Says, |text| Phrase::new(&text).ok_or(RuleProblem::Empty))?,
            headers: each(headers, RuleField::Header, |text| {
                Header::parse(&text).ok_or(RuleProblem::Header)
            })?,
            paths: each(paths, RuleField::Path, path)?,
        };
        let is_empty = checked.statuses.is_empty()
            && !checked.read_bodies()
            && checked.headers.is_empty()
            && checked.paths.is_empty();
        if is_empty { Err(RuleProblem::NoCondition.at(RuleField::Whole)) } else { Ok(checked) }
    }
}

/// Checks each item of a list.
fn each<T, U>(
    given: Vec<T>,
    field: RuleField,
    check: impl Fn(T) -> Result<U, RuleProblem>,
) -> Result<Vec<U>, RuleError> {
    let numbered = given.into_iter().enumerate();
    numbered.map(|(index, item)| check(item).map_err(|problem| problem.at_index(field, index))).collect()
}

fn status(status: u16) -> Result<u16, RuleProblem> {
    if (200..1000).contains(&status) { Ok(status) } else { Err(RuleProblem::Status) }
}

fn code(code: String) -> Result<String, RuleProblem> {
    let code = code.trim();
    if code.chars().any(char::is_alphanumeric) { Ok(code.to_owned()) } else { Err(RuleProblem::Empty) }
}

fn path(path: String) -> Result<String, RuleProblem> {
    let is_odd = |letter: char| matches!(letter, '?' | '#') || letter.is_whitespace() || letter.is_control();
    if path.starts_with(['/', '*']) && !path.contains(is_odd) { Ok(path) } else { Err(RuleProblem::Path) }
}

// === impl Conditions ===

impl Conditions {
    /// Checks the statuses together with the other conditions and the verdict.
    pub(super) fn allow(&self, consequence: &Consequence) -> Result<(), RuleError> {
        let places = || self.statuses.iter().enumerate();
        let has_body = |status: &u16| !WITHOUT_BODY.contains(status);
        if self.read_bodies() && !self.statuses.is_empty() && !self.statuses.iter().any(has_body) {
            return Err(RuleProblem::NoBody.at(RuleField::Status));
        }
        let tells_apart =
            self.read_bodies() || !self.headers.is_empty() || *consequence == Consequence::Ignore;
        match places().find(|(_, status)| is_success(**status)) {
            Some((index, _)) if !tells_apart => {
                Err(RuleProblem::EverySuccess.at_index(RuleField::Status, index))
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the body of a response with a success status must be read.
    pub(super) fn read_success(&self) -> bool {
        self.read_bodies() && self.statuses.iter().any(|status| is_success(*status))
    }

    const fn read_bodies(&self) -> bool {
        !self.codes.is_empty() || !self.phrases.is_empty()
    }

    /// Returns whether these conditions hold wherever the others hold.
    pub(super) fn cover(&self, others: &Self) -> bool {
        let statuses = match (self.statuses.is_empty(), others.statuses.is_empty()) {
            (true, true) => true,
            (true, false) => !others.statuses.iter().any(|status| is_success(*status)),
            (false, _) => covers(&self.statuses, &others.statuses),
        };
        statuses
            && covers(&self.codes, &others.codes)
            && covers(&self.phrases, &others.phrases)
            && covers(&self.headers, &others.headers)
            && covers(&self.paths, &others.paths)
    }

    pub(super) fn hold(&self, seen: &Seen<'_>, response: &UpstreamResponse<'_>) -> bool {
        let Self { statuses, codes, phrases, headers, paths } = self;
        let has_status = |status: StatusCode| statuses.contains(&status.as_u16());
        let by_status = match statuses.is_empty() {
            true => seen.is_error,
            false => has_status(seen.status) || (seen.is_error && has_status(response.status)),
        };
        by_status
            && any(headers, |header| header.is_in(seen.headers))
            && any(paths, |path| seen.path.is_some_and(|seen| wildcard::covers(path, seen)))
            && any(codes, |code| is_named(&response.body, code))
            && (phrases.is_empty() || {
                let text = folded(&text_of(&response.body, seen));
                phrases.iter().any(|phrase| phrase.is_in(&text))
            })
    }
}

/// Returns whether there is no condition, or one that holds.
fn any<T>(conditions: &[T], holds: impl Fn(&T) -> bool) -> bool {
    conditions.is_empty() || conditions.iter().any(holds)
}

fn covers<T: PartialEq>(some: &[T], others: &[T]) -> bool {
    some.is_empty() || (!others.is_empty() && others.iter().all(|other| some.contains(other)))
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Returns whether an error has a code. Those of a provider behind the provider count as well.
fn is_named(body: &ErrorBody, code: &str) -> bool {
    body.is_named(code) || body.wrapped_names().any(|name| name.eq_ignore_ascii_case(code))
}

// === impl Header ===

impl Header {
    fn parse(text: &str) -> Option<Self> {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value.trim())),
            None => (text, None),
        };
        let is_valid = |value: &str| !value.is_empty() && !value.contains(char::is_control);
        let value = value.map(|value| is_valid(value).then(|| value.to_owned()));
        match value {
            Some(None) => None,
            value => Some(Self { name: name.trim().parse().ok()?, value: value.flatten() }),
        }
    }

    fn is_in(&self, headers: &HeaderMap) -> bool {
        let is_value =
            |wanted: &str, value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes());
        let mut values = headers.get_all(&self.name).iter();
        values.any(|value| self.value.as_deref().is_none_or(|wanted| is_value(wanted, value.as_bytes())))
    }
}
