//! Anthropic.
//!
//! A lack of money arrives as `400 invalid_request_error` and only the message says so. A monthly cap of the
//! tier arrives as `429 rate_limit_error` with a code in the details. Subscription accounts have windows of
//! hours and days in separate headers. All windows must have room, so the rejected window that resets last
//! counts (<https://platform.claude.com/docs/en/api/errors>,
//! <https://platform.claude.com/docs/en/api/rate-limits>).

use std::time::Duration;

use http::HeaderName;

use crate::classify::error_body::Shape;
use crate::classify::response::{Reset, UpstreamResponse};
use crate::classify::rules::{Rule, fault, reject};
use crate::classify::{Reason, Rejection, Scope, Verdict, hints};
use crate::provider::dialect::{COMMON, Dialect};
use crate::provider::key_call::{KeyCall, Proof};
use crate::provider::preset::Preset;
use crate::provider::{AuthScheme, Endpoint, Endpoints, X_API_KEY};

pub(super) static PRESET: Preset = Preset::with_auth(
    "anthropic",
    Some("https://api.anthropic.com/v1"),
    AuthScheme::Header(X_API_KEY),
    &["ANTHROPIC"],
    &DIALECT,
    "https://platform.claude.com/docs/en/api/overview",
)
.endpoints(Endpoints::of(&[Endpoint::Chat, Endpoint::Models, Endpoint::Messages]))
.aliases(&["claude"])
.key_call(KeyCall::new("/models", Proof::Key))
.key_starts(&["sk-ant-"]);

static DIALECT: Dialect = Dialect { rules: RULES, judge, exact_resets: false, account: &ACCOUNT, ..COMMON };

/// Headers that name the account: the organisation and the workspace.
///
/// A workspace may have limits of its own below the organisation's. Where it has none, two workspaces count
/// as two accounts that are often limited together. That is the smaller mistake: a limit of one workspace
/// must not exclude the keys of the other.
static ACCOUNT: [HeaderName; 2] =
    [HeaderName::from_static("anthropic-organization-id"), HeaderName::from_static("anthropic-workspace-id")];

const RULES: &[Rule] = &[
    // The caller is a browser and sent an `Origin` header: the error concerns this request, whichever key it
    // carries (<https://github.com/anthropics/anthropic-sdk-typescript/issues/741>).
    reject(Rejection::Invalid).on(&[400, 401, 403]).says(&["cors requests"]),
    fault(Reason::QuotaExceeded, Scope::Account).on(&[400, 402, 403, 429]).says(&[
        "credit balance is too low",
        "api usage limits",
        "usage limits. you will regain",
        "out of extra usage",
        "spend limit",
    ]),
    fault(Reason::QuotaExceeded, Scope::Account).on(&[429]).named(&["enforced_spend_limit_reached"]),
    fault(Reason::InvalidKey, Scope::Account)
        .says(&["organization has been disabled", "account has been disabled"]),
    // The plan does not include the feature: shorter requests of the same key succeed.
    fault(Reason::Forbidden, Scope::AccountModel)
        .on(&[400, 403, 429])
        .says(&["extra usage is required", "long context beta is not yet available"])
        .of_account(),
    // The edge refused the address before it checked a key.
    fault(Reason::Blocked, Scope::Provider).on(&[403]).named(&["forbidden"]),
    fault(Reason::Blocked, Scope::Provider).on(&[403]).says(&["request not allowed"]),
    fault(Reason::Forbidden, Scope::Key)
        .on(&[400, 403])
        .says(&["scope requirement", "only authorized for use with"])
        .of_resource(),
    fault(Reason::RateLimited, Scope::Account).on(&[429]).says(&[
        "your account's rate limit",
        "concurrent connections",
        "concurrent requests",
    ]),
    // Rates count for each model of an organisation apart, though the message names only the organisation
    // (<https://platform.claude.com/docs/en/api/rate-limits>).
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]).says(&["per minute", "per-minute"]),
    // The OpenAI-compatible endpoint sends this beside type `invalid_request_error`.
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]),
    fault(Reason::Overloaded, Scope::Provider).on(&[500, 503]).says(&["overloaded"]),
];

/// Maximum wait of a limit per minute (1 h). A 429 without a body and with a longer wait is a window of the
/// subscription.
const LONGEST_RATE_LIMIT: Duration = Duration::from_secs(60 * 60);

fn judge(response: &mut UpstreamResponse<'_>) -> Option<Verdict> {
    if response.status.as_u16() != 429 {
        return None;
    }
    if response.header("anthropic-ratelimit-unified-status") == Some("rejected") {
        response.reset = unified_reset(response).map(Reset::Exact);
        return Some(response.fault(Reason::QuotaExceeded, unified_scope(response)));
    }
    let hint = hints::retry_after(response.headers, response.now);
    let unexplained = response.body.shape() == Shape::Empty;
    (unexplained && hint.is_some_and(|hint| hint > LONGEST_RATE_LIMIT))
        .then(|| response.fault(Reason::QuotaExceeded, Scope::Account))
}

/// Returns the names of the rejected windows of a subscription.
fn rejected_windows<'a>(response: &'a UpstreamResponse<'_>) -> impl Iterator<Item = &'a str> {
    let windows = response.headers.iter().filter(|(_, status)| *status == "rejected");
    windows.filter_map(|(name, _)| {
        name.as_str().strip_prefix("anthropic-ratelimit-unified-")?.strip_suffix("-status")
    })
}

/// Returns the scope of the rejected windows. Those of the account are named by their length only (`5h`,
/// `7d`); one with an addition (`7d_opus`, `7d_oi`) belongs to a family of models
/// (<https://github.com/Wei-Shaw/sub2api/issues/3698>). `overage` is paid usage on top, of the account.
fn unified_scope(response: &UpstreamResponse<'_>) -> Scope {
    let is_of_models =
        |window: &str| window.contains('_') && window.starts_with(|first: char| first.is_ascii_digit());
    let mut windows = rejected_windows(response).filter(|window| *window != "overage").peekable();
    let is_of_family = match windows.peek() {
        Some(_) => windows.all(is_of_models),
        None => response
            .header("anthropic-ratelimit-unified-representative-claim")
            .is_some_and(|claim| !matches!(claim, "five_hour" | "seven_day" | "overage")),
    };
    if is_of_family { Scope::AccountModel } else { Scope::Account }
}

/// Returns the time until the last of the rejected windows ends, since all windows must have room.
fn unified_reset(response: &UpstreamResponse<'_>) -> Option<Duration> {
    let reset = |window: &str| {
        let at = response.header(&format!("anthropic-ratelimit-unified-{window}-reset"))?;
        hints::epoch(at.parse().ok()?, response.now)
    };
    let latest = rejected_windows(response).filter_map(reset).max();
    latest.or_else(|| {
        hints::epoch(response.header("anthropic-ratelimit-unified-reset")?.parse().ok()?, response.now)
    })
}
