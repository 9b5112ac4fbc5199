//! One dialect over several clouds: a caller of Messages, of chat completions or of `generateContent` gets a response
//! from the next cloud when the first one has none. Over sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Response};
use serde_json::{Value, json};
use support::stub::{Stub, StubCall, reply};
use support::{Gateway, MARKER, header, secret, text};
use tower_key_rotation_gateway::config::{Format, Loader};

const SIGNING: &str = "AKIDEXAMPLE:tkrmarker/secret+access:tkrmarkersession/token=";

/// Anthropic, Vertex AI and Bedrock behind one address.
fn claude(stub: &Stub) -> String {
    let at = stub.address;
    format!(
        r#"
        [[provider]]
        name = "anthropic"
        base_url = "http://{at}"
        [[provider.key]]
        id = "a"
        secret = "{}"

        [[provider]]
        name = "claude-on-vertex"
        cloud = "vertex"
        base_url = "http://{at}"
        project = "my-project"
        location = "us-east5"
        models = {{ "claude-sonnet-4-5" = "claude-sonnet-4-5@20250929" }}
        [[provider.key]]
        id = "v"
        secret = "{}"

        [[provider]]
        name = "claude-on-bedrock"
        cloud = "bedrock"
        base_url = "http://{at}"
        region = "eu-central-1"
        models = {{ "claude-sonnet-4-5" = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0" }}
        [[provider.key]]
        id = "b"
        secret = "{SIGNING}"
        "#,
        secret("one"),
        secret("two"),
    )
}

/// The request of a coding agent.
fn agent(stream: bool) -> Value {
    json!({
        "model": "claude-sonnet-4-5",
        "max_tokens": 2048,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "ls", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "EqQBCgIYAhIM"},
                {"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "ls", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_01A09q90qw90lq917835lq9", "content": "a.rs"},
            ]},
        ],
        "stream": stream,
    })
}

fn messages(path: &str, body: &Value) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/json");
    let request = request.header("anthropic-version", "2023-06-01").header("anthropic-beta", "beta-1,beta-2");
    request.header("x-api-key", "caller").body(Body::from(body.to_string())).unwrap()
}

fn crc(bytes: &[u8]) -> [u8; 4] {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    let fold = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    (!bytes.iter().fold(!0, fold)).to_be_bytes()
}

/// A frame of AWS's event stream, by its specification.
fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let total = u32::try_from(16 + head.len() + payload.len()).unwrap();
    let mut out = [total.to_be_bytes(), u32::try_from(head.len()).unwrap().to_be_bytes()].concat();
    out.extend(crc(&out));
    out.extend(head);
    out.extend(payload.as_bytes());
    out.extend(crc(&out));
    out
}

const EVENTS: [&str; 3] = [
    r#"{"type":"message_start","message":{"id":"msg_1","role":"assistant","content":[]}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
    r#"{"type":"message_stop"}"#,
];

fn frames() -> Response<Body> {
    let one = |event: &&str| {
        let headers =
            [(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")];
        frame(&headers, &json!({"bytes": STANDARD.encode(event)}).to_string())
    };
    let all: Vec<u8> = EVENTS.iter().flat_map(one).collect();
    let kind = "application/vnd.amazon.eventstream";
    Response::builder().header("content-type", kind).body(Body::from(all)).unwrap()
}

/// Only Bedrock serves requests.
fn only_bedrock(call: &StubCall) -> Response<Body> {
    match call.path.split('?').next().unwrap() {
        "/v1/messages" => {
            reply(529, &json!({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}))
        }
        path if path.contains("/publishers/") => reply(
            429,
            &json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Resource exhausted."}}),
        ),
        path if path.ends_with("/invoke-with-response-stream") => frames(),
        _ => reply(200, &json!({"type": "message", "content": []})),
    }
}

#[tokio::test]
async fn a_coding_agent_passes_all_three_clouds() {
    let stub = Stub::with(only_bedrock).await;
    let gateway = Gateway::at(&claude(&stub)).await;
    for is_streamed in [false, true] {
        let body = agent(is_streamed);
        let response = gateway.send(messages("/v1/messages?beta=true", &body)).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "x-served-by"), "claude-on-bedrock/b");
        let kind = header(&response, "content-type").to_owned();
        let text = text(response).await;
        let calls = stub.calls();
        let bedrock = calls.last().unwrap();
        if is_streamed {
            assert_eq!(kind, "text/event-stream");
            assert!(text.contains(&format!("event: content_block_delta\ndata: {}\n\n", EVENTS[1])), "{text}");
            assert!(text.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"), "{text}");
        } else {
            let vertex = "/v1/projects/my-project/locations/us-east5/publishers/anthropic/models/";
            assert_eq!(calls[0].path, "/v1/messages?beta=true");
            assert_eq!(calls[1].path, format!("{vertex}claude-sonnet-4-5@20250929:rawPredict"));
            let own: Value = serde_json::from_slice(&calls[1].body).unwrap();
            assert_eq!((&own["anthropic_version"], own.get("model")), (&json!("vertex-2023-10-16"), None));
            assert_eq!(calls[1].headers["anthropic-beta"], "beta-1,beta-2");
            assert_eq!(calls[1].headers["authorization"], format!("Bearer {}", secret("two")));
        }
        let method = if is_streamed { "invoke-with-response-stream" } else { "invoke" };
        let model = "eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0";
        assert_eq!(bedrock.path, format!("/model/{model}/{method}"));
        let own: Value = serde_json::from_slice(&bedrock.body).unwrap();
        for member in ["thinking", "system", "tools", "messages", "max_tokens"] {
            assert_eq!(own[member], body[member], "{member}");
        }
        assert_eq!(own["anthropic_version"], "bedrock-2023-05-31");
        assert_eq!(own["anthropic_beta"], json!(["beta-1", "beta-2"]));
        assert_eq!((own.get("model"), own.get("stream")), (None, None));
        let signature = bedrock.headers["authorization"].to_str().unwrap();
        assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{signature}");
        assert!(signature.contains("/eu-central-1/bedrock/aws4_request"), "{signature}");
        assert_eq!(bedrock.headers["x-amz-security-token"], "tkrmarkersession/token=");
        assert!(!format!("{bedrock:?}").contains("secret+access"), "the secret is never sent");
    }
    let status = text(gateway.send(Request::get("/status").body(Body::empty()).unwrap()).await).await;
    assert!(!status.contains(MARKER) && status.contains("claude-on-bedrock"), "{status}");
}

#[tokio::test]
async fn a_cloud_can_be_named_in_the_path() {
    let stub = Stub::with(only_bedrock).await;
    let gateway = Gateway::at(&claude(&stub)).await;
    for (path, expected) in [
        ("/claude-on-bedrock/v1/messages", "/model/claude-sonnet-4-5/invoke"),
        ("/claude-on-bedrock/model/m/converse", "/model/m/converse"),
        ("/claude-on-bedrock/v1/chat/completions", "/openai/v1/chat/completions"),
    ] {
        let response = gateway.send(messages(path, &agent(false))).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(stub.calls()[0].path, expected);
    }
    let response = gateway.send(messages("/claude-on-bedrock/v1/messages/batches", &json!({}))).await;
    assert_eq!(response.status(), 404);
    assert_eq!(header(&response, "x-should-retry"), "false");
    assert!(text(response).await.contains("endpoint"));
    // Batches belong to the account of the first provider, and go to no other one.
    let response = gateway.send(messages("/v1/messages/batches", &json!({"requests": []}))).await;
    assert_eq!((response.status().as_u16(), stub.calls()[0].path.as_str()), (200, "/v1/messages/batches"));
}

#[tokio::test]
async fn tokens_are_counted_at_the_next_cloud_that_can() {
    let stub = Stub::with(|call| match call.path.as_str() {
        "/v1/messages/count_tokens" => {
            reply(529, &json!({"type": "error", "error": {"type": "overloaded_error"}}))
        }
        _ => reply(200, &json!({"input_tokens": 9})),
    })
    .await;
    let gateway = Gateway::at(&claude(&stub)).await;
    let count = json!({"model": "claude-sonnet-4-5", "messages": []});
    let response = gateway.send(messages("/v1/messages/count_tokens", &count)).await;
    assert_eq!(header(&response, "x-served-by"), "claude-on-vertex/v");
    assert_eq!(text(response).await, r#"{"input_tokens":9}"#);
    assert!(
        stub.calls().last().unwrap().path.ends_with("/publishers/anthropic/models/count-tokens:rawPredict")
    );
}

#[tokio::test]
async fn gpt_falls_over_to_azure_and_gemini_to_vertex() {
    let stub = Stub::with(|call| match call.path.as_str() {
        path if path.starts_with("/v1/chat") || path.starts_with("/v1beta/") => {
            reply(503, &json!({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}))
        }
        path => reply(200, &json!({"choices": [], "candidates": [], "path": path})),
    })
    .await;
    let at = stub.address;
    let gateway = Gateway::at(&format!(
        r#"
        [[provider]]
        name = "openai"
        base_url = "http://{at}/v1"
        [[provider.key]]
        id = "o"
        secret = "{}"

        [[provider]]
        name = "azure"
        cloud = "azure"
        base_url = "http://{at}"
        api_version = "2024-10-21"
        models = {{ "gpt-4o" = "prod-gpt-4o" }}
        [[provider.key]]
        id = "z"
        secret = "{}"

        [[provider]]
        name = "gemini"
        base_url = "http://{at}/v1beta/openai"
        endpoints = ["-chat"]
        [[provider.key]]
        id = "g"
        secret = "{}"

        [[provider]]
        name = "vertex"
        cloud = "vertex"
        base_url = "http://{at}"
        project = "p"
        location = "global"
        endpoints = ["-chat"]
        models = {{ "gemini-flash" = "gemini-2.5-flash" }}
        [[provider.key]]
        id = "v"
        secret = "{}"
        "#,
        secret("1"),
        secret("2"),
        secret("3"),
        secret("4"),
    ))
    .await;
    let chat = messages("/v1/chat/completions", &json!({"model": "gpt-4o", "messages": []}));
    let response = gateway.send(chat).await;
    assert_eq!(header(&response, "x-served-by"), "azure/z");
    let azure = stub.calls().pop().unwrap();
    assert_eq!(azure.path, "/openai/deployments/prod-gpt-4o/chat/completions?api-version=2024-10-21");
    assert_eq!(azure.headers["api-key"], secret("2"));
    let path = "/v1beta/models/gemini-flash:streamGenerateContent?alt=sse";
    let response = gateway.send(messages(path, &json!({"contents": []}))).await;
    assert_eq!(header(&response, "x-served-by"), "vertex/v");
    let calls = stub.calls();
    assert_eq!(calls[0].path, path);
    let models = "/v1/projects/p/locations/global/publishers/google/models";
    let vertex = calls.last().unwrap();
    assert_eq!(vertex.path, format!("{models}/gemini-2.5-flash:streamGenerateContent?alt=sse"));
    assert_eq!(vertex.headers["authorization"], format!("Bearer {}", secret("4")));
    // Uploads stay at the provider that keeps them.
    let response = gateway.send(messages("/upload/v1beta/files", &json!({}))).await;
    assert_eq!((response.status().as_u16(), stub.calls()[0].path.as_str()), (200, "/upload/v1beta/files"));
}

#[tokio::test]
async fn projects_of_keys_differ() {
    let served = Arc::new(AtomicUsize::new(0));
    let stub = Stub::with(move |_| {
        served.fetch_add(1, Ordering::Relaxed);
        reply(200, &json!({"type": "message", "content": []}))
    })
    .await;
    let at = stub.address;
    let key = |id: &str| {
        format!(
            "[[provider.key]]\nid = \"{id}\"\nsecret = \"{}\"\nbase_url = \"http://{at}/v1/projects/{id}/locations/eu\"\n",
            secret(id)
        )
    };
    let text = "[[provider]]\nname = \"claude\"\ncloud = \"vertex\"\nproject = \"p\"\nlocation = \"eu\"\n";
    let gateway = Gateway::at(&format!("{text}{}{}", key("east"), key("west"))).await;
    for _ in 0..2 {
        assert_eq!(gateway.send(messages("/v1/messages", &agent(false))).await.status(), 200);
    }
    let mut projects: Vec<_> =
        stub.calls().iter().map(|call| call.path.split('/').nth(3).unwrap().to_owned()).collect();
    projects.sort();
    assert_eq!(projects, ["east", "west"]);
}

#[test]
fn wrong_fields_about_a_cloud_are_named() {
    let load = |lines: &str| {
        let text = format!("[[provider]]\nname = \"one\"\n{lines}\n[[provider.key]]\nsecret = \"sk-1\"\n");
        Loader::new().vars([("PATH", "")]).parse(&text, Format::Toml)
    };
    for (lines, place, message) in [
        ("cloud = \"vertex\"", "provider[0]", "needs a `project` and a `location`"),
        ("cloud = \"vertex\"\nproject = \"p\"", "provider[0]", "needs a `project` and a `location`"),
        ("cloud = \"vertex\"\nproject = \"p/q\"\nlocation = \"eu\"", "provider[0].project", "not a name"),
        ("cloud = \"vertex\"\nregion = \"eu\"", "provider[0].region", "another cloud"),
        ("cloud = \"bedrock\"", "provider[0]", "needs a `region`"),
        ("cloud = \"bedrock\"\nregion = \"..\"", "provider[0].region", "not a name"),
        ("cloud = \"azure\"", "provider[0]", "missing field `base_url`"),
        ("cloud = \"oracle\"", "provider[0].cloud", "write one of azure, bedrock, bedrock-mantle, vertex"),
        ("base_url = \"https://h\"\nregion = \"eu\"", "provider[0].region", "it belongs to a `cloud`"),
    ] {
        let error = load(lines).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains(message), "{lines}: {error}");
    }
    for (lines, url) in [
        (
            "cloud = \"vertex\"\nproject = \"p\"\nlocation = \"eu\"",
            "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu",
        ),
        ("cloud = \"bedrock\"\nregion = \"us-east-1\"", "https://bedrock-runtime.us-east-1.amazonaws.com/"),
        ("cloud = \"bedrock-mantle\"\nregion = \"us-east-1\"", "https://bedrock-mantle.us-east-1.api.aws/"),
    ] {
        assert_eq!(load(lines).unwrap().provider("one").unwrap().base_url(), url);
    }
    let secret = "secret = { aws = { access_key_id = \"AKIA1\", secret_access_key = \"env:MISSING\" } }";
    let text = format!(
        "[[provider]]\nname = \"one\"\ncloud = \"bedrock\"\nregion = \"eu\"\n[[provider.key]]\n{secret}\n"
    );
    let error = Loader::new().vars([("PATH", "")]).parse(&text, Format::Toml).unwrap_err().to_string();
    assert!(error.contains("secret.aws.secret_access_key") && error.contains("MISSING"), "{error}");
}
