//! OpenAI's errors.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::script::{Refusal, SimDimension};
use crate::wire::header::GoDuration;
use crate::wire::input::ResponseInput;
use crate::wire::route::Endpoint;

const INVALID: &str = "invalid_request_error";

/// Status, `type`, `code` and message of an error.
struct ErrorParts(u16, &'static str, Option<&'static str>, String);

/// Returns the status and the body of an error.
pub(in crate::wire) fn error(input: &ResponseInput<'_>, refusal: &Refusal) -> (StatusCode, Value) {
    let ErrorParts(status, kind, code, message) = match refusal {
        Refusal::RateLimited { dimension, retry_after } => limit_error(input, *dimension, *retry_after),
        Refusal::LargerThanLimit => larger_than_limit_error(input),
        Refusal::MissingKey | Refusal::InvalidKey | Refusal::Deactivated => key_error(input, refusal),
        Refusal::ModelForbidden | Refusal::ModelNotFound => model_error(input, refusal),
        Refusal::Overloaded { .. } | Refusal::ServerError | Refusal::Timeout => server_error(refusal),
        _ => other_error(input, refusal),
    };
    let param = match refusal {
        Refusal::ContextLength => Some("messages"),
        Refusal::ObjectNotFound(_) => Some("id"),
        Refusal::PreviousResponseNotFound(_) => Some("previous_response_id"),
        _ => None,
    };
    let error = json!({"message": message, "type": kind, "param": param, "code": code});
    (StatusCode::from_u16(status).unwrap_or_default(), json!({"error": error}))
}

fn limit_error(
    input: &ResponseInput<'_>,
    dimension: SimDimension,
    retry_after: Option<Duration>,
) -> ErrorParts {
    let (window, kind, gauge, requested) = match dimension {
        SimDimension::Requests => ("requests per min (RPM)", "requests", input.requests(), 1),
        SimDimension::Tokens => ("tokens per min (TPM)", "tokens", input.tokens(), input.total_tokens()),
        SimDimension::Day => {
            let gauge = input.gauges.day.unwrap_or_else(|| input.requests());
            ("requests per day (RPD)", "requests", gauge, 1)
        }
    };
    let used = gauge.limit.saturating_sub(gauge.remaining);
    let rolling = if dimension == SimDimension::Day { Some(gauge.full_in) } else { None };
    let again = match retry_after.or(rolling) {
        Some(wait) => format!("Please try again in {}. ", GoDuration(wait)),
        None => String::new(),
    };
    let message = format!(
        "Rate limit reached for {} in organization {} on {window}: Limit {}, Used {used}, Requested \
         {requested}. {again}Visit https://platform.openai.com/account/rate-limits to learn more.",
        input.model(),
        input.organization,
        gauge.limit,
    );
    ErrorParts(429, kind, Some("rate_limit_exceeded"), message)
}

fn larger_than_limit_error(input: &ResponseInput<'_>) -> ErrorParts {
    let message = format!(
        "Request too large for {0} (for limit {0}) in organization {1} on tokens per min (TPM): Limit {2}, \
         Requested {3}. The input or output tokens must be reduced in order to run successfully. Visit \
         https://platform.openai.com/account/rate-limits to learn more.",
        input.model(),
        input.organization,
        input.tokens().limit,
        input.total_tokens(),
    );
    ErrorParts(429, "tokens", Some("rate_limit_exceeded"), message)
}

fn key_error(input: &ResponseInput<'_>, refusal: &Refusal) -> ErrorParts {
    let (code, message) = match refusal {
        Refusal::Deactivated => (
            Some("account_deactivated"),
            "The OpenAI account associated with this API key has been deactivated. If you are the developer \
             for this OpenAI app, please check your email for more information."
                .to_owned(),
        ),
        Refusal::MissingKey => (
            None,
            "You didn't provide an API key. You need to provide your API key in an Authorization header \
             using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
                .to_owned(),
        ),
        _ => (
            Some("invalid_api_key"),
            format!(
                "Incorrect API key provided: {}. You can find your API key at \
                 https://platform.openai.com/account/api-keys.",
                masked(input.request.secret.as_deref().unwrap_or(""))
            ),
        ),
    };
    ErrorParts(401, INVALID, code, message)
}

fn model_error(input: &ResponseInput<'_>, refusal: &Refusal) -> ErrorParts {
    let model = input.model();
    let (status, message) = match refusal {
        Refusal::ModelForbidden => {
            (403, format!("Project `proj_sim` does not have access to model `{model}`"))
        }
        // The Responses endpoint has its own status for it.
        _ if input.request.route.endpoint == Endpoint::Responses => {
            (400, format!("The requested model '{model}' does not exist."))
        }
        _ => (404, format!("The model `{model}` does not exist or you do not have access to it.")),
    };
    ErrorParts(status, INVALID, Some("model_not_found"), message)
}

fn server_error(refusal: &Refusal) -> ErrorParts {
    const HELP: &str = "You can retry your request, or contact us through our help center at \
                        help.openai.com if the error persists.";
    let (status, message) = match refusal {
        Refusal::Overloaded { .. } => {
            (503, format!("That model is currently overloaded with other requests. {HELP}"))
        }
        Refusal::Timeout => (504, "The request timed out.".to_owned()),
        _ => (500, format!("The server had an error processing your request. Sorry about that! {HELP}")),
    };
    ErrorParts(status, "server_error", None, message)
}

fn other_error(input: &ResponseInput<'_>, refusal: &Refusal) -> ErrorParts {
    let (status, kind, code, message) = match refusal {
        Refusal::BadRequest(reason) => return ErrorParts(400, INVALID, None, reason.clone().into_owned()),
        Refusal::ObjectNotFound(message) => {
            return ErrorParts(404, INVALID, None, message.clone().into_owned());
        }
        Refusal::PreviousResponseNotFound(id) => {
            let message = format!("Previous response with id '{id}' not found.");
            return ErrorParts(400, INVALID, Some("previous_response_not_found"), message);
        }
        Refusal::InvalidEncryptedContent => (
            400,
            INVALID,
            Some("invalid_encrypted_content"),
            "The encrypted content could not be verified. Reason: Encrypted content organization_id did not \
             match the target organization.",
        ),
        Refusal::OutOfCredit => (
            429,
            "insufficient_quota",
            Some("insufficient_quota"),
            "You exceeded your current quota, please check your plan and billing details. For more \
             information on this error, read the docs: \
             https://platform.openai.com/docs/guides/error-codes/api-errors.",
        ),
        Refusal::RegionBlocked => (
            403,
            "request_forbidden",
            Some("unsupported_country_region_territory"),
            "Country, region, or territory not supported",
        ),
        Refusal::ContextLength => (
            400,
            INVALID,
            Some("context_length_exceeded"),
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 \
             tokens. Please reduce the length of the messages.",
        ),
        Refusal::ContentFilter => (
            400,
            INVALID,
            Some("invalid_prompt"),
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try \
             again with a different prompt.",
        ),
        Refusal::TooLarge => (413, INVALID, None, "Request body is too large."),
        _ => {
            let message = format!("Invalid URL ({} {})", input.request.method, input.request.path);
            return ErrorParts(404, INVALID, None, message);
        }
    };
    ErrorParts(status, kind, code, message.to_owned())
}

/// Returns the secret as OpenAI repeats it in errors: only the first eight and the last four characters are
/// readable.
fn masked(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    if letters.len() < 16 {
        return "*".repeat(letters.len());
    }
    let (start, rest) = letters.split_at(8);
    let (middle, end) = rest.split_at(rest.len() - 4);
    start.iter().copied().chain(middle.iter().map(|_| '*')).chain(end.iter().copied()).collect()
}
