//! Gemini's responses and errors. Gemini states no limits in headers.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::chat;
use super::refusal::{Refusal, SimDimension};
use super::reply::{Event, Part, Reply, data};
use super::route::{Endpoint, Framing, Voice};
use super::scene::Scene;

const SERVICE: &str = "generativelanguage.googleapis.com";
const UNTRUE_WAIT: Duration = Duration::from_secs(8);

pub(super) fn answer(scene: &Scene<'_>) -> Reply {
    let value = match scene.asked.route.endpoint {
        Endpoint::Embeddings => json!({"embedding": {"values": [0.25, -0.5, 0.125]}}),
        Endpoint::CountTokens => json!({
            "totalTokens": scene.prompt_tokens(),
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": scene.prompt_tokens()}],
        }),
        Endpoint::Models => json!({"models": [{
            "name": "models/sim-large", "version": "001", "displayName": "Sim Large",
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }]}),
        _ if scene.asked.form.streamed => return stream(scene),
        _ => chunk(scene, parts(scene), Some("STOP"), scene.completion_tokens()),
    };
    Reply::json(StatusCode::OK, &value)
}

pub(super) fn dress(reply: Reply) -> Reply {
    reply.with("server", "scaffolding on HTTPServer2").with("server-timing", "gfet4t7; dur=799")
}

pub(super) fn refuse(scene: &Scene<'_>, refusal: &Refusal) -> Reply {
    if *refusal == Refusal::ContentFilter {
        return dress(filtered(scene));
    }
    let (status, value) = error(scene, refusal);
    let wrapped = scene.asked.route.wraps_errors();
    let value = if wrapped { json!([value]) } else { value };
    dress(Reply::pretty(status, &value)).with("content-type", "application/json; charset=UTF-8")
}

pub(super) fn error(scene: &Scene<'_>, refusal: &Refusal) -> (StatusCode, Value) {
    let (code, status, message) = words(scene, refusal);
    let mut error = json!({"code": code, "message": message, "status": status});
    let details = details(scene, refusal);
    if !details.is_empty() {
        error["details"] = details.into();
    }
    (StatusCode::from_u16(code).unwrap_or_default(), json!({"error": error}))
}

/// Returns the error as part of a stream. `first` says that no element of the stream was sent before it.
pub(super) fn error_event(scene: &Scene<'_>, refusal: &Refusal, first: bool) -> Bytes {
    let (_, value) = error(scene, refusal);
    match scene.asked.route.framing {
        Framing::Array if first => format!("[{value}\n]").into(),
        Framing::Array => format!(",\r\n{value}\n]").into(),
        Framing::Sse | Framing::Whole => data(&value),
    }
}

/// Returns the response to a blocked prompt: status 200 without candidates.
fn filtered(scene: &Scene<'_>) -> Reply {
    if scene.asked.route.voice == Voice::GeminiCompat {
        return Reply::json(StatusCode::OK, &chat::filtered(scene));
    }
    let value = json!({
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": scene.prompt_tokens(), "totalTokenCount": scene.prompt_tokens()},
        "modelVersion": scene.model(),
    });
    match scene.asked.route.framing {
        Framing::Whole => Reply::json(StatusCode::OK, &value),
        Framing::Sse => Reply::stream(vec![Event::data(Part::Terminator, &value)]),
        Framing::Array => Reply::json(StatusCode::OK, &json!([value])),
    }
}

fn words(scene: &Scene<'_>, refusal: &Refusal) -> (u16, &'static str, String) {
    let model = scene.model();
    match refusal {
        Refusal::RateLimited { dimension, retry_after } => {
            (429, "RESOURCE_EXHAUSTED", limit_message(scene, *dimension, *retry_after))
        }
        Refusal::BadRequest(reason) => (400, "INVALID_ARGUMENT", reason.clone().into_owned()),
        Refusal::ModelNotFound => {
            let message = format!("models/{model} is not found for API version v1beta, or is not supported.");
            (404, "NOT_FOUND", message)
        }
        Refusal::Deactivated => {
            let secret = scene.asked.secret.as_deref().unwrap_or("");
            let message = format!("Permission denied: Consumer 'api_key:{secret}' has been suspended.");
            (403, "PERMISSION_DENIED", message)
        }
        Refusal::InvalidKey if scene.asked.route.voice == Voice::GeminiCompat => {
            (400, "INVALID_ARGUMENT", "Please pass a valid API key".to_owned())
        }
        _ => {
            let (code, status, message) = fixed_words(refusal);
            (code, status, message.to_owned())
        }
    }
}

fn fixed_words(refusal: &Refusal) -> (u16, &'static str, &'static str) {
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

fn limit_message(scene: &Scene<'_>, dimension: SimDimension, retry_after: Option<Duration>) -> String {
    let (metric, _, limit) = quota(scene, dimension);
    let again = match stated_wait(dimension, retry_after) {
        Some(wait) => format!("\nPlease retry in {}s.", wait.as_secs_f64()),
        None => String::new(),
    };
    format!(
        "You exceeded your current quota, please check your plan and billing details. For more information on \
         this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.\n* Quota exceeded for metric: \
         {SERVICE}/{metric}, limit: {limit}, model: {}{again}",
        scene.model()
    )
}

/// Returns the metric, the quota id and the limit of a dimension.
fn quota(scene: &Scene<'_>, dimension: SimDimension) -> (&'static str, &'static str, u64) {
    let requests = "generate_content_free_tier_requests";
    match dimension {
        SimDimension::Requests => {
            (requests, "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", scene.requests().limit)
        }
        SimDimension::Tokens => (
            "generate_content_free_tier_input_token_count",
            "GenerateContentInputTokensPerModelPerMinute-FreeTier",
            scene.tokens().limit,
        ),
        SimDimension::Day => {
            let limit = scene.standing.day.map_or(250, |day| day.limit);
            (requests, "GenerateRequestsPerDayPerProjectPerModel-FreeTier", limit)
        }
    }
}

/// Returns the wait that the error states. The refusal of a daily limit states a short wait too, although
/// waiting that long does not help.
fn stated_wait(dimension: SimDimension, retry_after: Option<Duration>) -> Option<Duration> {
    match dimension {
        SimDimension::Day => retry_after.or(Some(UNTRUE_WAIT)),
        SimDimension::Requests | SimDimension::Tokens => retry_after,
    }
}

fn details(scene: &Scene<'_>, refusal: &Refusal) -> Vec<Value> {
    let compatible = scene.asked.route.voice == Voice::GeminiCompat;
    match refusal {
        Refusal::RateLimited { dimension, retry_after } => limit_details(scene, *dimension, *retry_after),
        Refusal::InvalidKey if !compatible => vec![error_info("API_KEY_INVALID")],
        Refusal::Deactivated => vec![error_info("CONSUMER_SUSPENDED")],
        Refusal::Overloaded { retry_after: Some(wait) } => vec![retry_info(*wait)],
        _ => Vec::new(),
    }
}

fn limit_details(scene: &Scene<'_>, dimension: SimDimension, retry_after: Option<Duration>) -> Vec<Value> {
    let (metric, id, limit) = quota(scene, dimension);
    let mut details = vec![
        json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{
                "quotaMetric": format!("{SERVICE}/{metric}"),
                "quotaId": id,
                "quotaDimensions": {"location": "global", "model": scene.model()},
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

fn retry_info(wait: Duration) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": format!("{}s", wait.as_secs_f64()),
    })
}

fn error_info(reason: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": SERVICE},
    })
}

fn parts(scene: &Scene<'_>) -> Value {
    match &scene.asked.form.tool {
        Some(tool) => json!([{"functionCall": {"name": tool, "args": {"topic": "foxes"}}}]),
        None => json!([{"text": scene.text()}]),
    }
}

fn chunk(scene: &Scene<'_>, parts: Value, finish: Option<&str>, so_far: u64) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": scene.prompt_tokens(),
            "candidatesTokenCount": so_far,
            "totalTokenCount": scene.prompt_tokens() + so_far,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": scene.prompt_tokens()}],
        },
        "modelVersion": scene.model(),
        "responseId": scene.id("sim"),
    })
}

fn stream(scene: &Scene<'_>) -> Reply {
    let mut chunks: Vec<(Part, Value)> = match scene.asked.form.tool {
        Some(_) => vec![(Part::Content, chunk(scene, parts(scene), None, scene.completion_tokens()))],
        None => (1..)
            .zip(scene.pieces())
            .map(|(so_far, piece)| (Part::Content, chunk(scene, json!([{"text": piece}]), None, so_far)))
            .collect(),
    };
    let last = chunk(scene, json!([{"text": ""}]), Some("STOP"), scene.completion_tokens());
    chunks.push((Part::Terminator, last));
    match scene.asked.route.framing {
        Framing::Array => array(&chunks),
        Framing::Sse | Framing::Whole => {
            Reply::stream(chunks.iter().map(|(part, value)| Event::data(*part, value)).collect())
        }
    }
}

fn array(chunks: &[(Part, Value)]) -> Reply {
    let last = chunks.len().saturating_sub(1);
    let event = |(at, (part, value)): (usize, &(Part, Value))| {
        let before = if at == 0 { "[" } else { ",\r\n" };
        let after = if at == last { "\n]" } else { "" };
        Event { bytes: format!("{before}{value}{after}").into(), part: *part }
    };
    let events = chunks.iter().enumerate().map(event).collect();
    Reply::stream(events).with("content-type", "application/json; charset=UTF-8")
}
