//! Chains in one dialect over several clouds.

use super::streams::{EVENTS, as_events, chunk, exception, stream};
use super::*;
use crate::ProviderFallbackLayer;
use crate::fallback::Route;
use crate::provider::Endpoints;

const VERTEX: &str = "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1";
const BEDROCK: &str = "https://bedrock-runtime.us-east-1.amazonaws.com";

/// The request of a coding agent: tools, thinking, a system prompt with a cache.
fn agent(stream: bool) -> String {
    format!(
        r#"{{"model":"claude-sonnet-4-5","max_tokens":2048,"thinking":{{"type":"enabled","budget_tokens":1024}},"system":[{{"type":"text","text":"Be brief.","cache_control":{{"type":"ephemeral"}}}}],"tools":[{{"name":"ls","input_schema":{{"type":"object","properties":{{}}}}}}],"messages":[{{"role":"user","content":"hi"}}],"stream":{stream}}}"#
    )
}

/// An upstream for all clouds: each answers by the host that it has.
fn by_host(answers: Vec<(&'static str, Response<Full<Bytes>>)>) -> (Client, Log) {
    upstream(move |seen| {
        let host = seen.uri.host().unwrap();
        let answer = answers.iter().find(|(own, _)| host.contains(own));
        answer.unwrap_or_else(|| panic!("{host}")).1.clone()
    })
}

/// The hosts that were called, each once, in the order of their first calls.
fn hosts(log: &Log) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for seen in log.take() {
        let host = seen.uri.host().unwrap().to_owned();
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

fn pool(provider: &str, secret: &str, names: &[(&str, &str)]) -> KeyPool {
    let key = ApiKey::new(secret).unwrap();
    let key = names.iter().fold(key, |key, (caller, own)| key.model_name(*caller, *own));
    KeyPool::builder(Provider::preset(provider).unwrap()).key(key).build().unwrap()
}

fn link(cloud: Option<Cloud>, pool: KeyPool, client: &Client) -> Rotating {
    KeyRotationLayer::new(pool).layer(CloudLayer::new(cloud).layer(client.clone()))
}

/// Anthropic, then Vertex AI, then Bedrock.
fn claude(client: &Client) -> crate::fallback::ProviderFallback<Rotating, crate::body::ResponseBody<Body>> {
    let name = "claude-sonnet-4-5";
    let vertex = pool("vertex", "ya29.token", &[(name, "claude-sonnet-4-5@20250929")]);
    let bedrock =
        pool("bedrock", "AKIDEXAMPLE:secret", &[(name, "us.anthropic.claude-sonnet-4-5-20250929-v1:0")]);
    let route = |base: &str, cloud: &Cloud| Route::to(base).unwrap().endpoints(cloud.endpoints());
    ProviderFallbackLayer::new("anthropic")
        .route(Route::to("https://api.anthropic.com/v1").unwrap().endpoints(Endpoints::ALL))
        .fallback("vertex", link(Some(Cloud::vertex()), vertex, client), route(VERTEX, &Cloud::vertex()))
        .fallback(
            "bedrock",
            link(Some(Cloud::bedrock("us-east-1")), bedrock, client),
            route(BEDROCK, &Cloud::bedrock("us-east-1")),
        )
        .layer(link(None, pool("anthropic", "sk-ant-one", &[]), client))
}

fn overloaded() -> Response<Full<Bytes>> {
    reply(529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#)
}

fn shared_quota() -> Response<Full<Bytes>> {
    reply(
        429,
        r#"{"error":{"code":429,"message":"Resource exhausted. Please try again later.","status":"RESOURCE_EXHAUSTED"}}"#,
    )
}

fn sse() -> Response<Full<Bytes>> {
    let mut response = reply(200, &as_events());
    response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
    response
}

#[tokio::test(start_paused = true)]
async fn an_agents_request_passes_all_three_clouds() {
    for is_streamed in [false, true] {
        let good = || if is_streamed { stream(&EVENTS.map(chunk)) } else { ok_message() };
        let (client, log) =
            by_host(vec![("anthropic", overloaded()), ("aiplatform", shared_quota()), ("bedrock", good())]);
        let (head, body) = send(&claude(&client), post("/v1/messages", &agent(is_streamed))).await.unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(head.extensions.get::<crate::Served>().unwrap().provider(), "bedrock");
        let seen = log.take();
        assert_eq!(seen.len(), 3);
        let (first, others) = seen.split_first().unwrap();
        assert_eq!(
            (first.url().as_str(), &first.body),
            ("https://api.anthropic.com/v1/messages", &agent(is_streamed))
        );
        let method = if is_streamed { "streamRawPredict" } else { "rawPredict" };
        assert!(
            others[0].url().ends_with(&format!("claude-sonnet-4-5@20250929:{method}")),
            "{}",
            others[0].url()
        );
        let method = if is_streamed { "invoke-with-response-stream" } else { "invoke" };
        assert!(
            others[1].url().ends_with(&format!("us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/{method}"))
        );
        for cloud in others {
            for member in ["thinking", "tools", "system", "messages", "max_tokens"] {
                assert_eq!(cloud.json()[member], first.json()[member], "{member}");
            }
            assert_eq!(cloud.json().get("model"), None);
        }
        assert!(!is_streamed || body == as_events());
    }
}

fn ok_message() -> Response<Full<Bytes>> {
    reply(
        200,
        r#"{"type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],"usage":{"input_tokens":1,"output_tokens":1}}"#,
    )
}

#[tokio::test(start_paused = true)]
async fn errors_of_clouds_lead_to_the_next_one() {
    let amazon = |status: u16, kind: &str, message: &str| {
        let mut response = reply(status, &format!(r#"{{"message":"{message}"}}"#));
        response
            .headers_mut()
            .insert("x-amzn-errortype", format!("{kind}:http://internal/").parse().unwrap());
        response
    };
    let google = |status: u16, name: &str, message: &str| {
        reply(status, &format!(r#"{{"error":{{"code":{status},"message":"{message}","status":"{name}"}}}}"#))
    };
    let quota = "Quota exceeded for aiplatform.googleapis.com/online_prediction_requests_per_base_model";
    for vertex in [
        google(429, "RESOURCE_EXHAUSTED", quota),
        google(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        google(403, "PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied on resource"),
        google(503, "UNAVAILABLE", "The service is currently unavailable."),
    ] {
        let (client, log) =
            by_host(vec![("anthropic", overloaded()), ("aiplatform", vertex), ("bedrock", ok_message())]);
        send(&claude(&client), post("/v1/messages", &agent(false))).await.unwrap();
        assert_eq!(hosts(&log).len(), 3);
    }
    for bedrock in [
        amazon(429, "ThrottlingException", "Too many tokens, please wait before trying again."),
        amazon(403, "ExpiredTokenException", "The security token included in the request is expired"),
        amazon(
            403,
            "AccessDeniedException",
            "You don't have access to the model with the specified model ID.",
        ),
        amazon(503, "ServiceUnavailableException", "Too many connections"),
        stream(&[exception("throttlingException", "Too many requests")]),
    ] {
        let (client, log) =
            by_host(vec![("anthropic", overloaded()), ("aiplatform", shared_quota()), ("bedrock", bedrock)]);
        let error = send(&claude(&client), post("/v1/messages", &agent(true))).await.unwrap_err();
        assert!(matches!(error, crate::Error::AllProvidersFailed(_)), "{error}");
        assert_eq!(hosts(&log).len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_without_the_endpoint_is_skipped_with_a_reason() {
    let (client, log) = by_host(vec![("anthropic", overloaded())]);
    let batches = post("/v1/messages/batches", r#"{"requests":[]}"#);
    let error = send(&claude(&client), batches).await.unwrap_err().to_string();
    assert!(error.contains("endpoint"), "{error}");
    assert_eq!(hosts(&log), ["api.anthropic.com"], "nothing is sent to the clouds");

    let (client, log) =
        by_host(vec![("anthropic", overloaded()), ("aiplatform", reply(200, r#"{"input_tokens":9}"#))]);
    let count = post("/v1/messages/count_tokens", r#"{"model":"claude-sonnet-4-5","messages":[]}"#);
    assert_eq!(send(&claude(&client), count).await.unwrap().1, r#"{"input_tokens":9}"#);
    assert!(log.take()[1].url().ends_with("/publishers/anthropic/models/count-tokens:rawPredict"));
}

#[tokio::test(start_paused = true)]
async fn gpt_falls_over_to_azure_and_gemini_to_vertex() {
    let (client, log) = by_host(vec![
        (
            "api.openai",
            reply(503, r#"{"error":{"message":"The server is overloaded","type":"server_error"}}"#),
        ),
        ("azure", reply(200, r#"{"choices":[]}"#)),
        ("generativelanguage", google_overload()),
        ("aiplatform", sse()),
    ]);
    let azure = Cloud::azure().api_version("2024-10-21");
    let gpt = ProviderFallbackLayer::new("openai")
        .route(Route::openai())
        .fallback(
            "azure",
            link(Some(azure), pool("azure", "azure-key", &[("gpt-4o", "prod-gpt-4o")]), &client),
            Route::to(&Cloud::azure_url("res")).unwrap(),
        )
        .layer(link(None, pool("openai", "sk-one", &[]), &client));
    send(&gpt, post("/v1/chat/completions", r#"{"model":"gpt-4o","messages":[]}"#)).await.unwrap();
    let azure = &log.take()[1];
    assert_eq!(
        azure.url(),
        "https://res.openai.azure.com/openai/deployments/prod-gpt-4o/chat/completions?api-version=2024-10-21"
    );
    assert_eq!((azure.header("api-key"), azure.header("authorization")), ("azure-key", ""));

    let gemini = ProviderFallbackLayer::new("gemini")
        .fallback(
            "vertex",
            link(
                Some(Cloud::vertex()),
                pool("vertex", "ya29.token", &[("gemini-flash", "gemini-2.5-flash")]),
                &client,
            ),
            Route::to(VERTEX).unwrap(),
        )
        .layer(link(None, pool("gemini", "AIza-one", &[]), &client));
    let mut request = post("/v1beta/models/gemini-flash:streamGenerateContent?alt=sse", r#"{"contents":[]}"#);
    *request.uri_mut() =
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-flash:streamGenerateContent?alt=sse"
            .parse()
            .unwrap();
    send(&gemini, request).await.unwrap();
    let vertex = &log.take()[1];
    assert_eq!(
        vertex.url(),
        format!("{VERTEX}/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse")
    );
    assert_eq!(
        (vertex.body.as_str(), vertex.header("authorization")),
        (r#"{"contents":[]}"#, "Bearer ya29.token")
    );
}

fn google_overload() -> Response<Full<Bytes>> {
    reply(503, r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#)
}
