//! Paths, queries and members, for each cloud and dialect.

use super::*;
use crate::Error;
use crate::provider::Unroutable;

const VERTEX: &str = "https://us-east5-aiplatform.googleapis.com/v1/projects/p-1/locations/us-east5";
const MESSAGE: &str = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"h\u00e9"}],"stream":true}"#;

async fn sent(cloud: Cloud, provider: &str, base: &str, request: Request<Full<Bytes>>) -> Seen {
    let (client, log) = upstream(ok);
    let key = key("token", base)
        .model_name("claude-sonnet-4-5", "claude-sonnet-4-5@20250929")
        .model_name("gpt-4o", "my gpt");
    send(&rotating(cloud, provider, vec![key], client).0, request).await.unwrap();
    log.one()
}

#[tokio::test]
async fn messages_at_vertex() {
    let mut request = post("/v1/messages?beta=true", MESSAGE);
    request.headers_mut().insert("anthropic-beta", "one,two".parse().unwrap());
    let seen = sent(Cloud::vertex(), "vertex", VERTEX, request).await;
    let models = "/publishers/anthropic/models/";
    assert_eq!(seen.url(), format!("{VERTEX}{models}claude-sonnet-4-5@20250929:streamRawPredict"));
    assert_eq!(
        seen.body,
        r#"{"max_tokens":9,"messages":[{"role":"user","content":"h\u00e9"}],"stream":true,"anthropic_version":"vertex-2023-10-16"}"#
    );
    assert_eq!(seen.header("content-length"), seen.body.len().to_string());
    assert_eq!((seen.header("anthropic-version"), seen.header("anthropic-beta")), ("", "one,two"));
    assert_eq!(seen.header("authorization"), "Bearer token");

    let whole = post("/v1/messages", r#"{"model":"a/b:c;d","anthropic_version":"own"}"#);
    let seen = sent(Cloud::vertex(), "vertex", VERTEX, whole).await;
    assert_eq!(seen.url(), format!("{VERTEX}{models}a%2Fb%3Ac%3Bd:rawPredict"));
    assert_eq!(seen.body, r#"{"anthropic_version":"own"}"#);

    let count = post("/v1/messages/count_tokens?beta=true", r#"{"model":"claude-sonnet-4-5","messages":[]}"#);
    let seen = sent(Cloud::vertex(), "vertex", VERTEX, count).await;
    assert_eq!(seen.url(), format!("{VERTEX}{models}count-tokens:rawPredict"));
    assert_eq!(seen.json()["model"], "claude-sonnet-4-5@20250929");
    assert_eq!(seen.json()["anthropic_version"], "vertex-2023-10-16");
}

#[tokio::test]
async fn messages_at_bedrock() {
    let base = "https://bedrock-runtime.eu-west-1.amazonaws.com";
    let mut request = post("/v1/messages?beta=true&x=1", MESSAGE);
    request.headers_mut().append("anthropic-beta", "one, two".parse().unwrap());
    request.headers_mut().append("anthropic-beta", "three".parse().unwrap());
    request.headers_mut().append("anthropic-user-profile-id", "u-1, a".parse().unwrap());
    let (client, log) = upstream(ok);
    let key =
        key("token", base).model_name("claude-sonnet-4-5", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0");
    let (service, _) = rotating(Cloud::bedrock("eu-west-1"), "bedrock", vec![key], client);
    send(&service, request).await.unwrap();
    let seen = log.one();
    let model = "eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0";
    assert_eq!(seen.url(), format!("{base}/model/{model}/invoke-with-response-stream?x=1"));
    assert_eq!(
        seen.body,
        r#"{"max_tokens":9,"messages":[{"role":"user","content":"h\u00e9"}],"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["one","two","three"],"user_profile_id":"u-1, a"}"#
    );
    assert_eq!((seen.header("anthropic-version"), seen.header("anthropic-beta")), ("", ""));
    assert_eq!(seen.header("authorization"), "Bearer token", "an API key is a bearer token");

    let mut newer = post("/v1/messages", r#"{"stream":false,"messages":[],"model":"arn:aws:bedrock:x/y"}"#);
    newer.headers_mut().insert("anthropic-version", "2026-10-21".parse().unwrap());
    send(&service, newer).await.unwrap();
    let seen = log.one();
    assert_eq!(seen.url(), format!("{base}/model/arn%3Aaws%3Abedrock%3Ax%2Fy/invoke"));
    assert_eq!(seen.body, r#"{"messages":[],"anthropic_version":"2026-10-21"}"#);
}

#[tokio::test]
async fn all_other_paths() {
    let (v1, dated) = (Cloud::azure(), Cloud::azure().api_version("2024-10-21"));
    let azure = "https://r.openai.azure.com";
    let mantle = "https://bedrock-mantle.us-east-1.api.aws";
    let bedrock = "https://bedrock-runtime.us-east-1.amazonaws.com";
    let chat = r#"{"model":"gpt-4o"}"#;
    for (cloud, provider, base, path, expected) in [
        (&Cloud::vertex(), "vertex", VERTEX, "/v1/chat/completions", "/endpoints/openapi/chat/completions"),
        (
            &Cloud::vertex(),
            "vertex",
            VERTEX,
            "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
            "/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        ),
        (
            &Cloud::vertex(),
            "vertex",
            VERTEX,
            "/v1/models/g:countTokens",
            "/publishers/google/models/g:countTokens",
        ),
        (&v1, "azure", azure, "/v1/chat/completions?x=1", "/openai/v1/chat/completions?x=1"),
        (&v1, "azure", azure, "/v1/responses", "/openai/v1/responses"),
        (&v1, "azure", azure, "/openai/v1/chat/completions", "/openai/v1/chat/completions"),
        (
            &dated,
            "azure",
            azure,
            "/v1/chat/completions?x=1&api-version=caller",
            "/openai/deployments/my%20gpt/chat/completions?x=1&api-version=2024-10-21",
        ),
        (&dated, "azure", azure, "/v1/responses", "/openai/responses?api-version=2024-10-21"),
        (&dated, "azure", azure, "/v1/messages", "/anthropic/v1/messages"),
        (&Cloud::bedrock_mantle("us-east-1"), "bedrock", mantle, "/v1/messages", "/anthropic/v1/messages"),
        (
            &Cloud::bedrock_mantle("us-east-1"),
            "bedrock",
            mantle,
            "/v1/messages/count_tokens?beta=true",
            "/anthropic/v1/messages/count_tokens?beta=true",
        ),
        (
            &Cloud::bedrock_mantle("us-east-1"),
            "bedrock",
            mantle,
            "/v1/chat/completions",
            "/v1/chat/completions",
        ),
        (
            &Cloud::bedrock("us-east-1"),
            "bedrock",
            bedrock,
            "/v1/chat/completions",
            "/openai/v1/chat/completions",
        ),
    ] {
        let request = post(path, if path.contains("/models/") { "{}" } else { chat });
        let seen = sent(cloud.clone(), provider, base, request).await;
        assert_eq!(seen.url(), format!("{base}{expected}"));
        let is_claude = path.contains("/messages") && provider == "azure";
        assert_eq!(seen.header("x-api-key"), if is_claude { "token" } else { "" });
    }
}

#[tokio::test]
async fn tokens_of_entra_are_bearer_tokens() {
    let (client, log) = upstream(ok);
    let token = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJhenVyZSJ9.c2lnbmF0dXJl";
    let keys =
        vec![key(token, "https://r.openai.azure.com"), key("eyJ-is-a-key", "https://r.openai.azure.com")];
    let (service, _) = rotating(Cloud::azure(), "azure", keys, client);
    for _ in 0..2 {
        send(&service, post("/v1/chat/completions", r#"{"model":"gpt-4o"}"#)).await.unwrap();
    }
    let seen = log.take();
    let headers = |seen: &Seen| (seen.header("authorization").to_owned(), seen.header("api-key").to_owned());
    assert_eq!(headers(&seen[0]), (format!("Bearer {token}"), String::new()));
    assert_eq!(headers(&seen[1]), (String::new(), "eyJ-is-a-key".to_owned()));
}

#[tokio::test]
async fn what_a_cloud_does_not_have_is_not_sent() {
    let (client, log) = upstream(ok);
    let (vertex, pool) = rotating(Cloud::vertex(), "vertex", vec![key("token", VERTEX)], client.clone());
    let bedrock = "https://bedrock-runtime.us-east-1.amazonaws.com";
    let (bedrock, _) = rotating(Cloud::bedrock("us-east-1"), "bedrock", vec![key("token", bedrock)], client);
    for (service, path, body, expected) in [
        (&vertex, "/v1/messages/batches", "{}", Unroutable::NoEndpoint),
        (&vertex, "/v1/embeddings", "{}", Unroutable::NoEndpoint),
        (&vertex, "/v1beta/models/g:embedContent", "{}", Unroutable::NoEndpoint),
        (&vertex, "/v1/messages", "[1]", Unroutable::NotFound),
        (&vertex, "/v1/messages", r#"{"messages":[]}"#, Unroutable::NotFound),
        (&vertex, "/v1/messages", r#"{"model":5}"#, Unroutable::NotFound),
        (&bedrock, "/v1/messages", r#"{"model":".."}"#, Unroutable::Url),
        (&bedrock, "/v1/messages/count_tokens", r#"{"model":"m"}"#, Unroutable::NoEndpoint),
        (&bedrock, "/v1beta/models/g:generateContent", "{}", Unroutable::NoEndpoint),
    ] {
        let error = send(service, post(path, body)).await.unwrap_err();
        let Error::ApplyKey(error) = error else { panic!("{error}") };
        let source = std::error::Error::source(&error).and_then(|it| it.downcast_ref::<Unroutable>());
        assert_eq!(source, Some(&expected), "{path} {body}");
    }
    assert!(log.take().is_empty());
    assert_eq!(pool.usable(None), 1, "no key is blamed");
}
