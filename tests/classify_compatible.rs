//! The classification of other providers' responses, one table for each provider.

mod classify_support;

use classify_support::*;

fn table(provider: &str, cases: &[(u16, &str, &str)]) {
    for (status, body, expected) in cases {
        assert_eq!(judge(provider, *status, body), *expected, "{provider} {status} {body}");
    }
}

/// An error in OpenAI's shape.
fn error(code: &str, message: &str) -> String {
    serde_json::json!({"error": {"message": message, "type": "t", "code": code}}).to_string()
}

#[test]
fn azure() {
    table(
        "azure",
        &[
            (
                401,
                &error("401", "Access denied due to invalid subscription key or wrong API endpoint."),
                "invalid_key key",
            ),
            (403, &error("403", "Access denied due to Virtual Network/Firewall rules."), "blocked provider"),
            (
                403,
                &error("403", "Public access is disabled. Please configure private endpoint."),
                "blocked provider",
            ),
            (404, &error("DeploymentNotFound", "Wait a moment and try again."), "rejected"),
            (400, &error("content_filter", "m"), "rejected content"),
            (
                429,
                &error("429", "exceeded token rate limit. Please retry after 86400 seconds."),
                "quota_exceeded account_model 86400s",
            ),
            (
                429,
                &error("429", "Rate limit is exceeded. Try again in 2 seconds."),
                "rate_limited account_model 2s",
            ),
            (
                429,
                &error(
                    "429",
                    "The system is currently experiencing high demand. Please retry after 20 seconds.",
                ),
                "overloaded provider_model 20s",
            ),
            (200, &error("content_filter", "m"), "rejected content"),
            (200, r#"{"choices":[{"message":{"content":"the error"}}],"error":null}"#, "success"),
        ],
    );
}

#[test]
fn azures_sentinels_are_ignored() {
    let pairs = [
        ("x-ratelimit-limit-tokens", "-1"),
        ("x-ratelimit-remaining-tokens", "-1"),
        ("x-ratelimit-reset-tokens", "0"),
    ];
    assert_eq!(judge_with("azure", 429, &pairs, ""), "rate_limited account_model");
}

#[test]
fn openrouter() {
    let meta = |code: u16, message: &str, metadata: serde_json::Value| {
        serde_json::json!({"error": {"message": message, "code": code, "metadata": metadata}}).to_string()
    };
    let upstream = serde_json::json!({"provider_name": "Venice", "raw": "rate-limited upstream", "retry_after_seconds": 17});
    let pool = serde_json::json!({"limit_source": "upstream_provider_shared_pool", "provider_name": "B"});
    let budget = serde_json::json!({"limit_source": "openrouter_in_flight_budget", "retry_after_seconds": 3});
    let daily = serde_json::json!({"headers": {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1775001600000"}});
    let flagged = serde_json::json!({"reasons": ["x"], "flagged_input": "y", "provider_name": "OpenAI"});
    let raw = serde_json::json!({"raw": "{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\"}}", "provider_name": "OpenAI"});
    table(
        "openrouter",
        &[
            (429, &meta(429, "Provider returned error", upstream.clone()), "overloaded provider_model 17s"),
            (429, &meta(429, "Provider returned error", pool), "overloaded provider_model"),
            (402, &meta(402, "m", budget), "rate_limited account 3s"),
            (402, &error("402", "Insufficient credits."), "quota_exceeded account"),
            (
                429,
                &meta(429, "Rate limit exceeded: free-models-per-day.", daily),
                "quota_exceeded account 86400s",
            ),
            (
                429,
                &error("429", "Rate limit exceeded: free-models-per-day-high-balance."),
                "quota_exceeded account",
            ),
            (429, &error("429", "Rate limit exceeded: free-models-per-min."), "rate_limited account"),
            (403, &error("403", "Key limit exceeded (total limit)."), "quota_exceeded key"),
            (403, &meta(403, "Your input was flagged by moderation", flagged), "rejected content"),
            (401, &error("401", "No auth credentials found"), "invalid_key key"),
            (400, &meta(400, "Provider returned error", raw), "rejected"),
            (
                200,
                &format!("\n\n  {}", meta(429, "Provider returned error", upstream)),
                "overloaded provider_model 17s",
            ),
            (
                200,
                r#"{"choices":[{"error":{"code":502,"message":"m"},"finish_reason":"error"}]}"#,
                "server_error provider",
            ),
            (200, "   \n", "success"),
        ],
    );
    let chunk = r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"code":429,"message":"upstream"}}"#;
    assert_eq!(event("openrouter", "", chunk), "overloaded provider_model");
}

#[test]
fn groq() {
    table(
        "groq",
        &[
            (
                413,
                &error(
                    "rate_limit_exceeded",
                    "Request too large on tokens per minute (TPM): Limit 6000, Requested 14810",
                ),
                "rejected size",
            ),
            (413, &error("rate_limit_exceeded", "m"), "rejected size"),
            (
                429,
                &error(
                    "rate_limit_exceeded",
                    "Limit 7000, Used 0, Requested ~12903. Please try again in 50.6s.",
                ),
                "rejected size",
            ),
            (
                429,
                &error(
                    "",
                    "in organization `o` on : Limit 131072, Used 130385, Requested 731. Please try again in 28.5s.",
                ),
                "rate_limited account_model 28.5s",
            ),
            (
                429,
                &error(
                    "rate_limit_exceeded",
                    "on requests per minute (RPM): Limit 30, Used 30, Requested 1. Please try again in 399ms.",
                ),
                "rate_limited account_model 0.399s",
            ),
            (498, &error("capacity_exceeded", "m"), "overloaded provider_model"),
            (400, r#"{"error":{"message":"Organization has been restricted."}}"#, "invalid_key account"),
            (400, &error("tool_use_failed", "m"), "rejected"),
        ],
    );
    let data = r#"{"error":{"message":"m","type":"invalid_request_error","code":"tool_use_failed","status_code":400}}"#;
    assert_eq!(event("groq", "error", data), "rejected");
}

#[test]
fn mistral() {
    table(
        "mistral",
        &[
            (401, r#"{"detail":"Invalid API Key"}"#, "invalid_key key"),
            (429, r#"{"message":"Requests rate limit exceeded"}"#, "rate_limited account"),
            (
                429,
                r#"{"object":"error","message":"Service tier capacity exceeded for this model.","type":"invalid_request_error","code":null}"#,
                "overloaded provider_model",
            ),
        ],
    );
}

#[test]
fn xai() {
    table(
        "xai",
        &[
            (
                400,
                r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***."}"#,
                "invalid_key key",
            ),
            (
                403,
                r#"{"code":"The caller does not have permission","error":"Your newly created teams doesn't have any credits yet."}"#,
                "quota_exceeded account",
            ),
            (
                429,
                r#"{"error":"Your team has either used all available credits or reached its monthly spending limit."}"#,
                "quota_exceeded account",
            ),
            (
                429,
                r#"{"code":"Some resource has been exhausted","error":"Too many requests for team t and model m. Tokens per Minute (actual/limit): 12/10"}"#,
                "rate_limited account_model",
            ),
            (400, r#"{"error":"bad argument"}"#, "rejected"),
        ],
    );
}

#[test]
fn missing_credit_has_many_names() {
    table(
        "deepseek",
        &[
            (
                402,
                r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}"#,
                "quota_exceeded account",
            ),
            (429, "", "rate_limited account_model"),
            (503, &error("", "Service is too busy"), "overloaded provider"),
        ],
    );
    table(
        "fireworks",
        &[
            (
                412,
                &error(
                    "PRECONDITION_FAILED",
                    "Account a is suspended, possibly due to reaching the monthly spending limit",
                ),
                "quota_exceeded account",
            ),
            (412, &error("PRECONDITION_FAILED", "LoRA is not loaded"), "rejected"),
        ],
    );
    table(
        "together",
        &[
            (402, &error("credit_limit", "m"), "quota_exceeded account"),
            (429, &error("credit_limit", "m"), "rate_limited account_model"),
        ],
    );
    table(
        "huggingface",
        &[(402, r#"{"error":"You have exceeded your monthly included credits"}"#, "quota_exceeded account")],
    );
    table(
        "moonshot",
        &[
            (
                403,
                r#"{"error":{"message":"m","type":"exceeded_current_quota_error"}}"#,
                "quota_exceeded account",
            ),
            (
                429,
                &error("", "Your account is suspended due to insufficient balance"),
                "quota_exceeded account",
            ),
            (
                429,
                r#"{"error":{"message":"request reached organization TPD rate limit, current: 2, limit: 1","type":"rate_limit_reached_error"}}"#,
                "quota_exceeded account",
            ),
            (
                429,
                r#"{"error":{"message":"max organization concurrency: 1, please try again after 1 seconds","type":"rate_limit_reached_error"}}"#,
                "rate_limited account 1s",
            ),
            (
                429,
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"The engine is currently overloaded, please try again later"}}"#,
                "overloaded provider_model",
            ),
        ],
    );
    table(
        "zhipu",
        &[
            (429, r#"{"error":{"code":"1302","message":"速率限制"}}"#, "rate_limited account"),
            (429, r#"{"error":{"code":"1113","message":"m"}}"#, "quota_exceeded account"),
            (429, r#"{"error":{"message":"余额不足或无可用资源包,请充值。"}}"#, "quota_exceeded account"),
        ],
    );
    table(
        "minimax",
        &[
            (
                500,
                r#"{"type":"error","error":{"type":"api_error","message":"insufficient balance (1008)"}}"#,
                "quota_exceeded account",
            ),
            (
                429,
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"insufficient balance (1008)","http_code":"429"}}"#,
                "quota_exceeded account",
            ),
            (200, r#"{"base_resp":{"status_code":1004,"status_msg":"not authorized"}}"#, "invalid_key key"),
            (
                200,
                r#"{"base_resp":{"status_code":1002,"status_msg":"rate limit"}}"#,
                "rate_limited account_model",
            ),
            (200, r#"{"base_resp":{"status_code":0,"status_msg":""},"choices":[]}"#, "success"),
        ],
    );
}

#[test]
fn a_quota_of_a_minute_is_a_rate_limit() {
    table(
        "dashscope",
        &[
            (
                429,
                &error("insufficient_quota", "You exceeded your current quota"),
                "rate_limited account_model",
            ),
            (429, r#"{"code":"Throttling.AllocationQuota","message":"m"}"#, "rate_limited account_model"),
            (403, &error("AllocationQuota.FreeTierOnly", "m"), "quota_exceeded account_model"),
            (400, r#"{"code":"Arrearage","message":"m"}"#, "quota_exceeded account"),
        ],
    );
    table(
        "cerebras",
        &[(
            429,
            r#"{"message":"Requests per minute limit exceeded","type":"too_many_requests_error","param":"quota","code":"request_quota_exceeded"}"#,
            "rate_limited account_model",
        )],
    );
    table(
        "voyage",
        &[(
            429,
            r#"{"detail":"You have not yet added your payment method in the billing page"}"#,
            "rate_limited account",
        )],
    );
    table(
        "siliconflow",
        &[(429, r#"{"message":"Details: TPM limit reached.","data":null}"#, "rate_limited account_model")],
    );
    table(
        "baidu",
        &[(
            429,
            r#"{"error":{"code":"rpm_rate_limit_exceeded","type":"rate_limit_exceeded","message":"m"}}"#,
            "rate_limited account_model",
        )],
    );
}

#[test]
fn windows_are_read_from_messages() {
    table(
        "cohere",
        &[
            (
                429,
                r#"{"message":"You are using a Trial key, which is limited to 40 API calls / minute."}"#,
                "rate_limited account",
            ),
            (
                429,
                r#"{"message":"You are using a Trial key, which is limited to 1000 API calls / month."}"#,
                "quota_exceeded account",
            ),
            (
                400,
                r#"{"error_type":"TOO_MANY_TOKENS","message":"size limit exceeded by 3 tokens"}"#,
                "rejected context",
            ),
            (401, r#"{"id":"0","message":"Incorrect API key provided"}"#, "invalid_key key"),
        ],
    );
    table(
        "github-models",
        &[
            (
                429,
                &error(
                    "RateLimitReached",
                    "Rate limit of 10 per 60s exceeded for UserByModelByMinute. Please wait 46 seconds before retrying.",
                ),
                "rate_limited account_model 46s",
            ),
            (
                429,
                &error(
                    "RateLimitReached",
                    "Rate limit of 50 per 86400s exceeded for UserByModelByDay. Please wait 47000 seconds before retrying.",
                ),
                "quota_exceeded account_model 47000s",
            ),
        ],
    );
    table(
        "ollama",
        &[(
            429,
            r#"{"error":"you (u) have reached your weekly usage limit, upgrade for higher limits"}"#,
            "quota_exceeded account",
        )],
    );
    table(
        "perplexity",
        &[(
            400,
            r#"{"error":{"message":"m","type":"too_many_prompt_tokens","code":400}}"#,
            "rejected context",
        )],
    );
    table(
        "cloudflare",
        &[
            (429, r#"{"success":false,"errors":[{"code":3036,"message":"m"}]}"#, "quota_exceeded account"),
            (429, r#"{"success":false,"errors":[{"code":4006,"message":"m"}]}"#, "quota_exceeded account"),
            (429, r#"{"success":false,"errors":[{"code":3040,"message":"m"}]}"#, "overloaded provider_model"),
        ],
    );
}

#[test]
fn bedrock_names_the_exception_in_a_header() {
    let body = r#"{"message":"m"}"#;
    for (status, kind, expected) in [
        (
            429,
            "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
            "rate_limited account_model",
        ),
        (403, "UnrecognizedClientException:http://x", "invalid_key key"),
        (403, "com.amazon.coral.service#UnrecognizedClientException:http://x", "invalid_key key"),
        (403, "ExpiredTokenException", "invalid_key key"),
        (403, "AccessDeniedException", "forbidden key"),
        (503, "ServiceUnavailableException", "overloaded provider_model"),
        (400, "ValidationException", "rejected"),
        (500, "InternalServerException", "server_error provider_model"),
    ] {
        assert_eq!(judge_with("bedrock", status, &[("x-amzn-errortype", kind)], body), expected, "{kind}");
    }
    table(
        "bedrock",
        &[
            (
                429,
                r#"{"message":"Too many tokens per day, please wait before trying again."}"#,
                "quota_exceeded account_model",
            ),
            (
                403,
                r#"{"message":"Model access is denied. If you recently fixed this issue, try again after 2 minutes."}"#,
                "forbidden account_model",
            ),
            (
                200,
                r#"{"message":"Too many requests, please wait before trying again."}"#,
                "rate_limited account_model",
            ),
            (200, r#"{"output":{"message":{"content":[]}},"usage":{}}"#, "success"),
            (
                403,
                r#"{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"m"}"#,
                "invalid_key key",
            ),
            // https://github.com/aws/aws-sdk-js/issues/1652
            (
                403,
                r#"{"message":"Signature not yet current: 20170731T092200Z is still later than 20170731T092115Z"}"#,
                "blocked provider",
            ),
        ],
    );
    let late = r#"{"message":"Signature expired: 20140325T143453Z is now earlier than 20140325T143751Z"}"#;
    let name = [("x-amzn-errortype", "InvalidSignatureException")];
    assert_eq!(
        judge_with("bedrock", 403, &name, late),
        "blocked provider",
        "the clock is wrong, not the key"
    );
}

#[test]
fn a_proxys_own_errors_are_classified() {
    table(
        "litellm",
        &[
            (
                400,
                r#"{"error":{"message":"Budget has been exceeded!","type":"budget_exceeded","code":"400"}}"#,
                "quota_exceeded key",
            ),
            (
                429,
                &error("429", "No deployments available for selected model, Try again in 60 seconds."),
                "overloaded provider_model 60s",
            ),
        ],
    );
}
