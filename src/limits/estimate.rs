//! What a request will take, before anybody has counted it.

use crate::body::meter::Usage;
use crate::provider::Dimension;

/// Tokens that a request is thought to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Of the prompt.
    pub input_tokens: u64,
    /// Of the answer: as many as the request allows, if it says so.
    pub output_tokens: u64,
}

impl Estimate {
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
