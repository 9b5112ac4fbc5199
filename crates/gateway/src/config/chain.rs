//! The `[chain]` table.

use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::time::Duration;

use crate::config::duration;
use crate::config::error::{ConfigError, Problem};
use crate::config::file::{BreakerTable, ChainTable};
use crate::config::location::ValuePath;
use crate::config::model_list::ModelList;
use crate::config::redact::redacted;
use crate::config::timeouts;
use tower_key_rotation::UnknownWord;
use tower_key_rotation::fallback::{
    BreakerPolicy, Commit, ContextLength, ProviderFallbackLayer, Start, Timeouts,
};

/// The `[chain]` table: settings of a [`ProviderFallbackLayer`]. `None` is a value that the file does not
/// set.
#[derive(Clone, Debug)]
pub struct ChainSettings {
    pub(super) order: Vec<String>,
    pub(super) start: Start,
    pub(super) deadline: Option<Duration>,
    pub(super) head_timeout: Option<Duration>,
    pub(super) first_content_timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) commit: Commit,
    pub(super) context_length: ContextLength,
    pub(super) max_attempts: Option<NonZeroU32>,
    pub(super) backoff: (Duration, Duration),
    pub(super) resend_ambiguous: Option<bool>,
    pub(super) wait_for_key: Option<bool>,
    pub(super) patience: Option<Duration>,
    pub(super) complete_cap: Option<NonZeroU64>,
    pub(super) models: ModelList,
    pub(super) timeouts: Vec<(String, Timeouts)>,
    pub(super) breaker: BreakerPolicy,
}

// === impl ChainSettings ===

impl ChainSettings {
    /// Returns the names of the providers in order of preference. Never empty. Default: all providers of the
    /// file, in its order.
    pub fn order(&self) -> &[String] {
        &self.order
    }

    /// Returns the provider at which a request starts. Default: [`Start::Ordered`].
    pub const fn start(&self) -> Start {
        self.start
    }

    /// Returns the maximum time from a request to the commit of its response.
    pub const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Returns the maximum time that one provider may take to send the head of a response.
    pub const fn head_timeout(&self) -> Option<Duration> {
        self.head_timeout
    }

    /// Returns the maximum time between the head of a response and its first content.
    pub const fn first_content_timeout(&self) -> Option<Duration> {
        self.first_content_timeout
    }

    /// Returns the maximum pause within a stream.
    pub const fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout
    }

    /// Returns the moment at which a response is committed to. Default: [`Commit::FirstContent`].
    pub const fn commit(&self) -> Commit {
        self.commit
    }

    /// Returns what happens to a request that is too long for a provider's model. Default:
    /// [`ContextLength::Deliver`].
    pub const fn context_length(&self) -> ContextLength {
        self.context_length
    }

    /// Returns the maximum number of attempts of one request over the whole chain.
    pub const fn max_attempts(&self) -> Option<NonZeroU32> {
        self.max_attempts
    }

    /// Returns the shortest and the longest delay before a provider's fault is retried. Default:
    /// [`BACKOFF`](tower_key_rotation::ProviderFallbackLayer::BACKOFF).
    pub const fn backoff(&self) -> (Duration, Duration) {
        self.backoff
    }

    /// Returns whether the chain moves on when a provider may have executed the request.
    pub const fn resend_ambiguous(&self) -> Option<bool> {
        self.resend_ambiguous
    }

    /// Returns whether a request waits for a key when no provider is usable.
    pub const fn wait_for_key(&self) -> Option<bool> {
        self.wait_for_key
    }

    /// Returns the maximum wait named by a provider for which a request stays with it before it goes to the
    /// next one.
    pub const fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// Returns the maximum number of bytes of a response that are held back before the commit.
    pub const fn complete_cap(&self) -> Option<NonZeroU64> {
        self.complete_cap
    }

    /// Returns the providers whose models `GET /v1/models` lists. Default: [`ModelList::Union`].
    pub const fn models(&self) -> &ModelList {
        &self.models
    }

    /// Returns the time limits for models that match a pattern, in place of those above. The first pattern that matches
    /// applies.
    pub fn timeouts(&self) -> &[(String, Timeouts)] {
        &self.timeouts
    }

    /// Returns when the breaker of a provider opens, and for how long. Default: [`BreakerPolicy::new`].
    pub const fn breaker(&self) -> BreakerPolicy {
        self.breaker
    }

    pub(super) fn resolve(table: ChainTable, providers: &[&str]) -> Result<Self, ConfigError> {
        let at = ValuePath::default().field("chain");
        let time = |name, text: Option<String>| duration::optional(text, &at.field(name));
        let order = order(table.order, providers, &at.field("order"))?;
        Ok(Self {
            models: models(table.models, &order, &at.field("models"))?,
            order,
            start: choice(table.start.as_deref(), &at.field("start"))?,
            deadline: time("deadline", table.deadline)?,
            head_timeout: time("head_timeout", table.head_timeout)?,
            first_content_timeout: time("first_content_timeout", table.first_content_timeout)?,
            idle_timeout: time("idle_timeout", table.idle_timeout)?,
            commit: choice(table.commit.as_deref(), &at.field("commit"))?,
            context_length: choice(table.context_length.as_deref(), &at.field("context_length"))?,
            max_attempts: table.max_attempts,
            backoff: backoff(table.backoff, table.max_backoff, &at)?,
            resend_ambiguous: table.resend_ambiguous,
            wait_for_key: table.wait_for_key,
            patience: time("patience", table.patience)?,
            complete_cap: table.complete_cap,
            timeouts: timeouts::timeouts(table.timeouts, &at.field("timeouts"))?,
            breaker: breaker(table.breaker, &at.field("breaker"))?,
        })
    }
}

fn backoff(
    least: Option<String>,
    longest: Option<String>,
    at: &ValuePath,
) -> Result<(Duration, Duration), ConfigError> {
    let (default_least, default_longest) = ProviderFallbackLayer::BACKOFF;
    let least = duration::optional(least, &at.field("backoff"))?;
    let longest = duration::optional(longest, &at.field("max_backoff"))?;
    let bounds = match (least, longest) {
        (Some(least), Some(longest)) if least > longest => {
            return Err(Problem::Backoff.at(at.field("max_backoff")));
        }
        (Some(least), None) => (least, default_longest.max(least)),
        (None, Some(longest)) => (default_least.min(longest), longest),
        (least, longest) => (least.unwrap_or(default_least), longest.unwrap_or(default_longest)),
    };
    Ok(bounds)
}

fn breaker(table: BreakerTable, at: &ValuePath) -> Result<BreakerPolicy, ConfigError> {
    let BreakerTable { enabled, consecutive, percent, of_calls, window, open, max_open } = table;
    if percent.is_some_and(|percent| percent.get() > 100) {
        return Err(Problem::Percent.at(at.field("percent")));
    }
    let time = |name, text: Option<String>| duration::optional(text, &at.field(name));
    let window = time("window", window)?.unwrap_or(BreakerPolicy::WINDOW);
    let open = time("open", open)?.unwrap_or(BreakerPolicy::OPEN);
    let max_open = time("max_open", max_open)?.unwrap_or_else(|| BreakerPolicy::MAX_OPEN.max(open));
    if open > max_open {
        return Err(Problem::Backoff.at(at.field("max_open")));
    }
    if enabled == Some(false) {
        return Ok(BreakerPolicy::disabled());
    }
    let number = |given: Option<NonZeroU32>, default| given.map_or(default, NonZeroU32::get);
    Ok(BreakerPolicy::new()
        .consecutive(number(consecutive, BreakerPolicy::CONSECUTIVE))
        .share(number(percent, BreakerPolicy::PERCENT), number(of_calls, BreakerPolicy::OF_CALLS), window)
        .open_for(open, max_open))
}

/// Returns the value of a word, or the default if the file gives none.
pub(super) fn choice<T>(word: Option<&str>, at: &ValuePath) -> Result<T, ConfigError>
where
    T: Default + FromStr<Err = UnknownWord>,
{
    let unknown = |error: UnknownWord| Problem::Choice { allowed: error.allowed() }.at(at.clone());
    word.map_or_else(|| Ok(T::default()), |word| word.parse().map_err(unknown))
}

fn models(name: Option<String>, order: &[String], at: &ValuePath) -> Result<ModelList, ConfigError> {
    match name {
        None => Ok(ModelList::default()),
        Some(name) if name == "union" => Ok(ModelList::Union),
        Some(name) if order.contains(&name) => Ok(ModelList::Of(name)),
        Some(name) => {
            let known = ["union"].into_iter().chain(order.iter().map(String::as_str));
            let known = known.map(|name| redacted(name).into_owned()).collect();
            Err(Problem::UnknownProvider { name: redacted(&name).into_owned(), known }.at(at.clone()))
        }
    }
}

fn order(order: Option<Vec<String>>, providers: &[&str], at: &ValuePath) -> Result<Vec<String>, ConfigError> {
    let Some(order) = order else {
        return Ok(providers.iter().map(|&name| name.to_owned()).collect());
    };
    if order.is_empty() {
        return Err(Problem::EmptyOrder.at(at.clone()));
    }
    for (index, name) in order.iter().enumerate() {
        let problem = if !providers.contains(&name.as_str()) {
            let known = providers.iter().map(|name| redacted(name).into_owned()).collect();
            Problem::UnknownProvider { name: redacted(name).into_owned(), known }
        } else if order[..index].contains(name) {
            Problem::RepeatedProvider { name: redacted(name).into_owned() }
        } else {
            continue;
        };
        return Err(problem.at(at.index(index)));
    }
    Ok(order)
}
