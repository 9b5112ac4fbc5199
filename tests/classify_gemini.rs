//! The classification of Google's responses, one test for each rule and exception.

mod classify_support;

use classify_support::*;
use serde_json::{Value, json};

const BILLING: &str = "You exceeded your current quota, please check your plan and billing details.";

fn error(code: u16, status: &str, message: &str, details: Value) -> String {
    json!({"error": {"code": code, "message": message, "status": status, "details": details}}).to_string()
}

fn exhausted(message: &str, details: Value) -> String {
    error(429, "RESOURCE_EXHAUSTED", message, details)
}

fn quota(violations: Value, delay: Option<&str>) -> String {
    let mut details =
        vec![json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations})];
    details.extend(delay.map(|delay| json!({"retryDelay": delay})));
    exhausted(BILLING, Value::Array(details))
}

#[test]
fn the_quota_id_tells_the_window() {
    let minute =
        json!([{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "quotaValue": "2"}]);
    assert_eq!(judge("gemini", 429, &quota(minute, Some("46s"))), "rate_limited account_model 46s");
    let day =
        json!([{"quotaMetric": "x/input_token_count", "quotaId": "InputTokensPerModelPerDay-FreeTier"}]);
    assert_eq!(judge("gemini", 429, &quota(day, None)), "quota_exceeded account_model");
}

#[test]
fn a_short_delay_beside_a_daily_quota_is_no_promise() {
    let day =
        || json!([{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "50"}]);
    for delay in ["5s", "8s", "22s", "58s"] {
        assert_eq!(judge("gemini", 429, &quota(day(), Some(delay))), "quota_exceeded account_model");
    }
    assert_eq!(judge("gemini", 429, &quota(day(), Some("65205s"))), "quota_exceeded account_model 65205s");
}

#[test]
fn the_worst_of_several_violations_counts() {
    let both = json!([{"quotaId": "RequestsPerMinute", "quotaValue": "5"}, {"quotaId": "RequestsPerDay", "quotaValue": "100"}]);
    assert_eq!(judge("gemini", 429, &quota(both, Some("20s"))), "quota_exceeded account_model");
    let none = json!([{"quotaId": "RequestsPerMinute", "quotaValue": "0"}, {"quotaId": "RequestsPerDay"}]);
    assert_eq!(judge("gemini", 429, &quota(none, None)), "forbidden account_model");
}

#[test]
fn no_allowance_on_this_tier_never_clears() {
    let message = format!(
        "{BILLING}\n* Quota exceeded for metric: x/requests, limit: 0, model: m\nPlease retry in 12.1s."
    );
    assert_eq!(judge("gemini", 429, &exhausted(&message, json!([]))), "forbidden account_model");
    let message = message.replace("limit: 0", "limit: 250");
    assert_eq!(judge("gemini", 429, &exhausted(&message, json!([]))), "rate_limited account_model 12.1s");
}

#[test]
fn the_message_has_the_fraction_of_the_delay() {
    let details =
        json!([{"retryDelay": "48s"}, {"violations": [{"quotaId": "TokensPerMinute", "quotaValue": "9"}]}]);
    let body = exhausted("Please retry in 48.939935699s.", details);
    assert_eq!(judge("gemini", 429, &body), "rate_limited account_model 48.94s");
}

#[test]
fn reasons_of_400_and_403_are_read() {
    for (status, reason, expected) in [
        (400, "API_KEY_INVALID", "invalid_key key"),
        (403, "CONSUMER_SUSPENDED", "invalid_key key"),
        (403, "TOS_VIOLATION", "invalid_key account"),
        (403, "SERVICE_DISABLED", "forbidden account"),
        (403, "CONSUMER_INVALID", "forbidden account"),
        (403, "API_KEY_SERVICE_BLOCKED", "forbidden key"),
        (403, "BILLING_DISABLED", "quota_exceeded account"),
        (403, "OTHER", "forbidden key"),
        (400, "OTHER", "rejected"),
        (401, "ACCESS_TOKEN_EXPIRED", "invalid_key key"),
        (429, "MODEL_CAPACITY_EXHAUSTED", "overloaded provider_model"),
        (503, "MODEL_CAPACITY_EXHAUSTED", "overloaded provider_model"),
        (429, "INSUFFICIENT_G1_CREDITS_BALANCE", "quota_exceeded account"),
    ] {
        let body = error(status, "X", "m", json!([{"reason": reason, "domain": "googleapis.com"}]));
        assert_eq!(judge("gemini", status, &body), expected, "{status} {reason}");
    }
}

#[test]
fn a_bad_key_may_have_only_a_sentence() {
    let body =
        r#"[{"error":{"code":400,"message":"Please pass a valid API key","status":"INVALID_ARGUMENT"}}]"#;
    assert_eq!(judge("gemini", 400, body), "invalid_key key");
    let body = error(403, "PERMISSION_DENIED", "Your API key was reported as leaked.", json!([]));
    assert_eq!(judge("gemini", 403, &body), "invalid_key key");
}

#[test]
fn a_refused_location_concerns_the_address() {
    let body =
        error(400, "FAILED_PRECONDITION", "User location is not supported for the API use.", json!([]));
    assert_eq!(judge("gemini", 400, &body), "blocked provider");
}

#[test]
fn failures_concern_the_model() {
    for (status, name, expected) in [
        (500, "INTERNAL", "server_error provider_model"),
        (503, "UNAVAILABLE", "overloaded provider_model"),
        (499, "CANCELLED", "server_error provider_model perhaps"),
        (504, "DEADLINE_EXCEEDED", "server_error provider_model perhaps"),
        (404, "NOT_FOUND", "rejected"),
    ] {
        assert_eq!(judge("gemini", status, &error(status, name, "m", json!([]))), expected, "{status}");
    }
}

#[test]
fn the_length_of_code_assists_delay_decides() {
    let body = |delay: &str| {
        let detail = json!({"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quotaResetDelay": delay}});
        exhausted("Your quota will reset after 3s.", json!([detail]))
    };
    assert_eq!(judge("gemini", 429, &body("3.299376739s")), "rate_limited account_model 3.299s");
    assert_eq!(judge("gemini", 429, &body("21h8m23s")), "quota_exceeded account_model 76103s");
    let zero = exhausted("Your quota will reset after 0s.", json!([{"reason": "RATE_LIMIT_EXCEEDED"}]));
    assert_eq!(judge("gemini", 429, &zero), "rate_limited account_model");
}

#[test]
fn a_bare_exhaustion_is_classified_by_message() {
    let bare = exhausted("Resource has been exhausted (e.g. check quota).", json!([]));
    assert_eq!(judge("gemini", 429, &bare), "rate_limited account_model");
    assert_eq!(
        judge("gemini", 429, &exhausted(BILLING, json!([{"links": []}]))),
        "quota_exceeded account_model"
    );
}

#[test]
fn vertex_shares_its_capacity_and_counts_its_own() {
    let shared =
        exhausted("Resource exhausted. Please try again later. See https://x/error-code-429", json!([]));
    assert_eq!(judge("vertex", 429, &shared), "overloaded provider_model");
    let own =
        exhausted("Quota exceeded for aiplatform.googleapis.com/requests_per_minute_per_model", json!([]));
    assert_eq!(judge("vertex", 429, &own), "rate_limited account_model");
    // https://github.com/Aider-AI/aider/issues/1912
    let of_claude = exhausted(
        "Quota exceeded for aiplatform.googleapis.com/online_prediction_requests_per_base_model with base model: \
         anthropic-claude-3-5-sonnet. Please submit a quota increase request.",
        json!([]),
    );
    assert_eq!(judge("vertex", 429, &of_claude), "rate_limited account_model");
    let claude = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    assert_eq!(event("vertex", "error", claude), "overloaded provider_model");
}

#[test]
fn stream_events_are_classified() {
    for (data, expected) in [
        (
            r#"{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"}}],"usageMetadata":{}}"#,
            "inspect",
        ),
        (r#"{"usageMetadata":{"promptTokenCount":3}}"#, "inspect"),
        (r#"{"candidates":[{"content":{"parts":[{"text":"H"}]}}]}"#, "success"),
        (r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}}}]}}]}"#, "success"),
        (r#"{"candidates":[{"finishReason":"STOP"}]}"#, "success"),
        (r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{}}"#, "success"),
        (
            r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#,
            "overloaded provider_model",
        ),
        (
            r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#,
            "rate_limited account_model",
        ),
    ] {
        assert_eq!(event("gemini", "", data), expected, "{data}");
    }
}
