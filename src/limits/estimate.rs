//! What a request will take, before anybody has counted it.

use crate::body::meter::Usage;
use crate::provider::Dimension;

/// An estimate of the tokens that a request takes.
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
    /// Tokens of the response: as many as the request allows, if it says so.
    pub output_tokens: u64,
}

impl Estimate {
    /// An estimate of no tokens.
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

    /// What it turned out to be; what the provider does not tell stays as it was thought to be.
    pub(crate) fn corrected(self, usage: Usage) -> Self {
        let input_tokens = usage.input_tokens.unwrap_or(self.input_tokens);
        // Thinking is in the total only, and is limited like the rest.
        let beyond = usage.total_tokens.and_then(|total| total.checked_sub(input_tokens));
        let output_tokens = beyond.max(usage.output_tokens).unwrap_or(self.output_tokens);
        Self { input_tokens, output_tokens }
    }
}
