//! Gemini's errors about limits. Gemini states limits nowhere else.

use std::time::Duration;

use serde_json::{Value, json};

use crate::script::SimDimension;
use crate::wire::input::ResponseInput;

/// Name of the service in errors.
pub(super) const SERVICE: &str = "generativelanguage.googleapis.com";

/// Wait that errors state for a daily limit, although the limit lasts longer (8 s).
const DAILY_LIMIT_WAIT: Duration = Duration::from_secs(8);

pub(super) fn limit_message(
    input: &ResponseInput<'_>,
    dimension: SimDimension,
    retry_after: Option<Duration>,
) -> String {
    let (metric, _, limit) = quota(input, dimension);
    let again = match stated_wait(dimension, retry_after) {
        Some(wait) => format!("\nPlease retry in {}s.", wait.as_secs_f64()),
        None => String::new(),
    };
    format!(
        "You exceeded your current quota, please check your plan and billing details. For more information on \
         this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.\n* Quota exceeded for metric: \
         {SERVICE}/{metric}, limit: {limit}, model: {}{again}",
        input.model()
    )
}

/// Returns the metric, the quota id and the limit of a dimension.
fn quota(input: &ResponseInput<'_>, dimension: SimDimension) -> (&'static str, &'static str, u64) {
    let requests = "generate_content_free_tier_requests";
    match dimension {
        SimDimension::Requests => {
            (requests, "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", input.requests().limit)
        }
        SimDimension::Tokens => (
            "generate_content_free_tier_input_token_count",
            "GenerateContentInputTokensPerModelPerMinute-FreeTier",
            input.tokens().limit,
        ),
        SimDimension::Day => {
            let limit = input.gauges.day.map_or(250, |day| day.limit);
            (requests, "GenerateRequestsPerDayPerProjectPerModel-FreeTier", limit)
        }
    }
}

/// Returns the wait that the error states. The refusal of a daily limit states a short wait too, although
/// waiting that long does not help.
fn stated_wait(dimension: SimDimension, retry_after: Option<Duration>) -> Option<Duration> {
    match dimension {
        SimDimension::Day => retry_after.or(Some(DAILY_LIMIT_WAIT)),
        SimDimension::Requests | SimDimension::Tokens => retry_after,
    }
}

pub(super) fn limit_details(
    input: &ResponseInput<'_>,
    dimension: SimDimension,
    retry_after: Option<Duration>,
) -> Vec<Value> {
    let (metric, id, limit) = quota(input, dimension);
    let mut details = vec![
        json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{
                "quotaMetric": format!("{SERVICE}/{metric}"),
                "quotaId": id,
                "quotaDimensions": {"location": "global", "model": input.model()},
                "quotaValue": limit.to_string(),
            }],
        }),
        json!({
            "@type": "type.googleapis.com/google.rpc.Help",
            "links": [{
                "description": "Learn more about Gemini API quotas",
                "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
            }],
        }),
    ];
    details.extend(stated_wait(dimension, retry_after).map(retry_info));
    details
}

pub(super) fn retry_info(wait: Duration) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": format!("{}s", wait.as_secs_f64()),
    })
}
