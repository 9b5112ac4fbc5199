//! The shape of the gateway's own errors: that of the API whose path the caller used.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tower_key_rotation::provider::{Endpoint, Endpoints};

/// Header that the clients of Anthropic's API send with every request.
pub(crate) const ANTHROPIC_VERSION: &str = "anthropic-version";

/// The API whose errors a caller reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    #[default]
    OpenAi,
    Anthropic,
    Google,
}

/// The content of an error.
pub(crate) struct ErrorText<'a> {
    pub(crate) status: StatusCode,
    /// For programs.
    pub(crate) code: &'a str,
    /// For people.
    pub(crate) message: &'a str,
    pub(crate) request_id: &'a str,
    /// Time after which it is worth trying again, in seconds.
    pub(crate) retry_after: Option<&'a str>,
}

// === impl Shape ===

impl Shape {
    /// Returns the API of a request: by its path, or else by the API of the provider that the path names.
    pub(crate) fn of(path: &str, headers: &HeaderMap, named: Option<Endpoints>) -> Self {
        let segments = path.as_bytes().split(|byte| *byte == b'/');
        if segments.clone().skip(2).any(|segment| segment == b"openai") {
            return Self::OpenAi;
        }
        let is_versioned = segments.take(4).any(|segment| matches!(segment, b"v1beta" | b"v1alpha" | b"ws"));
        match Endpoint::of_path(path) {
            Endpoint::Messages => Self::Anthropic,
            Endpoint::GenerateContent => Self::Google,
            _ if is_versioned => Self::Google,
            Endpoint::Chat | Endpoint::Completions | Endpoint::Embeddings | Endpoint::Responses => {
                Self::OpenAi
            }
            _ => match named {
                Some(own) if own.contains(Endpoint::Messages) => Self::Anthropic,
                Some(own) if own.contains(Endpoint::GenerateContent) => Self::Google,
                None if headers.contains_key(ANTHROPIC_VERSION) => Self::Anthropic,
                _ => Self::OpenAi,
            },
        }
    }

    /// Returns an error in this shape.
    pub(crate) fn error(self, error: &ErrorText<'_>) -> Value {
        let ErrorText { status, code, message, request_id, retry_after } = *error;
        match self {
            Self::OpenAi => json!({
                "error": {"message": message, "type": "gateway_error", "param": null, "code": code},
                "request_id": request_id,
            }),
            Self::Anthropic => json!({
                "type": "error",
                "error": {"type": anthropic_type(status), "message": message, "code": code},
                "request_id": request_id,
            }),
            Self::Google => {
                let info = json!({
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": code.to_ascii_uppercase(),
                    "domain": "key-rotation-gateway",
                    "metadata": {"request_id": request_id},
                });
                let retry = retry_after.map(|seconds| {
                    json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")})
                });
                let details: Vec<_> = [info].into_iter().chain(retry).collect();
                let (code, status) = (status.as_u16(), google_status(status));
                json!({"error": {"code": code, "message": message, "status": status, "details": details}})
            }
        }
    }
}

/// Returns the type of an error in Anthropic's API (<https://platform.claude.com/docs/en/api/errors>).
fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// Returns the canonical code of Google's APIs for a status
/// (<https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>).
fn google_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        405 | 501 => "UNIMPLEMENTED",
        408 | 504 => "DEADLINE_EXCEEDED",
        426 => "FAILED_PRECONDITION",
        429 => "RESOURCE_EXHAUSTED",
        500 => "INTERNAL",
        502 | 503 => "UNAVAILABLE",
        _ => "INVALID_ARGUMENT",
    }
}
