//! Limits that an operator declares.

use std::fmt;

use super::Zone;
use super::reading::Counted;
use crate::provider::{Dimension, Window};

/// A limit that an operator declares, for a provider that does not tell its own, or to keep below it.
///
/// ```
/// use tower_key_rotation::limits::{Quota, Zone};
///
/// // A free tier: ten requests a minute, 25 a Pacific day, for each model of that name.
/// let quotas = [
///     Quota::requests(10).per_minute().for_models("gemini-2.5-*"),
///     Quota::requests(25).per_day().resets_at_midnight(Zone::pacific()).for_models("gemini-2.5-*"),
///     Quota::tokens(250_000).per_minute(),
///     Quota::concurrent(4),
/// ];
/// # let _ = quotas;
/// ```
///
/// | window | counts | to change that |
/// |---|---|---|
/// | second | as a bucket of one: requests are spaced evenly | [`burst`](Self::burst) |
/// | minute | as a bucket of the whole minute's amount | [`burst`](Self::burst), [`aligned`](Self::aligned) |
/// | day | anew at the provider's midnight: Pacific for Gemini, UTC for others | [`resets_at_midnight`](Self::resets_at_midnight), [`rolling`](Self::rolling) |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    pub(super) counted: Counted,
    pub(super) amount: u64,
    /// In seconds; zero for what has no window.
    pub(super) window: Window,
    pub(super) renewal: Renewal,
    /// Of a bucket; `None`: as the window has it.
    pub(super) burst: Option<u64>,
    models: Option<ModelPattern>,
}

/// An amount that lacks its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "say `per_second`, `per_minute` or `per_day`"]
pub struct Allowance {
    dimension: Dimension,
    amount: u64,
}

/// How a quota comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// Evenly.
    Bucket,
    /// At once, at each multiple of the window since the Unix epoch.
    Aligned,
    /// At once, at midnight; `None`: the provider's.
    Midnight(Option<Zone>),
}

/// Names of models: one, or all that begin or end alike.
///
/// A `*` stands for any text; there may be several. Upper and lower case are alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelPattern(Box<str>);

// === impl Quota ===

impl Quota {
    /// So many requests.
    pub const fn requests(amount: u64) -> Allowance {
        Allowance { dimension: Dimension::Requests, amount }
    }

    /// So many tokens, of prompt and answer together.
    pub const fn tokens(amount: u64) -> Allowance {
        Allowance { dimension: Dimension::Tokens, amount }
    }

    /// So many tokens of prompts.
    pub const fn input_tokens(amount: u64) -> Allowance {
        Allowance { dimension: Dimension::InputTokens, amount }
    }

    /// So many tokens of answers.
    pub const fn output_tokens(amount: u64) -> Allowance {
        Allowance { dimension: Dimension::OutputTokens, amount }
    }

    /// So many requests under way at once, each from its sending to the end of its answer's body.
    pub const fn concurrent(amount: u32) -> Self {
        Self {
            counted: Counted::Concurrent,
            amount: amount as u64,
            window: Window::from_secs(0),
            renewal: Renewal::Bucket,
            burst: None,
            models: None,
        }
    }

    /// Only for models of such names, each of which has the whole amount for itself. Names that differ only in upper
    /// and lower case are one model.
    ///
    /// What is counted lasts until it is full again, however many other names callers use. As many names are counted
    /// each by itself as the pool has room for models
    /// ([`max_models`](crate::pool::KeyPoolBuilder::max_models), 256 by default); further names that match the same
    /// patterns share one amount. So callers who may choose names have the amount once for each name, 257 times at
    /// most: list the models that they may use, or limit the account as well.
    ///
    /// A pool with such limits reads the model off the whole request before it is sent: from an extension, the path,
    /// or the last member `model` of the body. A request whose body can't be read (compressed, no valid JSON and no
    /// form, or longer than the replay cap with no name before) is refused with
    /// [`GaveUp::UnreadableModel`](crate::GaveUp::UnreadableModel). A body that names no model is not counted. A
    /// body that is longer than the replay cap counts for the model that its recorded part names.
    #[must_use]
    pub fn for_models(mut self, pattern: impl Into<ModelPattern>) -> Self {
        self.models = Some(pattern.into());
        self
    }

    /// How much may be taken at once of what refills evenly, at least one. A burst of one spaces requests;
    /// one a little below the provider's keeps clear of its edge.
    #[must_use]
    pub fn burst(mut self, amount: u64) -> Self {
        self.burst = Some(if amount == 0 { 1 } else { amount });
        self.renewal = Renewal::Bucket;
        self
    }

    /// Comes back evenly over its window: OpenAI's daily limits regain one of 100 requests in 14m24s.
    #[must_use]
    pub fn rolling(mut self) -> Self {
        self.renewal = Renewal::Bucket;
        self
    }

    /// Starts anew with each second, minute or day of universal time.
    #[must_use]
    pub fn aligned(mut self) -> Self {
        self.renewal = Renewal::Aligned;
        self
    }

    /// Starts anew at midnight there; for what is counted per day.
    #[must_use]
    pub fn resets_at_midnight(mut self, zone: Zone) -> Self {
        self.renewal = Renewal::Midnight(Some(zone));
        self
    }

    pub(crate) const fn counts_tokens(&self) -> bool {
        self.counted.is_tokens()
    }

    pub(crate) const fn models(&self) -> Option<&ModelPattern> {
        self.models.as_ref()
    }
}

// === impl Allowance ===

impl Allowance {
    /// Over a second, evenly spaced.
    pub fn per_second(self) -> Quota {
        self.over(Window::SECOND, Renewal::Bucket).burst(1)
    }

    /// Over a minute, at once or as they come.
    pub const fn per_minute(self) -> Quota {
        self.over(Window::MINUTE, Renewal::Bucket)
    }

    /// Over a day that ends at the provider's midnight.
    pub const fn per_day(self) -> Quota {
        self.over(Window::DAY, Renewal::Midnight(None))
    }

    /// Over another window, evenly.
    pub const fn per(self, window: Window) -> Quota {
        self.over(window, Renewal::Bucket)
    }

    const fn over(self, window: Window, renewal: Renewal) -> Quota {
        let Self { dimension, amount } = self;
        Quota { counted: Counted::Of(dimension), amount, window, renewal, burst: None, models: None }
    }
}

// === impl ModelPattern ===

impl ModelPattern {
    /// Whether a model's name is one of these.
    pub fn matches(&self, model: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = strip(model, first) else { return false };
        let Some(mut last) = parts.next() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = find(rest, last) else { return false };
            rest = &rest[at + last.len()..];
            last = part;
        }
        rest.len() >= last.len()
            && rest.as_bytes()[rest.len() - last.len()..].eq_ignore_ascii_case(last.as_bytes())
    }
}

#[cfg(feature = "metrics")]
impl ModelPattern {
    /// The one name that it takes, if there is but one.
    pub(crate) fn as_name(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&*self.0)
    }
}

fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix)).map(|_| &text[prefix.len()..])
}

fn find(text: &str, part: &str) -> Option<usize> {
    (0..=text.len()).find(|at| text.get(*at..).is_some_and(|rest| strip(rest, part).is_some()))
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
