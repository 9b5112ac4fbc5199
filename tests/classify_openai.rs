//! The classification of OpenAI's responses, one test for each rule and exception.

mod classify_support;

use classify_support::*;

fn error(code: &str, kind: &str, message: &str) -> String {
    serde_json::json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string()
}

#[test]
fn each_code_is_classified() {
    for (status, code, expected) in [
        (429, "insufficient_quota", "quota_exceeded account"),
        (429, "credit_balance_exhausted", "quota_exceeded account"),
        (429, "organization_spend_limit_exceeded", "quota_exceeded account"),
        (429, "project_spend_limit_exceeded", "quota_exceeded account"),
        (429, "organization_usage_limit_exceeded", "quota_exceeded account"),
        (429, "billing_not_active", "quota_exceeded account"),
        (400, "billing_hard_limit_reached", "quota_exceeded account"),
        (401, "invalid_api_key", "invalid_key key"),
        (401, "account_deactivated", "invalid_key account"),
        (401, "no_organization", "invalid_key key"),
        (401, "mismatched_organization", "rejected"),
        (403, "unsupported_country_region_territory", "blocked provider"),
        (404, "model_not_found", "rejected"),
        (400, "model_not_found", "rejected"),
        (403, "model_not_found", "forbidden key_model"),
        (400, "context_length_exceeded", "rejected context"),
        (400, "content_policy_violation", "rejected content"),
        (503, "server_is_overloaded", "overloaded provider_model"),
        (429, "slow_down", "rate_limited account_model"),
        (503, "slow_down", "overloaded provider_model"),
        (429, "resource_unavailable", "overloaded provider_model"),
        (429, "rate_limit_exceeded", "rate_limited account_model"),
    ] {
        assert_eq!(judge("openai", status, &error(code, "x", "m")), expected, "{status} {code}");
    }
}

#[test]
fn an_unavailable_model_is_forbidden() {
    let body = error("model_not_found", "x", "Your organization must be verified to use the model o9.");
    assert_eq!(judge("openai", 404, &body), "forbidden account_model");
    let body = error("model_not_found", "x", "Project `proj_1` does not have access to model `m`");
    assert_eq!(judge("openai", 403, &body), "forbidden account_model");
}

#[test]
fn a_401_about_an_address_blames_no_key() {
    assert_eq!(judge("openai", 401, &error("x", "x", "IP not authorized")), "forbidden account");
    let body =
        error("", "x", "You have insufficient permissions for this operation. Missing scopes: model.request");
    assert_eq!(judge("openai", 401, &body), "forbidden key");
}

#[test]
fn the_wait_is_read_in_any_unit() {
    for (wait, expected) in [
        ("20s", "rate_limited account_model 20s"),
        ("174ms", "rate_limited account_model 0.174s"),
        ("7m12s", "rate_limited account_model 432s"),
        ("8.64s", "rate_limited account_model 8.64s"),
        ("1h2m3s", "quota_exceeded account_model 3723s"),
    ] {
        let message = format!(
            "Rate limit reached for gpt-4.1 in organization org-1 on tokens per min (TPM): Limit 30000, \
             Used 22999, Requested 12528. Please try again in {wait}. Visit https://x/rate-limits"
        );
        let body = error("rate_limit_exceeded", "tokens", &message);
        assert_eq!(judge("openai", 429, &body), expected);
    }
}

#[test]
fn headers_take_precedence_over_the_message() {
    let body = error("rate_limit_exceeded", "tokens", "Please try again in 9s.");
    let say = |pairs: &[(&str, &str)]| judge_with("openai", 429, pairs, &body);
    assert_eq!(say(&[("retry-after-ms", "494"), ("retry-after", "1")]), "rate_limited account_model 0.494s");
    assert_eq!(say(&[("retry-after-ms", "0"), ("retry-after", "1")]), "rate_limited account_model 1s");
    assert_eq!(say(&[("retry-after", "0")]), "rate_limited account_model 9s");
}

#[test]
fn a_reset_of_a_used_up_limit_is_an_upper_bound() {
    let pairs = [
        ("x-ratelimit-limit-tokens", "30000"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "1m0.052s"),
        ("x-ratelimit-limit-requests", "500"),
        ("x-ratelimit-remaining-requests", "499"),
        ("x-ratelimit-reset-requests", "24h"),
    ];
    let said = error("rate_limit_exceeded", "tokens", "Please try again in 494ms.");
    assert_eq!(judge_with("openai", 429, &pairs, &said), "rate_limited account_model 0.494s");
    assert_eq!(judge_with("openai", 429, &pairs, ""), "rate_limited account_model 60.052s");
}

#[test]
fn a_request_larger_than_the_limit_never_passes() {
    let message = "Request too large for gpt-4.1 (for limit gpt-4.1) on tokens per min (TPM): Limit 30000, \
                   Requested 37313. Please try again in 5s.";
    assert_eq!(judge("openai", 429, &error("rate_limit_exceeded", "tokens", message)), "rejected size");
}

#[test]
fn a_limit_of_zero_never_clears() {
    let message =
        "Rate limit exceeded for images per minute in organization org-1. Limit: 0/1min. Current: 1/1min.";
    assert_eq!(judge("openai", 429, &error("", "", message)), "forbidden account_model");
}

#[test]
fn a_bucket_that_models_share_concerns_the_account() {
    let message = "Rate limit reached for default-global-with-image-limits in organization org-1 on requests \
                   per min. Limit: 60 / min. Please try again in 1s.";
    assert_eq!(judge("openai", 429, &error("", "", message)), "rate_limited account 1s");
}

#[test]
fn an_error_may_be_a_string() {
    assert_eq!(judge("openai", 429, r#"{"error":"slow down"}"#), "rate_limited provider");
}

#[test]
fn an_overload_may_have_no_code() {
    let body = error("", "server_error", "That model is currently overloaded with other requests.");
    assert_eq!(judge("openai", 503, &body), "overloaded provider_model");
    let body = error("", "server_error", "The server had an error");
    assert_eq!(judge("openai", 500, &body), "server_error provider");
}

#[test]
fn errors_inside_streams_are_found() {
    for (data, expected) in [
        (r#"{"error":{"message":"m","type":"server_error","code":null}}"#, "server_error provider"),
        (r#"{"error":{"code":"insufficient_quota","message":"m"}}"#, "quota_exceeded account"),
        (
            r#"{"response":{"error":{"code":"server_is_overloaded","message":"m"}},"type":"response.failed"}"#,
            "overloaded provider_model",
        ),
        (
            r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"Please try again in 11.054s."}}}"#,
            "rate_limited account_model 11.054s",
        ),
        (r#"{"type":"error","code":"server_error","message":"m"}"#, "server_error provider"),
        (r#"{"type":"error","error":{"code":"invalid_prompt","message":"m"}}"#, "rejected content"),
    ] {
        assert_eq!(event("openai", "", data), expected, "{data}");
    }
}

#[test]
fn events_without_content_are_inspected_further() {
    for (data, expected) in [
        (
            r#"{"choices":[{"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}"#,
            "inspect",
        ),
        (r#"{"choices":[],"prompt_filter_results":[{}]}"#, "inspect"),
        (r#"{"type":"response.created","response":{"error":null,"status":"in_progress"}}"#, "inspect"),
        (r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#, "inspect"),
        ("", "inspect"),
        (r#"{"choices":[{"delta":{"content":"H"},"finish_reason":null}]}"#, "success"),
        (r#"{"choices":[{"delta":{"reasoning_content":"H"}}]}"#, "success"),
        (r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#, "success"),
        (r#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#, "success"),
        (r#"{"choices":[{"text":".","finish_reason":null}]}"#, "success"),
        (r#"{"type":"response.output_text.delta","delta":"H"}"#, "success"),
        (r#"{"type":"response.completed","response":{}}"#, "success"),
        ("[DONE]", "success"),
        (r#"{"choices":[{"del"#, "truncated provider perhaps"),
    ] {
        assert_eq!(event("openai", "", data), expected, "{data}");
    }
}

#[test]
fn a_failed_batch_is_a_success() {
    let body = r#"{"object":"batch","errors":{"object":"list","data":[{"code":"token_limit_exceeded","message":"m"}]}}"#;
    assert_eq!(judge("openai", 200, body), "success");
}

#[test]
fn a_wrong_organisation_blames_no_key() {
    let named = |message: &str| {
        let error = format!(r#"{{"message":"{message}","code":"invalid_organization"}}"#);
        judge("openai", 401, &format!(r#"{{"error":{error}}}"#))
    };
    assert_eq!(named("No such organization: acme."), "rejected");
    assert_eq!(named("You do not have access to the organization tied to the API key."), "invalid_key key");
}
