//! The cases that are measured.

use std::time::Duration;

use tower_key_rotation::limits::Quota;
use tower_key_rotation_sim::{Dialect, Limits, SimAccount, SimKey};

use crate::load::UpstreamResponse;

const SECOND: Duration = Duration::from_secs(1);

/// Rate above which no case can serve all requests. Full buckets take a while to empty at such a rate.
const OVERLOAD: u32 = 150;

/// A few seconds of load on keys with limits.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) about: &'static str,
    pub(crate) dialect: Dialect,
    pub(crate) keys: Vec<SimKey>,
    /// Labels of the keys, in the same order.
    pub(crate) labels: Vec<String>,
    pub(crate) accounts: Vec<SimAccount>,
    /// Limits of each account that the client is configured with. `None` if it can learn them.
    pub(crate) declared: Option<Quota>,
    /// Limits that make up the capacity.
    pub(crate) limited: Vec<Limited>,
    /// Length of the provider's minute.
    pub(crate) minute: Duration,
    /// Requests per second.
    pub(crate) rate: u32,
    /// Smallest and largest size of a prompt, in tokens. Sizes are distributed evenly over their logarithms.
    pub(crate) prompt: (u32, u32),
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// One token bucket that all calls of a key or of an account go through.
pub(crate) struct Limited {
    pub(crate) whose: Whose,
    pub(crate) per_second: f64,
    pub(crate) unit: Unit,
}

pub(crate) enum Whose {
    Key(String),
    Account(String),
}

/// The unit of a limit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Requests,
    Tokens,
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for burst in [10, 1] {
        cases.extend([60, 120, 145, 200].map(|rate| three_keys(Dialect::OpenAi, burst, rate)));
    }
    cases.extend([two_organisations(140), two_organisations(200), one_organisation(200)]);
    cases.extend([tokens(110), tokens(180)]);
    cases.extend([145, 200].map(|rate| three_keys(Dialect::Gemini, 10, rate)));
    cases.extend([a_day(Dialect::OpenAi), a_day(Dialect::Gemini)]);
    cases
}

fn three_keys(dialect: Dialect, burst: u32, rate: u32) -> Case {
    let limits = Limits::new().requests_per_second(50).burst(burst);
    let (name, about) = match dialect {
        Dialect::Gemini => ("gemini", "three keys of 50 rps, declared"),
        _ => ("burst", "three keys of 50 rps"),
    };
    let name = if name == "gemini" { format!("gemini-{rate}") } else { format!("burst{burst}-{rate}") };
    let quota = Quota::requests(50).per_second().burst(burst.into());
    let mut case = Case::new(name, about, rate).dialect(dialect, quota);
    if burst == 1 {
        // Some calls are refused here. Over a short time, a single call would be too large a part of the 1 %
        // that may be wasted.
        case.measured = 20 * SECOND;
    }
    ["a", "b", "c"].into_iter().fold(case, |case, label| case.key(label, limits, 50.0, Unit::Requests))
}

/// The limit of an organisation has a window of one second here, and its bucket holds one second of requests.
fn two_organisations(rate: u32) -> Case {
    Case::new(format!("two-orgs-{rate}"), "ten keys in two organisations of 75 rps", rate)
        .account("north", 5, 75)
        .account("south", 5, 75)
}

fn one_organisation(rate: u32) -> Case {
    Case::new(format!("one-org-{rate}"), "ten keys of one organisation of 150 rps", rate)
        .account("all", 10, 150)
}

/// Prompts of 40 to 4,000 tokens: (4,000 − 40) / ln 100 = 860 in the mean. With the response that is 869
/// tokens, so three keys of 40,000 tokens per second allow 138 requests per second.
fn tokens(rate: u32) -> Case {
    const PER_SECOND: u32 = 40_000;
    let mut case = Case::new(format!("tokens-{rate}"), "three keys of 40,000 tokens a second", rate);
    case.prompt = (40, 4_000);
    case.minute = SECOND;
    let limits = Limits::new().tokens_per_minute(PER_SECOND);
    ["a", "b", "c"]
        .into_iter()
        .fold(case, |case, label| case.key(label, limits, PER_SECOND.into(), Unit::Tokens))
}

/// A day is not shortened here: all its requests are available at once, and there is no steady state to warm
/// up to.
fn a_day(dialect: Dialect) -> Case {
    const A_DAY: u32 = 25;
    let (name, per_second) = match dialect {
        Dialect::Gemini => ("gemini-day", 0.0),
        _ => ("day", f64::from(A_DAY) / 86_400.0),
    };
    let mut case = Case::new(name.to_owned(), "one key of 25 requests a day", 10);
    case = case.dialect(dialect, Quota::requests(A_DAY.into()).per_day());
    case.warm_up = Duration::ZERO;
    case.measured = 5 * SECOND;
    case.key("a", Limits::new().requests_per_day(A_DAY), per_second, Unit::Requests)
}

// === impl Case ===

impl Case {
    fn new(name: String, about: &'static str, rate: u32) -> Self {
        Self {
            name,
            about,
            dialect: Dialect::OpenAi,
            keys: Vec::new(),
            labels: Vec::new(),
            accounts: Vec::new(),
            declared: None,
            limited: Vec::new(),
            minute: 60 * SECOND,
            rate,
            prompt: (20, 20),
            warm_up: if rate > OVERLOAD { 4 * SECOND } else { 2 * SECOND },
            measured: 6 * SECOND,
        }
    }

    /// Sets the dialect. Limits that no header reports are declared.
    fn dialect(self, dialect: Dialect, quota: Quota) -> Self {
        let declared = (dialect == Dialect::Gemini).then_some(quota);
        Self { dialect, declared, ..self }
    }

    /// Adds a key with a limit of its own.
    fn key(mut self, label: &str, limits: Limits, per_second: f64, unit: Unit) -> Self {
        self.add(SimKey::new(label, secret(label)).limits(limits), label);
        self.limited.push(Limited { whose: Whose::Key(label.to_owned()), per_second, unit });
        self
    }

    /// Adds an account with this number of keys, which share its limit.
    fn account(mut self, name: &str, keys: usize, per_second: u32) -> Self {
        self.minute = SECOND;
        for number in 0..keys {
            let label = format!("{name}-{number}");
            self.add(SimKey::new(&label, secret(&label)).account(name), &label);
        }
        self.accounts.push(SimAccount::new(name).limits(Limits::new().requests_per_minute(per_second)));
        let whose = Whose::Account(name.to_owned());
        self.limited.push(Limited { whose, per_second: per_second.into(), unit: Unit::Requests });
        self
    }

    fn add(&mut self, key: SimKey, label: &str) {
        self.keys.push(key);
        self.labels.push(label.to_owned());
    }

    /// Returns the amount that a request takes from the limits, in their unit.
    pub(crate) fn cost(&self, answer: &UpstreamResponse) -> f64 {
        let counts_tokens = self.limited.iter().any(|limited| limited.unit == Unit::Tokens);
        if counts_tokens { answer.tokens.into() } else { 1.0 }
    }

    /// Returns the amount that the limits refill per second, in their unit.
    pub(crate) fn per_second(&self) -> f64 {
        self.limited.iter().map(|limited| limited.per_second).sum()
    }
}

pub(crate) fn secret(label: &str) -> String {
    format!("sk-simulated-{label}")
}
