//! OpenAI's headers and errors.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::meter::Gauge;
use super::refusal::{Refusal, SimDimension};
use super::reply::Reply;
use super::route::Endpoint;
use super::scene::{GoDuration, Scene, put, whole_seconds};

const INVALID: &str = "invalid_request_error";

/// Status, `type`, `code` and message of an error.
struct Words(u16, &'static str, Option<&'static str>, String);

/// Adds the headers that every response to a known key carries.
pub(super) fn dress(reply: Reply, scene: &Scene<'_>) -> Reply {
    let mut reply = identified(reply, scene);
    limit_headers(&mut reply.headers, scene);
    reply
}

pub(super) fn refuse(scene: &Scene<'_>, refusal: &Refusal) -> Reply {
    let (status, value) = error(scene, refusal);
    let mut reply = Reply::pretty(status, &value).with("x-request-id", scene.id("req_"));
    match refusal {
        Refusal::RateLimited { retry_after, .. } => {
            reply = dress(reply, scene);
            waits(&mut reply.headers, *retry_after);
        }
        Refusal::Overloaded { retry_after } => waits(&mut reply.headers, *retry_after),
        Refusal::InvalidKey | Refusal::MissingKey | Refusal::Deactivated | Refusal::OutOfCredit => {}
        _ => reply = identified(reply, scene),
    }
    reply
}

pub(super) fn error(scene: &Scene<'_>, refusal: &Refusal) -> (StatusCode, Value) {
    let Words(status, kind, code, message) = match refusal {
        Refusal::RateLimited { dimension, retry_after } => limit_words(scene, *dimension, *retry_after),
        Refusal::LargerThanLimit => too_large_for_limit(scene),
        Refusal::MissingKey | Refusal::InvalidKey | Refusal::Deactivated => key_words(scene, refusal),
        Refusal::ModelForbidden | Refusal::ModelNotFound => model_words(scene, refusal),
        Refusal::Overloaded { .. } | Refusal::ServerError | Refusal::Timeout => server_words(refusal),
        _ => other_words(scene, refusal),
    };
    let param = match refusal {
        Refusal::ContextLength => Some("messages"),
        _ => None,
    };
    let error = json!({"message": message, "type": kind, "param": param, "code": code});
    (StatusCode::from_u16(status).unwrap_or_default(), json!({"error": error}))
}

fn identified(reply: Reply, scene: &Scene<'_>) -> Reply {
    reply
        .with("openai-organization", scene.organization)
        .with("openai-processing-ms", 136)
        .with("openai-version", "2020-10-01")
        .with("x-request-id", scene.id("req_"))
}

fn limit_headers(headers: &mut HeaderMap, scene: &Scene<'_>) {
    if scene.asked.route.endpoint == Endpoint::Models {
        return;
    }
    let Gauge { limit, remaining, full_in } = scene.requests();
    put(headers, "x-ratelimit-limit-requests", limit);
    put(headers, "x-ratelimit-remaining-requests", remaining);
    put(headers, "x-ratelimit-reset-requests", GoDuration(full_in));
    let Gauge { limit, remaining, full_in } = scene.tokens();
    put(headers, "x-ratelimit-limit-tokens", limit);
    put(headers, "x-ratelimit-remaining-tokens", remaining);
    put(headers, "x-ratelimit-reset-tokens", GoDuration(full_in));
}

fn waits(headers: &mut HeaderMap, retry_after: Option<Duration>) {
    if let Some(wait) = retry_after {
        put(headers, "retry-after", whole_seconds(wait));
        put(headers, "retry-after-ms", wait.as_nanos().div_ceil(1_000_000));
    }
}

fn limit_words(scene: &Scene<'_>, dimension: SimDimension, retry_after: Option<Duration>) -> Words {
    let (window, kind, gauge, requested) = match dimension {
        SimDimension::Requests => ("requests per min (RPM)", "requests", scene.requests(), 1),
        SimDimension::Tokens => ("tokens per min (TPM)", "tokens", scene.tokens(), scene.total_tokens()),
        SimDimension::Day => {
            let gauge = scene.standing.day.unwrap_or_else(|| scene.requests());
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
        scene.model(),
        scene.organization,
        gauge.limit,
    );
    Words(429, kind, Some("rate_limit_exceeded"), message)
}

fn too_large_for_limit(scene: &Scene<'_>) -> Words {
    let message = format!(
        "Request too large for {0} (for limit {0}) in organization {1} on tokens per min (TPM): Limit {2}, \
         Requested {3}. The input or output tokens must be reduced in order to run successfully. Visit \
         https://platform.openai.com/account/rate-limits to learn more.",
        scene.model(),
        scene.organization,
        scene.tokens().limit,
        scene.total_tokens(),
    );
    Words(429, "tokens", Some("rate_limit_exceeded"), message)
}

fn key_words(scene: &Scene<'_>, refusal: &Refusal) -> Words {
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
                masked(scene.asked.secret.as_deref().unwrap_or(""))
            ),
        ),
    };
    Words(401, INVALID, code, message)
}

fn model_words(scene: &Scene<'_>, refusal: &Refusal) -> Words {
    let model = scene.model();
    let (status, message) = match refusal {
        Refusal::ModelForbidden => {
            (403, format!("Project `proj_sim` does not have access to model `{model}`"))
        }
        _ => (404, format!("The model `{model}` does not exist or you do not have access to it.")),
    };
    Words(status, INVALID, Some("model_not_found"), message)
}

fn server_words(refusal: &Refusal) -> Words {
    const HELP: &str = "You can retry your request, or contact us through our help center at \
                        help.openai.com if the error persists.";
    let (status, message) = match refusal {
        Refusal::Overloaded { .. } => {
            (503, format!("That model is currently overloaded with other requests. {HELP}"))
        }
        Refusal::Timeout => (504, "The request timed out.".to_owned()),
        _ => (500, format!("The server had an error processing your request. Sorry about that! {HELP}")),
    };
    Words(status, "server_error", None, message)
}

fn other_words(scene: &Scene<'_>, refusal: &Refusal) -> Words {
    let (status, kind, code, message) = match refusal {
        Refusal::BadRequest(reason) => return Words(400, INVALID, None, reason.clone().into_owned()),
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
            let message = format!("Invalid URL ({} {})", scene.asked.method, scene.asked.path);
            return Words(404, INVALID, None, message);
        }
    };
    Words(status, kind, code, message.to_owned())
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
