//! Responses of proxies and edges, responses that no provider's table covers, and hostile input.

mod classify_support;

use std::time::Duration;

use bytes::Bytes;
use classify_support::*;
use http::HeaderValue;
use proptest::prelude::*;
use tower_key_rotation::Provider;
use tower_key_rotation::body::Usage;
use tower_key_rotation::body::sse::Event;
use tower_key_rotation::classify::{ErrorBody, Fault, Outcome, Transport};
use tower_key_rotation::provider::{Dimension, Limit, Window};

const PROVIDERS: [&str; 5] = ["openai", "anthropic", "gemini", "groq", "nobody-knows"];

/// RFC 6750, section 3.1.
#[test]
fn a_challenge_says_that_a_scope_is_missing() {
    let challenge = r#"Bearer realm="x", error="insufficient_scope", scope="files:read""#;
    for name in PROVIDERS {
        for status in [401, 403] {
            let judged = |pairs: &[(&str, &str)], body: &str| {
                let body = Bytes::copy_from_slice(body.as_bytes());
                let verdict = ask(&provider(name), Outcome::response(head(status, pairs), body, NOW));
                verdict.fault().is_some_and(Fault::one_resource)
            };
            assert!(judged(&[("www-authenticate", challenge)], ""), "{name} {status}");
            assert!(
                !judged(&[("www-authenticate", "Bearer error=\"invalid_token\"")], ""),
                "{name} {status}"
            );
            for body in [r#"{"error":"insufficient_scope"}"#, r#"{"error":{"code":"missing_scope"}}"#] {
                assert!(judged(&[], body), "{name} {status} {body}");
            }
        }
    }
}

#[test]
fn an_edge_blames_no_key() {
    let page =
        "<!DOCTYPE html><html><head><title>x | 5xx</title></head><body>invalid api key quota</body></html>";
    let problem = r#"{"type":"https://x/error-522/","title":"Error 522","status":522,"error_code":522,"cloudflare_error":true,"retryable":true,"retry_after":120}"#;
    let banned =
        r#"{"title":"Error 1015","status":429,"error_code":1015,"cloudflare_error":true,"retry_after":60}"#;
    for name in PROVIDERS {
        for (status, body, expected) in [
            (500, page, "server_error provider"),
            (502, page, "server_error provider"),
            (503, page, "server_error provider"),
            (520, "", "server_error provider perhaps"),
            (522, problem, "server_error provider 120s"),
            (524, page, "server_error provider perhaps"),
            (504, page, "server_error provider perhaps"),
            (403, page, "blocked provider"),
            (429, page, "rate_limited provider"),
            (429, banned, "blocked provider 60s"),
            (429, "error code: 1015", "blocked provider"),
            (502, "error code: 502", "server_error provider"),
            (
                503,
                "upstream connect error or disconnect/reset before headers. reset reason: overflow",
                "server_error provider",
            ),
        ] {
            assert_eq!(judge(name, status, body), expected, "{name} {status}");
        }
        let challenge = [("cf-mitigated", "challenge"), ("retry-after", "54749")];
        assert_eq!(judge_with(name, 403, &challenge, page), "blocked provider 54749s", "{name}");
    }
}

#[test]
fn an_unknown_provider_is_judged_by_status() {
    for (status, body, expected) in [
        (400, "", "rejected"),
        (401, "", "invalid_key key"),
        (402, "", "quota_exceeded account"),
        (403, "", "forbidden key_model"),
        (404, "", "rejected"),
        (408, "", "server_error provider perhaps"),
        (413, "", "rejected"),
        (422, "", "rejected"),
        (429, "", "rate_limited account_model"),
        (500, "", "server_error provider"),
        (503, r#"{"error":"busy"}"#, "overloaded provider"),
        (529, "", "overloaded provider"),
        (599, "", "server_error provider"),
        (301, "", "rejected"),
        (204, "", "success"),
        (429, r#"{"error":{"code":"insufficient_quota","message":"m"}}"#, "quota_exceeded account"),
        (
            502,
            r#"{"error":{"code":502,"message":"Bad gateway.","type":"cf_bad_gateway"}}"#,
            "server_error provider",
        ),
        (
            429,
            ": keep-alive\n\ndata: {\"error\":{\"code\":\"insufficient_quota\"}}\n\n",
            "quota_exceeded account",
        ),
        (429, "\n\n \"{\\\"error\\\":{\\\"code\\\":\\\"insufficient_quota\\\"}}\"", "quota_exceeded account"),
        (
            429,
            r#"{"error":{"message":"{\"error\":{\"code\":\"insufficient_quota\"}}"}}"#,
            "quota_exceeded account",
        ),
        (429, r#"{"error":{"message":"cut off, try again in 5s. And th"#, "rate_limited account_model 5s"),
    ] {
        assert_eq!(judge("nobody-knows", status, body), expected, "{status} {body}");
    }
}

#[test]
fn transport_errors_are_classified() {
    for (transport, expected) in [
        (Transport::Unsent, "unreachable provider"),
        (Transport::Broken, "unreachable provider perhaps"),
        (Transport::Timeout, "timeout provider perhaps"),
    ] {
        assert_eq!(say(&ask(&Provider::openai(), Outcome::transport(transport, NOW))), expected);
    }
    let end = Outcome::streaming(head(200, &[]), None, NOW);
    assert_eq!(say(&ask(&Provider::openai(), end)), "truncated provider perhaps");
}

fn limits(name: &str, pairs: &[(&str, &str)], body: &str) -> Vec<String> {
    let show = |limit: &Limit| {
        let number = |number: Option<u64>| number.map_or_else(|| "?".into(), |number| number.to_string());
        let window = limit.window.map_or_else(|| "?".into(), |window: Window| window.to_string());
        let reset = limit.reset.map_or_else(String::new, |reset: Duration| format!(" {reset:?}"));
        format!("{} {}/{} {window}{reset}", limit.dimension, number(limit.remaining), number(limit.limit))
    };
    provider(name).limits(&headers(pairs), body.as_bytes(), NOW).iter().map(show).collect()
}

#[test]
fn windows_and_units_of_headers_are_read() {
    let three = |limit, remaining, reset| {
        [
            ("x-ratelimit-limit-requests", limit),
            ("x-ratelimit-remaining-requests", remaining),
            ("x-ratelimit-reset-requests", reset),
        ]
    };
    assert_eq!(limits("openai", &three("5000", "4999", "12ms"), ""), ["requests 4999/5000 minute 12ms"]);
    assert_eq!(limits("openai", &three("100", "99", "14m24s"), ""), ["requests 99/100 day 864s"]);
    assert_eq!(limits("groq", &three("14400", "14397", "17.5s"), ""), ["requests 14397/14400 day 17.5s"]);
    assert_eq!(limits("xai", &three("1800", "1788", "x"), ""), ["requests 1788/1800 ?"]);
    assert_eq!(limits("digitalocean", &three("10", "9", "1774915260"), ""), ["requests 9/10 ? 60s"]);
    let azure = |limit, remaining, reset| {
        let period = ("x-ratelimit-renewalperiod-requests", "60");
        limits("azure", &[&three(limit, remaining, reset)[..], &[period]].concat(), "")
    };
    assert_eq!(azure("120", "119", "500"), ["requests 119/120 minute 500ms"]);
    assert_eq!(azure("50", "49", "1"), ["requests 49/50 minute 1s"]);
    assert!(azure("-1", "-1", "0").is_empty());
}

#[test]
fn other_limit_headers_are_read() {
    let anthropic = [
        ("anthropic-ratelimit-output-tokens-limit", "80000"),
        ("anthropic-ratelimit-output-tokens-remaining", "79000"),
        ("anthropic-ratelimit-output-tokens-reset", "2026-03-30T23:59:59Z"),
    ];
    assert_eq!(limits("anthropic", &anthropic, ""), ["output_tokens 79000/80000 minute 0ns"]);
    let mistral = [
        ("x-ratelimit-limit-req-10-second", "60"),
        ("x-ratelimit-remaining-req-10-second", "59"),
        ("x-ratelimit-limit-tokens-month", "9"),
    ];
    assert_eq!(limits("mistral", &mistral, ""), ["requests 59/60 10s", "tokens ?/9 month"]);
    let together = [("x-ratelimit-limit", "2"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "2")];
    assert_eq!(limits("together", &together, ""), ["requests 0/2 second 2s"]);
    let ietf =
        [("ratelimit", "\"api\";r=999;t=295"), ("ratelimit-policy", "\"fixed window\";\"api\";q=1000;w=300")];
    assert_eq!(limits("huggingface", &ietf, ""), ["requests 999/1000 300s 295s"]);
    let cohere = [
        ("x-trial-endpoint-call-limit", "40"),
        ("x-trial-endpoint-call-remaining", "39"),
        ("x-endpoint-monthly-call-limit", "1000"),
    ];
    assert_eq!(limits("cohere", &cohere, ""), ["requests 39/40 minute", "requests ?/1000 month"]);
    assert_eq!(
        limits("replicate", &[("ratelimit-remaining", "3"), ("ratelimit-reset", "7")], ""),
        ["requests 3/? ? 7s"]
    );
    let fireworks = [("x-ratelimit-limit-tokens-prompt", "9"), ("x-ratelimit-limit-tokens-generated", "8")];
    assert_eq!(limits("fireworks", &fireworks, ""), ["input_tokens ?/9 minute", "output_tokens ?/8 minute"]);
}

#[test]
fn limits_are_read_from_messages() {
    let openai = |message: &str| {
        limits("openai", &[], &serde_json::json!({"error": {"message": message}}).to_string())
    };
    assert_eq!(openai("on requests per min (RPM): Limit 3, Used 3, Requested 1."), ["requests 0/3 minute"]);
    assert_eq!(
        openai("on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619."),
        ["tokens 2950/100000 day"]
    );
    assert_eq!(openai("no numbers at all"), [""; 0]);
    let daily = r#"{"error":{"message":"free-models-per-day","metadata":{"headers":{"X-RateLimit-Limit":"50","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1774915260000"}}}}"#;
    assert_eq!(limits("openrouter", &[], daily), ["requests 0/50 day 60s"]);
    let google = r#"{"error":{"details":[{"violations":[{"quotaMetric":"x/input_token_count","quotaId":"InputTokensPerMinute","quotaValue":"9"}]}]}}"#;
    assert_eq!(limits("gemini", &[], google), ["input_tokens ?/9 minute"]);
}

fn usage(body: &str) -> Option<(u64, u64, u64)> {
    let usage = Usage::from_body(body.as_bytes())?;
    Some((usage.input_tokens?, usage.output_tokens?, usage.total_tokens?))
}

#[test]
fn usage_of_all_dialects_is_read() {
    for (body, expected) in [
        (r#"{"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#, Some((1, 2, 3))),
        (
            r#"{"text":"\"usage\":{\"total_tokens\":9}","usage":{"input_tokens":1,"output_tokens":2}}"#,
            Some((1, 2, 3)),
        ),
        (
            r#"{"parts":[{"usage":{"total_tokens":9}}],"usage":{"input_tokens":1,"output_tokens":2}}"#,
            Some((1, 2, 3)),
        ),
        (
            r#"{"usage":{"input_tokens":1,"output_tokens":2},"parts":[{"usage":{"total_tokens":9}}]}"#,
            Some((1, 2, 3)),
        ),
        (r#"{"usage":{"prompt_tokens":35,"completion_tokens":12,"total_tokens":109}}"#, Some((35, 12, 109))),
        (r#"{"usage":{"input_tokens":1,"output_tokens":2}}"#, Some((1, 2, 3))),
        (
            r#"{"usageMetadata":{"promptTokenCount":48,"candidatesTokenCount":14,"totalTokenCount":123}}"#,
            Some((48, 14, 123)),
        ),
        (
            r#"[{"usageMetadata":{"promptTokenCount":1}},{"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"totalTokenCount":3}}]"#,
            Some((1, 2, 3)),
        ),
        (r#"{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}"#, Some((1, 2, 3))),
        (
            r#"{"meta":{"billed_units":{"input_tokens":58.0,"output_tokens":119},"tokens":{"input_tokens":69}}}"#,
            Some((58, 119, 177)),
        ),
        (r#"{"usage":{"prompt_tokens":11,"total_tokens":11}}"#, Some((11, 0, 11))),
        (r#"{"usage":{"total_tokens":43}}"#, Some((43, 0, 43))),
        (r#"{"usage":{"type":"duration","seconds":4}}"#, None),
        (r#"{"totalTokens":8}"#, None),
        (r#"{"input_tokens":8}"#, None),
        (r#"{"usageMetadata":{"trafficType":"ON_DEMAND"}}"#, None),
        ("ID3\u{4}binary", None),
        ("", None),
    ] {
        assert_eq!(usage(body), expected, "{body}");
    }
    let bedrock =
        headers(&[("x-amzn-bedrock-input-token-count", "17"), ("x-amzn-bedrock-output-token-count", "50")]);
    let counted = provider("bedrock").usage(&bedrock, b"").unwrap();
    assert_eq!(counted.total_tokens, Some(67));
}

#[test]
fn usage_of_a_stream_is_cumulative() {
    let mut total = Usage::default();
    for data in [
        r#"{"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}"#,
        r#"{"type":"content_block_delta","delta":{"text":"usage"}}"#,
        r#"{"type":"message_delta","usage":{"input_tokens":5,"output_tokens":9}}"#,
    ] {
        if let Some(usage) = Usage::from_event(&Event::new("", data)) {
            total.merge(usage);
        }
    }
    assert_eq!((total.input_tokens, total.output_tokens, total.total_tokens), (Some(5), Some(9), Some(14)));
    for data in [
        r#"{"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}}"#,
        r#"{"choices":[],"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}}"#,
    ] {
        assert_eq!(Usage::from_event(&Event::new("", data)).unwrap().total_tokens, Some(3), "{data}");
    }
}

#[test]
fn a_key_goes_to_its_provider_only() {
    for (name, uri, allowed) in [
        ("openai", "https://api.openai.com/v1", true),
        ("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse", true),
        ("bedrock", "https://bucket.s3.us-east-1.amazonaws.com/", false),
        ("vertex", "https://us-central1-aiplatform.googleapis.com/v1", true),
        ("vertex", "https://storage.googleapis.com/", false),
        ("nobody-knows", "https://api.openai.com/v1", false),
    ] {
        assert_eq!(provider(name).allows(&uri.parse().unwrap()), allowed, "{name} {uri}");
    }
    assert_eq!(Dimension::Requests.to_string(), "requests");
}

/// Text that is similar enough to a provider's to pass the first check.
fn hostile() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("{\"error\":{\"code\":".to_owned()),
        Just("\"message\":\"limit: ".to_owned()),
        Just("Limit 99999999999999999999, Requested ".to_owned()),
        Just("try again in ".to_owned()),
        Just("access on 9999-99-99 at ".to_owned()),
        Just("\"details\":[{\"violations\":[{}]}]".to_owned()),
        Just("-9223372036854775808".to_owned()),
        Just("1e308s ".to_owned()),
        Just("<html>".to_owned()),
        Just("data: [DONE]\n\n".to_owned()),
        Just("}]}\"".to_owned()),
        ".{0,12}",
    ];
    proptest::collection::vec(fragment, 0..8).prop_map(|parts| parts.concat())
}

fn header_name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("retry-after"),
        Just("retry-after-ms"),
        Just("x-ratelimit-limit-requests"),
        Just("x-ratelimit-remaining-requests"),
        Just("x-ratelimit-reset-requests"),
        Just("x-ratelimit-renewalperiod-requests"),
        Just("x-ratelimit-reset"),
        Just("x-ratelimit-remaining"),
        Just("anthropic-ratelimit-tokens-reset"),
        Just("anthropic-ratelimit-tokens-remaining"),
        Just("anthropic-ratelimit-unified-status"),
        Just("anthropic-ratelimit-unified-5h-reset"),
        Just("ratelimit"),
        Just("ratelimit-policy"),
        Just("x-amzn-errortype"),
        Just("x-api-warning"),
        Just("content-type"),
    ]
    .prop_map(str::to_owned)
}

fn header_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[0-9]{0,25}",
        "-?[0-9]{1,4}\\.?[0-9]{0,12}[hms]{0,2}",
        Just("rejected".to_owned()),
        Just("NaN".to_owned()),
        Just("1e300".to_owned()),
        Just("rate limits of 3 RPM and 99999999999999999999K TPM".to_owned()),
        Just("\"a\";r=18446744073709551615;t=18446744073709551615;q=1;w=0".to_owned()),
        "\\PC{0,20}",
    ]
    .prop_map(String::into_bytes)
}

proptest! {
    #[test]
    fn nothing_panics_and_every_wait_is_sane(
        status in 100_u16..1000,
        pairs in proptest::collection::vec((header_name(), header_value()), 0..6),
        body in hostile(),
    ) {
        let mut head = (*head(status, &[])).clone();
        for (name, value) in pairs {
            let name: http::HeaderName = name.parse().unwrap();
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                head.headers.append(name, value);
            }
        }
        let head = std::sync::Arc::new(head);
        let body = Bytes::from(body);
        for name in Provider::presets() {
            let provider = provider(name);
            let event = Event::new("error", body.clone());
            for outcome in [
                Outcome::response(head.clone(), body.clone(), NOW),
                Outcome::streaming(head.clone(), Some(event), NOW),
            ] {
                let verdict = ask(&provider, outcome);
                let wait = verdict.fault().and_then(Fault::retry_after);
                prop_assert!(wait.is_none_or(|wait| !wait.is_zero() && wait < Duration::from_secs(500 * 86_400)));
            }
            provider.limits(&head.headers, &body, NOW);
            provider.usage(&head.headers, &body);
            provider.model_in_body(head.headers.get("content-type"), &[body.clone(), body.clone()]);
        }
    }
}

#[test]
fn reasons_in_the_account_are_marked() {
    for (name, status, body, names_account) in [
        ("openai", 401, "", false),
        ("openai", 401, r#"{"error":{"message":"Unauthorized"}}"#, false),
        ("openai", 401, r#"{"error":{"message":"m","code":"invalid_api_key"}}"#, true),
        ("anthropic", 401, r#"{"error":{"type":"authentication_error","message":"m"}}"#, false),
        (
            "anthropic",
            401,
            r#"{"error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
            true,
        ),
        ("anthropic", 400, r#"{"error":{"message":"Your credit balance is too low."}}"#, true),
        ("anthropic", 403, r#"{"error":{"type":"permission_error","message":"m"}}"#, false),
        ("nobody", 402, "", true),
        ("nobody", 403, "", false),
        ("nobody", 403, r#"{"message":"Please upgrade your plan."}"#, true),
        ("nobody", 403, r#"{"message":"This key was revoked."}"#, true),
        ("nobody", 403, r#"{"message":"Not allowed."}"#, false),
        ("zhipu", 403, r#"{"error":{"code":"1113","message":"m"}}"#, true),
        ("gemini", 403, r#"{"error":{"status":"PERMISSION_DENIED","message":"m"}}"#, false),
        ("gemini", 401, r#"{"error":{"status":"UNAUTHENTICATED","message":"m"}}"#, false),
    ] {
        let outcome = Outcome::response(head(status, &[]), Bytes::copy_from_slice(body.as_bytes()), NOW);
        let verdict = ask(&provider(name), outcome);
        let fault = verdict.fault().unwrap();
        assert_eq!(fault.account_reason(), names_account, "{name} {status} {body}: {verdict}");
        assert!(!fault.one_resource());
    }
}

/// AWS, WSO2, Apigee and IBM API Connect.
#[test]
fn an_error_in_xml_is_no_page_of_a_proxy() {
    let prolog = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
    let documents = [
        "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>The API key is invalid.</Message></Error></ErrorResponse>",
        "<!-- gateway --><ams:fault xmlns:ams=\"http://x\"><ams:code>900902</ams:code><ams:message>Invalid API key</ams:message></ams:fault>",
        "<error><httpCode>429</httpCode><httpMessage>Too Many Requests</httpMessage></error>",
        "<UnknownException/>",
    ];
    for document in documents {
        for document in [document.to_owned(), format!("{prolog}\n{document}")] {
            for status in [401, 403, 429] {
                assert!(!blames_provider(status, &document), "{status} {document}");
            }
            let body = ErrorBody::parse(document.as_bytes());
            assert!(!body.message().contains(['<', '>']), "{}", body.message());
        }
    }
    let page = format!("{prolog}<!DOCTYPE html><html><head><title>Error</title></head></html>");
    for page in [page.as_str(), "<h1>Error</h1>", "<", "<!--", "<?xml"] {
        assert!(blames_provider(403, page), "{page}");
    }
}

fn blames_provider(status: u16, body: &str) -> bool {
    let outcome = Outcome::response(head(status, &[]), Bytes::copy_from_slice(body.as_bytes()), NOW);
    ask(&provider("openai"), outcome).fault().is_some_and(|fault| fault.scope().is_provider())
}
