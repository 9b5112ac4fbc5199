//! Limits that an operator declares.

use std::fmt;

use crate::limits::Zone;
use crate::limits::ledger::status::Metric;
use crate::provider::{Dimension, Window};
use crate::wildcard;

/// A limit that an operator declares: for a provider that does not report its own, or to stay below it.
///
/// Every quota counts over a window, except [`concurrent`](Self::concurrent). The default behavior depends on
/// the window:
///
/// | window | default | methods that change it |
/// |---|---|---|
/// | second | a bucket of size one: requests are spaced evenly | [`burst`](Self::burst) |
/// | minute | a bucket that holds the amount of a whole minute | [`burst`](Self::burst), [`aligned`](Self::aligned) |
/// | day | resets at the provider's midnight: Pacific time for Gemini, UTC for others | [`resets_at_midnight`](Self::resets_at_midnight), [`rolling`](Self::rolling) |
///
/// # Example
///
/// ```
/// use tower_key_rotation::limits::{Quota, Zone};
///
/// // A free tier: for each model with such a name, ten requests a minute and 25 a Pacific day.
/// let quotas = [
///     Quota::requests(10).per_minute().for_models("gemini-2.5-*"),
///     Quota::requests(25).per_day().resets_at_midnight(Zone::pacific()).for_models("gemini-2.5-*"),
///     Quota::tokens(250_000).per_minute(),
///     Quota::concurrent(4),
/// ];
/// # let _ = quotas;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    pub(in crate::limits) metric: Metric,
    pub(in crate::limits) amount: u64,
    /// The length of the window; zero for a quota without a window.
    pub(in crate::limits) window: Window,
    pub(in crate::limits) reset_rule: ResetRule,
    /// The size of the bucket; `None` means the default of the window. Buckets only.
    pub(in crate::limits) burst: Option<u64>,
    models: Option<ModelPattern>,
}

/// An amount without a window, made by [`Quota::requests`] and its siblings.
///
/// Choose the window with [`per_second`](Self::per_second), [`per_minute`](Self::per_minute),
/// [`per_day`](Self::per_day), or [`per`](Self::per).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "say `per_second`, `per_minute` or `per_day`"]
pub struct Allowance {
    dimension: Dimension,
    amount: u64,
}

/// The way in which a quota becomes available again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::limits) enum ResetRule {
    /// Evenly over the window.
    Bucket,
    /// All at once, at each multiple of the window since the Unix epoch.
    Aligned,
    /// All at once, at midnight in this time zone; `None` means the provider's own zone.
    Midnight(Option<Zone>),
}

/// A pattern of model names: a single name, or all names that share a prefix, a suffix, or a part.
///
/// A `*` stands for any text, the empty text included, and may occur several times. The pattern has to match
/// the whole name. Case is ignored in ASCII letters.
///
/// ```
/// use tower_key_rotation::limits::ModelPattern;
///
/// let flash = ModelPattern::from("gemini-*-flash");
/// assert!(flash.matches("gemini-2.5-flash"));
/// assert!(!flash.matches("gemini-2.5-flash-lite"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelPattern(Box<str>);

// === impl Quota ===

impl Quota {
    /// Limits the number of requests.
    pub const fn requests(amount: u64) -> Allowance {
        Allowance { dimension: Dimension::Requests, amount }
    }

    /// Limits the number of tokens, of prompts and responses together.
    pub const fn tokens(amount: u64) -> Allowance {
        Allowance { dimension: Dimension::Tokens, amount }
    }

    /// Limits the number of tokens in prompts.
    pub const fn input_tokens(amount: u64) -> Allowance {
        Allowance { dimension: Dimension::InputTokens, amount }
    }

    /// Limits the number of tokens in responses.
    pub const fn output_tokens(amount: u64) -> Allowance {
        Allowance { dimension: Dimension::OutputTokens, amount }
    }

    /// Limits the number of requests in flight. A request is in flight from its sending to the end of its
    /// response body. An amount of zero admits no request.
    pub const fn concurrent(amount: u32) -> Self {
        Self {
            metric: Metric::Concurrent,
            amount: amount as u64,
            window: Window::from_secs(0),
            reset_rule: ResetRule::Bucket,
            burst: None,
            models: None,
        }
    }

    /// Applies the quota only to models whose name matches a pattern. Each such model has the whole amount
    /// for itself. Names that differ only in case are one model. Default: the quota applies to all requests,
    /// whatever their model.
    ///
    /// Counts of a name last until its quota is full again, however many other names callers use. The pool
    /// counts as many names separately as it has room for models
    /// ([`max_models`](crate::pool::KeyPoolBuilder::max_models), 256 by default). Further names that match
    /// the same patterns share one amount. So callers who may choose names get the amount once for each name,
    /// 257 times at most by default: list the models that they may use, or limit the account as well.
    ///
    /// A pool with such a quota reads the model from the whole request before sending it: from an extension,
    /// the path, or the last member `model` of the body. A request whose body is unreadable (compressed;
    /// neither valid JSON nor a form; or longer than the replay cap with no name before it) is refused with
    /// [`StopReason::UnreadableModel`](crate::StopReason::UnreadableModel). A body that names no model is not
    /// counted. A body that is longer than the replay cap counts for the model that its recorded part names.
    #[must_use]
    pub fn for_models(mut self, pattern: impl Into<ModelPattern>) -> Self {
        self.models = Some(pattern.into());
        self
    }

    /// Makes the quota a bucket of this size: the maximum amount that may be taken at once. An amount of zero
    /// counts as one. A burst of one spaces requests evenly; a burst slightly below the provider's own keeps
    /// a distance from its limit. Default: one for a quota per second, and the whole amount otherwise.
    #[must_use]
    pub fn burst(mut self, amount: u64) -> Self {
        self.burst = Some(if amount == 0 { 1 } else { amount });
        self.reset_rule = ResetRule::Bucket;
        self
    }

    /// Refills the quota evenly over its window. OpenAI's daily limits work like this: with 100 requests a
    /// day, one comes back every 14m24s.
    #[must_use]
    pub fn rolling(mut self) -> Self {
        self.reset_rule = ResetRule::Bucket;
        self
    }

    /// Resets the quota at each multiple of its window since the Unix epoch: at the start of each second,
    /// minute, or day in UTC.
    #[must_use]
    pub fn aligned(mut self) -> Self {
        self.reset_rule = ResetRule::Aligned;
        self
    }

    /// Resets the quota at midnight in a time zone. Meant for quotas [per day](Allowance::per_day).
    #[must_use]
    pub fn resets_at_midnight(mut self, zone: Zone) -> Self {
        self.reset_rule = ResetRule::Midnight(Some(zone));
        self
    }

    pub(crate) const fn counts_tokens(&self) -> bool {
        self.metric.is_tokens()
    }

    pub(crate) const fn models(&self) -> Option<&ModelPattern> {
        self.models.as_ref()
    }
}

// === impl Allowance ===

impl Allowance {
    /// Counts per second, evenly spaced: a bucket of size one. Change its size with [`burst`](Quota::burst).
    pub fn per_second(self) -> Quota {
        self.over(Window::SECOND, ResetRule::Bucket).burst(1)
    }

    /// Counts per minute. The whole amount may be taken at once, and refills evenly.
    pub const fn per_minute(self) -> Quota {
        self.over(Window::MINUTE, ResetRule::Bucket)
    }

    /// Counts per day. The quota resets at the provider's midnight: Pacific time for Gemini, UTC for others.
    pub const fn per_day(self) -> Quota {
        self.over(Window::DAY, ResetRule::Midnight(None))
    }

    /// Counts over another window. The whole amount may be taken at once, and refills evenly.
    pub const fn per(self, window: Window) -> Quota {
        self.over(window, ResetRule::Bucket)
    }

    const fn over(self, window: Window, reset_rule: ResetRule) -> Quota {
        let Self { dimension, amount } = self;
        Quota { metric: Metric::Of(dimension), amount, window, reset_rule, burst: None, models: None }
    }
}

// === impl ModelPattern ===

impl ModelPattern {
    /// Returns whether the pattern matches the name of a model.
    pub fn matches(&self, model: &str) -> bool {
        wildcard::matches(&self.0, model)
    }
}

#[cfg(feature = "metrics")]
impl ModelPattern {
    /// Returns the name that the pattern matches, if it matches exactly one.
    pub(crate) fn as_name(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&*self.0)
    }
}

impl<T: Into<Box<str>>> From<T> for ModelPattern {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, model, expected) in [
            ("gemini-2.5-pro", "gemini-2.5-pro", true),
            ("gemini-2.5-pro", "Gemini-2.5-Pro", true),
            ("gemini-2.5-pro", "gemini-2.5-pro-preview", false),
            ("gemini-2.5-*", "gemini-2.5-flash", true),
            ("gemini-2.5-*", "gemini-2.5-", true),
            ("gemini-2.5-*", "gemini-2.0-flash", false),
            ("*-flash", "gemini-2.5-flash", true),
            ("*-flash", "flash", false),
            ("gemini-*-flash*", "gemini-2.5-flash-lite", true),
            ("gemini-*-flash*", "gemini-flash", false),
            ("a*a", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("", "x", false),
            ("é*", "éa", true),
            ("e*", "éa", false),
        ] {
            assert_eq!(ModelPattern::from(pattern).matches(model), expected, "{pattern} {model}");
        }
    }
}
