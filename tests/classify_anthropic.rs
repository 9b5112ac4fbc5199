//! The classification of Anthropic's responses, one test for each rule and exception.

mod classify_support;

use classify_support::*;

fn error(kind: &str, message: &str) -> String {
    serde_json::json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
        .to_string()
}

#[test]
fn each_status_and_type_is_classified() {
    for (status, kind, expected) in [
        (400, "invalid_request_error", "rejected"),
        (401, "authentication_error", "invalid_key key"),
        (402, "billing_error", "quota_exceeded account"),
        (403, "permission_error", "forbidden key_model"),
        (404, "not_found_error", "rejected"),
        (409, "conflict_error", "rejected"),
        (413, "request_too_large", "rejected"),
        (429, "rate_limit_error", "rate_limited account_model"),
        (500, "api_error", "server_error provider"),
        (504, "timeout_error", "server_error provider perhaps"),
        (529, "overloaded_error", "overloaded provider"),
    ] {
        assert_eq!(judge("anthropic", status, &error(kind, "m")), expected, "{status} {kind}");
    }
}

#[test]
fn a_missing_credit_is_found_in_the_message() {
    for (message, expected) in [
        ("Your credit balance is too low to access the Anthropic API.", "quota_exceeded account"),
        (
            "You have reached your specified API usage limits. You will regain access on 2026-04-01 at 00:00 UTC.",
            "quota_exceeded account 86400s",
        ),
        ("You're out of extra usage. Add more at claude.ai", "quota_exceeded account"),
        ("This organization has been disabled.", "invalid_key account"),
        ("messages: roles must alternate", "rejected"),
    ] {
        assert_eq!(judge("anthropic", 400, &error("invalid_request_error", message)), expected, "{message}");
    }
}

#[test]
fn the_spend_cap_of_a_tier_is_a_429_without_a_wait() {
    let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"You will regain access on 2026-04-01 at 00:00 UTC.","details":{"error_code":"enforced_spend_limit_reached"}}}"#;
    assert_eq!(judge("anthropic", 429, body), "quota_exceeded account 86400s");
}

#[test]
fn a_type_without_its_envelope_is_enough() {
    assert_eq!(
        judge("anthropic", 413, r#"{"error":{"type":"request_too_large","message":"m"}}"#),
        "rejected"
    );
}

#[test]
fn the_code_of_the_compatible_endpoint_counts() {
    let body =
        r#"{"error":{"code":"rate_limit_error","message":"m","type":"invalid_request_error","param":null}}"#;
    assert_eq!(judge("anthropic", 429, body), "rate_limited account_model");
    assert_eq!(event("anthropic", "", body), "rate_limited account_model");
}

#[test]
fn a_refusal_by_the_edge_blames_no_key() {
    let body = r#"{"error":{"type":"forbidden","message":"Request not allowed"}}"#;
    assert_eq!(judge("anthropic", 403, body), "blocked provider");
}

#[test]
fn a_token_without_the_scope_is_forbidden() {
    let body = error("permission_error", "OAuth token does not meet scope requirement user:inference");
    assert_eq!(judge("anthropic", 403, &body), "forbidden key");
}

#[test]
fn retry_after_takes_precedence() {
    let pairs = [
        ("retry-after", "16"),
        ("anthropic-ratelimit-input-tokens-limit", "200000"),
        ("anthropic-ratelimit-input-tokens-remaining", "0"),
        ("anthropic-ratelimit-input-tokens-reset", "2026-03-31T00:01:03Z"),
    ];
    assert_eq!(judge_with("anthropic", 429, &pairs, ""), "rate_limited account_model 16s");
}

#[test]
fn zero_is_no_wait() {
    assert_eq!(judge_with("anthropic", 429, &[("retry-after", "0")], ""), "rate_limited account_model");
}

#[test]
fn a_retry_after_on_a_success_is_no_cooldown() {
    assert_eq!(judge_with("anthropic", 200, &[("retry-after", "53")], ""), "success");
}

#[test]
fn the_latest_rejected_window_counts() {
    let pairs = [
        ("anthropic-ratelimit-unified-status", "rejected"),
        ("anthropic-ratelimit-unified-5h-status", "rejected"),
        ("anthropic-ratelimit-unified-5h-reset", "1774918800"),
        ("anthropic-ratelimit-unified-7d-status", "rejected"),
        ("anthropic-ratelimit-unified-7d-reset", "1775001600"),
        ("anthropic-ratelimit-unified-opus-status", "allowed"),
        ("anthropic-ratelimit-unified-opus-reset", "1775088000"),
    ];
    assert_eq!(judge_with("anthropic", 429, &pairs, ""), "quota_exceeded account 86400s");
    assert_eq!(judge_with("anthropic", 429, &[("retry-after", "7999")], ""), "quota_exceeded account 7999s");
}

#[test]
fn every_name_of_an_overload_is_recognized() {
    assert_eq!(judge("anthropic", 500, &error("api_error", "Overloaded")), "overloaded provider");
}

#[test]
fn a_plan_may_forbid_long_context() {
    let body = error("rate_limit_error", "Extra usage is required for long context requests.");
    assert_eq!(judge("anthropic", 429, &body), "forbidden account_model");
}

#[test]
fn stream_events_are_classified() {
    let verdicts = stream(
        "anthropic",
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\n\
         event: ping\ndata: {\"type\": \"ping\"}\n\n\
         event: content_block_start\ndata: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
         event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"H\"}}\n\n\
         event: error\ndata: {\"type\":\"error\",\"error\":{\"details\":null,\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n\
         event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    assert_eq!(verdicts, ["inspect", "inspect", "inspect", "success", "overloaded provider", "success"]);
}
