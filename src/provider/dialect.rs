//! The interpretation of one provider's responses: its table of rules and its peculiarities.

use http::HeaderName;

use crate::classify::Verdict;
use crate::classify::response::{Reset, UpstreamResponse};
use crate::classify::rules::Rule;
use crate::provider::limits::{Limit, Windows};

/// The way in which responses of a provider are interpreted.
#[derive(Debug)]
pub(super) struct Dialect {
    /// Rules of the provider. Applied from the top, before those that hold for every provider.
    pub(super) rules: &'static [Rule],
    /// Classification that no table can express. Applied before the rules.
    pub(super) judge: fn(&mut UpstreamResponse<'_>) -> Option<Verdict>,
    /// Windows that the names of headers do not contain.
    pub(super) windows: Windows,
    /// Whether a reset is the time at which the next request may pass. Otherwise it is the time at which the
    /// bucket is full.
    pub(super) exact_resets: bool,
    /// See [`Provider::errors_in_ok_bodies`](crate::provider::Provider::errors_in_ok_bodies).
    pub(super) errors_in_ok_bodies: bool,
    /// Path below which a key is sent as a bearer token.
    pub(super) bearer_below: Option<&'static str>,
    /// Whether an access token (a JWT) is sent as a bearer token, whatever the scheme of keys.
    pub(super) bearer_tokens: bool,
    /// Offset from UTC, in hours, of times that a message states without a zone.
    pub(super) utc_offset: i8,
    /// Whether daily quotas reset at midnight Pacific time rather than UTC.
    pub(super) pacific_days: bool,
    /// Response headers that name the account whose limits count: first the organisation, then the parts that
    /// narrow it down.
    pub(super) account: &'static [HeaderName],
}

/// The dialect with only the rules that hold for every provider.
pub(super) const COMMON: Dialect = Dialect {
    rules: &[],
    judge: nothing,
    windows: Windows::MINUTE,
    exact_resets: true,
    errors_in_ok_bodies: false,
    bearer_below: None,
    bearer_tokens: false,
    utc_offset: 0,
    pacific_days: false,
    account: &[],
};

/// Creates a dialect that adds only rules.
pub(super) const fn with_rules(rules: &'static [Rule]) -> Dialect {
    Dialect { rules, ..COMMON }
}

/// Creates a dialect that adds only rules, for a provider in China.
pub(super) const fn with_rules_in_china(rules: &'static [Rule]) -> Dialect {
    Dialect { rules, utc_offset: 8, ..COMMON }
}

/// Returns the name of a preset in OpenTelemetry's semantic conventions (`gen_ai.provider.name`, version
/// 1.41.0), or its own name if they define none.
pub(super) fn system(preset: &'static str) -> &'static str {
    match preset {
        "azure" => "azure.ai.openai",
        "bedrock" => "aws.bedrock",
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "vertex" => "gcp.vertex_ai",
        "xai" => "x_ai",
        name => name,
    }
}

const fn nothing(_: &mut UpstreamResponse<'_>) -> Option<Verdict> {
    None
}

impl Dialect {
    /// Returns the reset of the used-up limits: those with nothing left, and those for which the response
    /// gives nothing but a reset. The latest one counts.
    pub(super) fn exhausted_reset(&self, limits: &[Limit]) -> Option<Reset> {
        let exhausted = limits.iter().filter(|limit| limit.is_exhausted() || !limit.has_numbers());
        let resets = exhausted.filter_map(|limit| limit.reset);
        let reset = resets.max().filter(|reset| !reset.is_zero())?;
        Some(if self.exact_resets { Reset::Exact(reset) } else { Reset::AtMost(reset) })
    }
}
