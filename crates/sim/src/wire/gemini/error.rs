//! Gemini's errors.

use http::StatusCode;
use serde_json::{Value, json};

use super::limit_error::{SERVICE, limit_details, limit_message, retry_info};
use crate::script::Refusal;
use crate::wire::input::ResponseInput;
use crate::wire::route::Format;

/// Returns the status and the body of an error.
pub(in crate::wire) fn error(input: &ResponseInput<'_>, refusal: &Refusal) -> (StatusCode, Value) {
    let (code, status, message) = error_parts(input, refusal);
    let mut error = json!({"code": code, "message": message, "status": status});
    let details = details(input, refusal);
    if !details.is_empty() {
        error["details"] = details.into();
    }
    (StatusCode::from_u16(code).unwrap_or_default(), json!({"error": error}))
}

/// Returns the code, the status and the message of an error.
fn error_parts(input: &ResponseInput<'_>, refusal: &Refusal) -> (u16, &'static str, String) {
    let model = input.model();
    match refusal {
        Refusal::RateLimited { dimension, retry_after } => {
            (429, "RESOURCE_EXHAUSTED", limit_message(input, *dimension, *retry_after))
        }
        Refusal::BadRequest(reason) => (400, "INVALID_ARGUMENT", reason.clone().into_owned()),
        Refusal::ModelNotFound => {
            let message = format!("models/{model} is not found for API version v1beta, or is not supported.");
            (404, "NOT_FOUND", message)
        }
        Refusal::ObjectNotFound(message) if input.request.route.format == Format::Gemini => {
            (403, "PERMISSION_DENIED", message.clone().into_owned())
        }
        Refusal::Deactivated => {
            let secret = input.request.secret.as_deref().unwrap_or("");
            let message = format!("Permission denied: Consumer 'api_key:{secret}' has been suspended.");
            (403, "PERMISSION_DENIED", message)
        }
        Refusal::InvalidKey if input.request.route.format == Format::GeminiCompat => {
            (400, "INVALID_ARGUMENT", "Please pass a valid API key".to_owned())
        }
        _ => {
            let (code, status, message) = fixed_error_parts(refusal);
            (code, status, message.to_owned())
        }
    }
}

/// Returns the code, the status and the message of an error whose message never differs.
fn fixed_error_parts(refusal: &Refusal) -> (u16, &'static str, &'static str) {
    const INVALID: &str = "INVALID_ARGUMENT";
    match refusal {
        Refusal::OutOfCredit => (
            429,
            "RESOURCE_EXHAUSTED",
            "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/projects to \
             manage your project and billing.",
        ),
        Refusal::MissingKey => (
            403,
            "PERMISSION_DENIED",
            "Method doesn't allow unregistered callers (callers without established identity). Please use \
             API Key or other form of API consumer identity to call this API.",
        ),
        Refusal::InvalidKey => (400, INVALID, "API key not valid. Please pass a valid API key."),
        Refusal::ModelForbidden => (403, "PERMISSION_DENIED", "The caller does not have permission"),
        Refusal::RegionBlocked => {
            (400, "FAILED_PRECONDITION", "User location is not supported for the API use.")
        }
        Refusal::Overloaded { .. } => {
            (503, "UNAVAILABLE", "The model is overloaded. Please try again later.")
        }
        Refusal::ServerError => (
            500,
            "INTERNAL",
            "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
        ),
        Refusal::Timeout => (504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
        Refusal::ContextLength | Refusal::LargerThanLimit => (
            400,
            INVALID,
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        Refusal::ContentFilter => (400, INVALID, "The prompt was blocked."),
        Refusal::TooLarge => (400, INVALID, "Request payload size exceeds the limit: 20971520 bytes."),
        _ => (404, "NOT_FOUND", "Requested entity was not found."),
    }
}

fn details(input: &ResponseInput<'_>, refusal: &Refusal) -> Vec<Value> {
    let compatible = input.request.route.format == Format::GeminiCompat;
    match refusal {
        Refusal::RateLimited { dimension, retry_after } => limit_details(input, *dimension, *retry_after),
        Refusal::InvalidKey if !compatible => vec![error_info("API_KEY_INVALID")],
        Refusal::Deactivated => vec![error_info("CONSUMER_SUSPENDED")],
        Refusal::Overloaded { retry_after: Some(wait) } => vec![retry_info(*wait)],
        _ => Vec::new(),
    }
}

fn error_info(reason: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": SERVICE},
    })
}
