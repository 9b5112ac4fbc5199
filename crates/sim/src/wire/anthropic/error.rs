//! Anthropic's errors.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::headers::organization;
use crate::script::{Refusal, SimDimension};
use crate::wire::input::ResponseInput;

/// Returns the status and the body of an error.
pub(in crate::wire) fn error(input: &ResponseInput<'_>, refusal: &Refusal) -> (StatusCode, Value) {
    let (status, kind, message) = error_parts(input, refusal);
    let mut error = json!({"type": kind, "message": message});
    if matches!(refusal, Refusal::RateLimited { dimension: SimDimension::Day, .. }) {
        error["details"] = json!({"error_code": "enforced_spend_limit_reached"});
    }
    let value = json!({"type": "error", "error": error, "request_id": input.id("req_")});
    (StatusCode::from_u16(status).unwrap_or_default(), value)
}

/// Returns an error as the OpenAI-compatible endpoint reports it: the kind becomes the code, and the type is
/// always the same.
pub(in crate::wire) fn compatible_error(input: &ResponseInput<'_>, refusal: &Refusal) -> (StatusCode, Value) {
    let (status, kind, message) = error_parts(input, refusal);
    let error = json!({"code": kind, "message": message, "type": "invalid_request_error", "param": null});
    (StatusCode::from_u16(status).unwrap_or_default(), json!({"error": error}))
}

/// Returns the status, the kind and the message of an error.
fn error_parts(input: &ResponseInput<'_>, refusal: &Refusal) -> (u16, &'static str, String) {
    const INVALID: &str = "invalid_request_error";
    let (status, kind, message): (u16, &str, &str) = match refusal {
        Refusal::RateLimited { dimension, .. } => {
            return (429, "rate_limit_error", limit_message(input, *dimension));
        }
        Refusal::ModelNotFound => {
            return (404, "not_found_error", format!("model: {}", input.model()));
        }
        Refusal::BadRequest(reason) => return (400, INVALID, reason.clone().into_owned()),
        Refusal::ObjectNotFound(message) => return (404, "not_found_error", message.clone().into_owned()),
        Refusal::OutOfCredit => (
            400,
            INVALID,
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to \
             upgrade or purchase credits.",
        ),
        Refusal::LargerThanLimit | Refusal::TooLarge => {
            (413, "request_too_large", "Request exceeds the maximum size")
        }
        Refusal::MissingKey => (401, "authentication_error", "x-api-key header is required"),
        Refusal::InvalidKey => (401, "authentication_error", "invalid x-api-key"),
        Refusal::Deactivated => (400, INVALID, "This organization has been disabled."),
        Refusal::ModelForbidden => (403, "permission_error", "Permission denied"),
        Refusal::RegionBlocked => (403, "forbidden", "Request not allowed"),
        Refusal::Overloaded { .. } => (529, "overloaded_error", "Overloaded"),
        Refusal::ServerError => (500, "api_error", "Internal server error"),
        Refusal::Timeout => (504, "timeout_error", "Request timed out"),
        Refusal::ContextLength => (400, INVALID, "prompt is too long: 3333404 tokens > 200000 maximum"),
        Refusal::ContentFilter => (400, INVALID, "Output blocked by content filtering policy"),
        _ => (404, "not_found_error", "Not found"),
    };
    (status, kind, message.to_owned())
}

fn limit_message(input: &ResponseInput<'_>, dimension: SimDimension) -> String {
    let (amount, what) = match dimension {
        SimDimension::Requests => (input.requests().limit, "requests"),
        SimDimension::Tokens => (input.tokens().limit, "input tokens"),
        SimDimension::Day => {
            let day =
                input.rfc3339_after(input.gauges.day.map_or(Duration::from_secs(86_400), |day| day.full_in));
            let date = day.get(..10).unwrap_or_default();
            return format!(
                "You have reached your API usage limits: your organization has crossed its monthly API usage \
                 threshold, set based on your organization's API tier. You will regain access on {date} at \
                 00:00 UTC."
            );
        }
    };
    format!(
        "This request would exceed the rate limit for your organization ({}) of {amount} {what} per minute. \
         For details, refer to: https://docs.anthropic.com/en/api/rate-limits. You can see the response \
         headers for current usage. Please reduce the prompt length or the maximum tokens requested, or try \
         again later.",
        organization(input)
    )
}
