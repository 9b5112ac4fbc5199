//! How the answers of one provider are read: its table of rules and what else is peculiar to it.

use http::HeaderName;

use super::limits::{Limit, Windows};
use super::{AuthScheme, ModelPath};
use crate::classify::Verdict;
use crate::classify::answer::{Answer, Reset};
use crate::classify::rules::Rule;

/// A provider as data.
#[derive(Debug)]
pub(super) struct Preset {
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    pub(super) origins: &'static [&'static str],
    pub(super) auth: AuthScheme,
    pub(super) env_prefixes: &'static [&'static str],
    pub(super) model_path: ModelPath,
    pub(super) dialect: &'static Dialect,
}

/// How answers are read.
#[derive(Debug)]
pub(super) struct Dialect {
    /// Read from the top, before what is true of everybody.
    pub(super) rules: &'static [Rule],
    /// What no table can say; asked before the rules.
    pub(super) judge: fn(&mut Answer<'_>) -> Option<Verdict>,
    /// The windows that header names do not tell.
    pub(super) windows: Windows,
    /// Whether a reset is when the next request may pass, not when the bucket is full.
    pub(super) exact_resets: bool,
    /// See [`Provider::errors_in_ok_bodies`](super::Provider::errors_in_ok_bodies).
    pub(super) errors_in_ok_bodies: bool,
    /// See [`Provider::auth_at`](super::Provider::auth_at).
    pub(super) bearer_below: Option<&'static str>,
    /// Daily quotas start anew at Pacific midnight, and not at that of universal time.
    pub(super) pacific_days: bool,
    /// The headers of an answer that name the account whose limits it counts for: first the organisation,
    /// then what narrows it down.
    pub(super) account: &'static [HeaderName],
}

/// What is true of everybody, and nothing else.
pub(super) const COMMON: Dialect = Dialect {
    rules: &[],
    judge: nothing,
    windows: Windows::MINUTE,
    exact_resets: true,
    errors_in_ok_bodies: false,
    bearer_below: None,
    pacific_days: false,
    account: &[],
};

/// A row that has only rules to add.
pub(super) const fn with_rules(rules: &'static [Rule]) -> Dialect {
    Dialect { rules, ..COMMON }
}

/// What OpenTelemetry's semantic conventions call a preset (`gen_ai.provider.name`, version 1.41.0), where they
/// have a word of their own for it.
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

const fn nothing(_: &mut Answer<'_>) -> Option<Verdict> {
    None
}

impl Dialect {
    /// The reset of the dimension that is used up: the one that has nothing left, or the one of which a
    /// refusal says nothing but its reset.
    pub(super) fn exhausted_reset(&self, limits: &[Limit]) -> Option<Reset> {
        let exhausted = limits.iter().filter(|limit| limit.is_exhausted() || !limit.has_numbers());
        let resets = exhausted.filter_map(|limit| limit.reset);
        let reset = resets.max().filter(|reset| !reset.is_zero())?;
        Some(if self.exact_resets { Reset::Exact(reset) } else { Reset::AtMost(reset) })
    }
}
