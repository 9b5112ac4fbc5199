//! Weighing several pieces of evidence: the documented order.
//!
//! 1. Error names count before sentences.
//! 2. Among pieces of the same source, the order depends on the status, see the tables below. In general a
//!    cause that others can explain comes first: a relay that wraps the error of another provider, then money,
//!    then a used-up allowance, then a closed account or a bad key, then access, then capacity and rate.
//! 3. A quota that nothing describes is a rate if a limit per minute is mentioned anywhere, or if the stated
//!    wait is less than an hour.
//! 4. With a status that means that the request is at fault (400, 404, 422 and others), a sentence about the
//!    account decides only if no sentence is about the request. If both are there, the response is unclear.
//! 5. With a status of 500 and above only money, used-up allowances and capacity count.

use std::time::Duration;

use http::StatusCode;

use crate::classify::meaning::evidence::{Evidence, Why};
use crate::classify::meaning::reading::Reading;
use crate::classify::meaning::topic::{Topic, Topics};
use crate::classify::{Reason, Rejection, Scope};

/// The meaning of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Fault {
        reason: Reason,
        /// `None` if the response does not say, so that the scope of the bare status applies.
        scope: Option<Scope>,
        why: Why,
        /// Whether the reason lies in the account, independent of the request.
        of_account: bool,
    },
    Rejected(Rejection),
}

/// Minimum wait that indicates a used-up quota (1 h). A limit per minute clears sooner.
pub(crate) const LONGEST_RATE_LIMIT: Duration = Duration::from_secs(60 * 60);

type Order = &'static [Topic];

const ON_401: Order = &[
    Topic::Upstream,
    Topic::Key,
    Topic::Closed,
    Topic::Money,
    Topic::Window,
    Topic::Quota,
    Topic::Access,
    Topic::Rate,
];
const ON_402: Order =
    &[Topic::Upstream, Topic::Money, Topic::Window, Topic::Quota, Topic::Closed, Topic::Access];
const ON_403: Order = &[
    Topic::Upstream,
    Topic::Address,
    Topic::Money,
    Topic::Window,
    Topic::Closed,
    Topic::Key,
    Topic::Access,
    Topic::Rate,
    Topic::Quota,
    Topic::Capacity,
    Topic::Content,
    Topic::Upgrade,
];
const ON_429: Order = &[
    Topic::Upstream,
    Topic::Money,
    Topic::Window,
    Topic::Capacity,
    Topic::Rate,
    Topic::Short,
    Topic::Quota,
    Topic::Closed,
    Topic::Access,
];
const ON_REQUEST_ERRORS: Order = &[
    Topic::Upstream,
    Topic::Address,
    Topic::Money,
    Topic::Window,
    Topic::Quota,
    Topic::Closed,
    Topic::Key,
    Topic::Access,
    Topic::Capacity,
    Topic::Rate,
];
const ON_5XX: Order = &[Topic::Upstream, Topic::Money, Topic::Window, Topic::Capacity, Topic::Quota];

const OF_REQUEST: Topics = Topics::of(&[Topic::Missing, Topic::Request, Topic::Content]);

/// Topics of an error that a relay may pass on from the provider behind it.
const RELAYED: Topics = Topics::of(&[
    Topic::Money,
    Topic::Window,
    Topic::Quota,
    Topic::Rate,
    Topic::Short,
    Topic::Capacity,
    Topic::Key,
    Topic::Closed,
]);

/// Returns the meaning of a refusal with this status. `None` if there is no evidence, so that the status
/// decides.
///
/// `wait` is the wait that the response states.
pub(crate) fn weigh(status: StatusCode, reading: &Reading, wait: Option<Duration>) -> Option<Meaning> {
    let is_soon = wait.is_some_and(|wait| wait < LONGEST_RATE_LIMIT);
    let reading = &if is_soon { reading.as_rate() } else { *reading };
    let order = match status.as_u16() {
        // The provider did not respond in time, or a gateway could not read its response.
        408 | 499 | 504 | 520 | 524 => return None,
        401 => return by_order(ON_401, status, reading).or_else(|| unclear(reading)),
        402 => ON_402,
        403 => ON_403,
        429 => ON_429,
        400..=499 => return request_error(status, reading),
        500.. => ON_5XX,
        _ => return None,
    };
    by_order(order, status, reading)
}

/// A 401 whose name says that the request is wrong is no statement about the key.
fn unclear(reading: &Reading) -> Option<Meaning> {
    reading.named.has_any(OF_REQUEST).then_some(Meaning::Rejected(Rejection::Unclear))
}

fn by_order(order: Order, status: StatusCode, reading: &Reading) -> Option<Meaning> {
    let named = || first(order, status, reading, reading.named).map(|topic| (topic, true));
    let said = || first(order, status, reading, reading.said).map(|topic| (topic, false));
    let (topic, is_name) = named().or_else(said)?;
    Some(meaning(topic, is_name, status, reading))
}

fn first(order: Order, status: StatusCode, reading: &Reading, topics: Topics) -> Option<Topic> {
    order.iter().copied().find(|topic| topics.has(*topic) && counts(*topic, status, reading))
}

/// Returns whether a topic counts beside all others of the response.
fn counts(topic: Topic, status: StatusCode, reading: &Reading) -> bool {
    let all = reading.all();
    match topic {
        Topic::Quota => !all.has_any(Topics::of(&[Topic::Rate, Topic::Short, Topic::Capacity])),
        Topic::Upstream => status == StatusCode::TOO_MANY_REQUESTS || all.has_any(RELAYED),
        // Beside a limit, a higher plan is only recommended.
        Topic::Access if status == StatusCode::TOO_MANY_REQUESTS => {
            !all.has_any(Topics::of(&[Topic::Rate, Topic::Short, Topic::Quota]))
        }
        _ => true,
    }
}

/// Weighs a refusal whose status means that the request is at fault.
fn request_error(status: StatusCode, reading: &Reading) -> Option<Meaning> {
    let is_of_request = reading.all().has_any(OF_REQUEST);
    let named = first(ON_REQUEST_ERRORS, status, reading, reading.named);
    if let Some(topic) = named {
        return Some(meaning(topic, true, status, reading));
    }
    let contradicts = Topics::of(&[Topic::Money, Topic::Window, Topic::Access, Topic::Denied]);
    match first(ON_REQUEST_ERRORS, status, reading, reading.said) {
        Some(topic) if !is_of_request => Some(meaning(topic, false, status, reading)),
        _ if reading.all().has_any(contradicts) => Some(Meaning::Rejected(Rejection::Unclear)),
        _ => reading.all().has(Topic::Content).then_some(Meaning::Rejected(Rejection::ContentFilter)),
    }
}

/// Returns the meaning of a refusal of which this topic decides.
fn meaning(topic: Topic, is_name: bool, status: StatusCode, reading: &Reading) -> Meaning {
    if topic == Topic::Content {
        return Meaning::Rejected(Rejection::ContentFilter);
    }
    let all = reading.all();
    let (evidence, reason, scope) = match topic {
        Topic::Money => (Evidence::Money, Reason::QuotaExceeded, Some(limit_scope(all))),
        Topic::Window | Topic::Quota => (Evidence::Plan, Reason::QuotaExceeded, Some(limit_scope(all))),
        Topic::Closed if status == StatusCode::TOO_MANY_REQUESTS => {
            (Evidence::Key, Reason::QuotaExceeded, Some(Scope::Account))
        }
        Topic::Closed => (Evidence::Key, Reason::InvalidKey, Some(Scope::Account)),
        Topic::Key => (Evidence::Key, Reason::InvalidKey, Some(Scope::Key)),
        Topic::Access => (Evidence::Access, Reason::Forbidden, Some(Scope::AccountModel)),
        Topic::Upgrade => (Evidence::Access, Reason::Forbidden, None),
        Topic::Address => (Evidence::Address, Reason::Blocked, Some(Scope::Provider)),
        Topic::Capacity => (Evidence::Capacity, Reason::Overloaded, capacity_scope(status, all)),
        Topic::Upstream => (Evidence::Upstream, relayed(all), Some(Scope::ProviderModel)),
        _ => (Evidence::Rate, Reason::RateLimited, rate_scope(all)),
    };
    let why = if is_name { Why::Name(evidence) } else { Why::Sentence(evidence) };
    let of_account = topics_of_account(topic) && !all.has(Topic::Missing);
    Meaning::Fault { reason, scope, why, of_account }
}

const fn topics_of_account(topic: Topic) -> bool {
    !matches!(topic, Topic::Capacity | Topic::Upstream | Topic::Address | Topic::Rate | Topic::Short)
}

const fn limit_scope(all: Topics) -> Scope {
    match () {
        () if all.has(Topic::OneKey) => Scope::Key,
        () if all.has(Topic::Model) || all.has(Topic::PaidModel) => Scope::AccountModel,
        () => Scope::Account,
    }
}

const fn rate_scope(all: Topics) -> Option<Scope> {
    match () {
        () if all.has(Topic::OneKey) => Some(Scope::Key),
        () if all.has(Topic::Account) && !all.has(Topic::Model) => Some(Scope::Account),
        () => None,
    }
}

/// A lack of capacity that comes with the status of a refused request concerns one model, for a provider that
/// is overloaded as a whole responds with 503 or 529.
fn capacity_scope(status: StatusCode, all: Topics) -> Option<Scope> {
    (all.has(Topic::Model) || !status.is_server_error()).then_some(Scope::ProviderModel)
}

/// An error behind the provider: it lacks capacity there, or the account that the relay uses is refused.
const fn relayed(all: Topics) -> Reason {
    let of_relay = Topics::of(&[Topic::Key, Topic::Closed]);
    if all.has_any(of_relay) { Reason::ServerError } else { Reason::Overloaded }
}
