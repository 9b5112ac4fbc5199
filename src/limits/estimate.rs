//! The estimated cost of a request, before the provider has counted it.

use crate::body::meter::Usage;
use crate::provider::Dimension;

/// An estimate of the tokens that a request takes.
///
/// Limits that count tokens reserve this amount before the request is sent. The provider's own count replaces
/// it when the response has ended.
///
/// ```
/// use tower_key_rotation::limits::Estimate;
///
/// let estimate = Estimate::new().input_tokens(1_200).output_tokens(256);
/// assert_eq!(estimate.input_tokens, 1_200);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of the response: the maximum that the request allows, if it names one.
    pub output_tokens: u64,
}

impl Estimate {
    /// Creates an estimate of no tokens.
    pub const fn new() -> Self {
        Self::NONE
    }

    /// Sets the tokens of the prompt. Default: 0.
    #[must_use]
    pub const fn input_tokens(mut self, tokens: u64) -> Self {
        self.input_tokens = tokens;
        self
    }

    /// Sets the tokens of the response. Default: 0.
    #[must_use]
    pub const fn output_tokens(mut self, tokens: u64) -> Self {
        self.output_tokens = tokens;
        self
    }

    pub(crate) const NONE: Self = Self { input_tokens: 0, output_tokens: 0 };

    pub(super) const fn of(&self, dimension: Dimension) -> u64 {
        match dimension {
            Dimension::Tokens => self.input_tokens.saturating_add(self.output_tokens),
            Dimension::InputTokens => self.input_tokens,
            Dimension::OutputTokens => self.output_tokens,
            Dimension::Requests | Dimension::Images | Dimension::Pages => 0,
        }
    }

    /// Returns the estimate corrected by the provider's count. Numbers that the provider does not report keep
    /// their estimate.
    pub(crate) fn corrected(self, usage: Usage) -> Self {
        let input_tokens = usage.input_tokens.unwrap_or(self.input_tokens);
        // Thinking tokens appear only in the total, and are limited like the others.
        let beyond = usage.total_tokens.and_then(|total| total.checked_sub(input_tokens));
        let output_tokens = beyond.max(usage.output_tokens).unwrap_or(self.output_tokens);
        Self { input_tokens, output_tokens }
    }
}
