//! Objects that a provider keeps for an account: requests that name one go to its account, at each endpoint.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use support::stub::{Stub, StubCall, reply};
use support::{Gateway, header, post};

/// A call that makes an object, the form of its id, and calls that name the object: method, path and body, with `ID` in
/// place of the id.
type Object = (&'static str, &'static str, &'static [(&'static str, &'static str, &'static str)]);

/// What the gateway learns from responses.
const LEARNED: [Object; 29] = [
    (
        "/v1/uploads",
        "upload_N",
        &[("POST", "/v1/uploads/ID/parts", ""), ("POST", "/v1/uploads/ID/complete", "")],
    ),
    (
        "/v1/files",
        "file-N",
        &[
            ("GET", "/v1/files/ID/content", ""),
            ("DELETE", "/v1/files/ID", ""),
            ("GET", "/v1/files?after=ID&limit=2", ""),
            ("POST", "/v1/batches", r#"{"input_file_id":"ID"}"#),
            ("POST", "/v1/fine_tuning/jobs", r#"{"training_file":"ID"}"#),
            ("POST", "/v1/responses", r#"{"input":[{"content":[{"type":"input_file","file_id":"ID"}]}]}"#),
        ],
    ),
    (
        "/v1/vector_stores",
        "vs_N",
        &[
            ("POST", "/v1/vector_stores/ID/search", "{}"),
            ("POST", "/v1/responses", r#"{"tools":[{"type":"file_search","vector_store_ids":["ID"]}]}"#),
        ],
    ),
    (
        "/v1/vector_stores/vs_0/file_batches",
        "vsfb_N",
        &[("GET", "/v1/vector_stores/vs_0/file_batches/ID", "")],
    ),
    ("/v1/assistants", "asst_N", &[("POST", "/v1/threads/runs", r#"{"assistant_id":"ID"}"#)]),
    (
        "/v1/threads",
        "thread_N",
        &[("POST", "/v1/threads/ID/messages", "{}"), ("GET", "/v1/threads/ID/runs", "")],
    ),
    ("/v1/fine_tuning/jobs", "ftjob-N", &[("GET", "/v1/fine_tuning/jobs/ID/events?limit=1", "")]),
    ("/v1/evals", "eval_N", &[("POST", "/v1/evals/ID/runs", "{}")]),
    (
        "/v1/containers",
        "cntr_N",
        &[
            ("GET", "/v1/containers/ID/files", ""),
            ("POST", "/v1/responses", r#"{"tools":[{"type":"code_interpreter","container":"ID"}]}"#),
        ],
    ),
    ("/v1/videos", "video_N", &[("GET", "/v1/videos/ID/content", ""), ("POST", "/v1/videos/ID/remix", "{}")]),
    ("/v1/batches", "batch_N", &[("POST", "/v1/batches/ID/cancel", "")]),
    (
        "/v1/conversations",
        "conv_N",
        &[
            ("POST", "/v1/conversations/ID/items", "{}"),
            ("POST", "/v1/responses", r#"{"conversation":{"id":"ID"}}"#),
            ("POST", "/v1/responses", r#"{"conversation":"ID"}"#),
        ],
    ),
    (
        "/v1/responses",
        "resp_N",
        &[
            ("POST", "/v1/responses", r#"{"previous_response_id":"ID"}"#),
            ("POST", "/v1/responses/ID/cancel", ""),
            ("GET", "/v1/responses/ID?stream=true&starting_after=3", ""),
        ],
    ),
    (
        "/v1/responses",
        "msg_N",
        &[("POST", "/v1/responses", r#"{"input":[{"type":"item_reference","id":"ID"}]}"#)],
    ),
    ("/v1/skills", "skill_N", &[("GET", "/v1/skills/ID/versions", "")]),
    ("/v1/chatkit/sessions", "cksess_N", &[("POST", "/v1/chatkit/sessions/ID/cancel", "")]),
    ("/v1/realtime/calls", "rtc_N", &[("POST", "/v1/realtime/calls/ID/hangup", "")]),
    (
        "/anthropic/v1/messages/batches",
        "msgbatch_N",
        &[("GET", "/anthropic/v1/messages/batches/ID/results", "")],
    ),
    (
        "/anthropic/v1/files",
        "file_N",
        &[
            ("GET", "/anthropic/v1/files/ID/content", ""),
            (
                "POST",
                "/anthropic/v1/messages",
                r#"{"messages":[{"content":[{"source":{"type":"file","file_id":"ID"}}]}]}"#,
            ),
        ],
    ),
    (
        "/anthropic/v1/skills",
        "skill_N",
        &[
            ("GET", "/anthropic/v1/skills/ID/versions/1759178010641129", ""),
            (
                "POST",
                "/anthropic/v1/messages",
                r#"{"container":{"skills":[{"type":"custom","skill_id":"ID"}]}}"#,
            ),
        ],
    ),
    ("/anthropic/v1/agents", "agent_N", &[("POST", "/anthropic/v1/sessions", r#"{"agent":"ID"}"#)]),
    ("/anthropic/v1/sessions", "sesn_N", &[("POST", "/anthropic/v1/sessions/ID/events", "{}")]),
    (
        "/gemini/v1beta/cachedContents",
        "cachedContents/N",
        &[
            ("PATCH", "/gemini/v1beta/ID", "{}"),
            ("POST", "/gemini/v1beta/models/g:generateContent", r#"{"cachedContent":"ID"}"#),
        ],
    ),
    (
        "/gemini/upload/v1beta/files",
        "files/N",
        &[
            ("GET", "/gemini/v1beta/ID", ""),
            ("GET", "/gemini/v1beta/ID:download?alt=media", ""),
            (
                "POST",
                "/gemini/v1beta/models/g:generateContent",
                r#"{"fileUri":"https://g.example/v1beta/ID"}"#,
            ),
        ],
    ),
    (
        "/gemini/v1beta/fileSearchStores",
        "fileSearchStores/N",
        &[
            ("POST", "/gemini/upload/v1beta/ID:uploadToFileSearchStore", "{}"),
            ("GET", "/gemini/v1beta/ID/documents/d1", ""),
            (
                "POST",
                "/gemini/v1beta/models/g:generateContent",
                r#"{"tools":[{"fileSearch":{"fileSearchStoreNames":["ID"]}}]}"#,
            ),
        ],
    ),
    (
        "/gemini/v1beta/models/g:batchGenerateContent",
        "batches/N",
        &[("POST", "/gemini/v1beta/ID:cancel", "")],
    ),
    (
        "/gemini/v1beta/models/veo:predictLongRunning",
        "models/veo/operations/N",
        &[("GET", "/gemini/v1beta/ID", "")],
    ),
    ("/gemini/v1beta/tunedModels", "tunedModels/N", &[("POST", "/gemini/v1beta/ID:generateContent", "{}")]),
    ("/v1beta/cachedContents", "cachedContents/N", &[("GET", "/v1beta/ID", "")]),
];

/// What the gateway does not learn: an account that lacks it costs one call.
const UNKNOWN: [Object; 6] = [
    ("/v1/things", "b7c0a1d2-N", &[("GET", "/v1/things/ID", ""), ("DELETE", "/v1/things/ID/parts/2", "")]),
    ("/v1/things", "pmpt_N", &[("POST", "/v1/responses", r#"{"prompt":{"id":"ID"}}"#)]),
    ("/v1/things", "whatever_N", &[("POST", "/v1/responses", r#"{"tools":[{"thing":"ID"}]}"#)]),
    ("/v1/chat/completions", "chatcmpl-N", &[("GET", "/v1/chat/completions/ID", "")]),
    ("/anthropic/v1/messages", "container_N", &[("POST", "/anthropic/v1/messages", r#"{"container":"ID"}"#)]),
    (
        "/gemini/v1beta/interactions",
        "v1_N",
        &[
            ("GET", "/gemini/v1beta/interactions/ID", ""),
            ("POST", "/gemini/v1beta/interactions", r#"{"previous_interaction_id":"ID"}"#),
        ],
    ),
];

/// The account of each object, by its id.
type Owners = Arc<Mutex<HashMap<String, String>>>;

/// A provider with two accounts, which says of the other's objects that they do not exist.
async fn accounts(owners: &Owners) -> (Stub, Gateway) {
    let kept = Arc::clone(owners);
    let stub = Stub::with(move |call| respond(call, &mut kept.lock().unwrap())).await;
    let keys = ["a-1", "b-1"];
    let tables = stub.providers(&[("openai", &keys), ("anthropic", &keys), ("gemini", &keys)]);
    let gateway = Gateway::at(&format!("[chain]\norder = [\"openai\"]\n{tables}")).await;
    (stub, gateway)
}

fn respond(call: &StubCall, owners: &mut HashMap<String, String>) -> Response<Body> {
    let text = format!("{} {}", call.path, String::from_utf8_lossy(&call.body));
    if let Some(made) = call.headers.get("x-make") {
        let id = made.to_str().unwrap().to_owned();
        owners.insert(id.clone(), call.key.clone());
        let mut response = reply(200, &json!({"id": id, "name": id}));
        if call.path.ends_with("/calls") {
            // A session description, whose call has its id in a header only.
            response.headers_mut().insert("content-type", "application/sdp".parse().unwrap());
            *response.body_mut() = Body::from("v=0");
            response.headers_mut().insert("location", format!("/v1/realtime/calls/{id}").parse().unwrap());
        }
        return response;
    }
    let Some((id, owner)) = owners.iter().find(|(id, _)| text.contains(&***id)) else {
        return reply(200, &json!({"ok": true}));
    };
    match call.path.contains("v1beta") {
        _ if *owner == call.key => reply(200, &json!({"ok": true})),
        true => reply(
            403,
            &json!({"error": {"code": 403, "status": "PERMISSION_DENIED",
            "message": format!("You do not have permission to access the {id} or it may not exist.")}}),
        ),
        false => reply(
            404,
            &json!({"type": "error", "error": {"type": "not_found_error", "code": null,
            "message": format!("No such object: '{id}' was not found")}}),
        ),
    }
}

fn request((method, path, body): (&str, &str, &str), id: &str) -> Request<Body> {
    let (path, body) = (path.replace("ID", id), body.replace("ID", id));
    let request = Request::builder().method(method.parse::<Method>().unwrap()).uri(path);
    request.header("content-type", "application/json").body(Body::from(body)).unwrap()
}

/// Makes an object with each account, and names it. Returns the largest number of calls for one request.
async fn name(gateway: &Gateway, (create, form, requests): Object, serial: &mut u32) -> u32 {
    let mut most = 0;
    for _ in 0..4 {
        *serial += 1;
        let id = form.replace('N', &format!("68a1b2c3d4e5{serial:04}"));
        let mut made = post(create, Body::from("{}"));
        made.headers_mut().insert("x-make", id.parse().unwrap());
        let made = gateway.send(made).await;
        let home = header(&made, "x-served-by").to_owned();
        support::text(made).await;
        for naming in requests {
            let response = gateway.send(request(*naming, &id)).await;
            let (status, served) = (response.status(), header(&response, "x-served-by").to_owned());
            assert_eq!((status.as_u16(), &served), (200, &home), "{naming:?} of {id}");
            most = most.max(header(&response, "x-attempts").parse().unwrap());
        }
    }
    most
}

#[tokio::test]
async fn an_object_is_asked_for_at_its_account() {
    let owners = Owners::default();
    let (_stub, gateway) = accounts(&owners).await;
    let mut serial = 0;
    for object in LEARNED {
        assert_eq!(name(&gateway, object, &mut serial).await, 1, "{} of {}", object.1, object.0);
    }
}

#[tokio::test]
async fn an_object_of_an_unknown_kind_is_asked_for_everywhere() {
    let owners = Owners::default();
    let (_stub, gateway) = accounts(&owners).await;
    let mut serial = 0;
    for object in UNKNOWN {
        assert_eq!(name(&gateway, object, &mut serial).await, 2, "{} of {}", object.1, object.0);
    }
    // No key is out for that.
    for path in ["/v1/chat/completions", "/anthropic/v1/messages", "/gemini/v1beta/models/g:generateContent"]
    {
        for _ in 0..4 {
            let response = gateway.send(post(path, Body::from("{}"))).await;
            assert_eq!((response.status().as_u16(), header(&response, "x-attempts")), (200, "1"), "{path}");
        }
    }
}

#[tokio::test]
async fn after_a_restart_the_accounts_are_asked() {
    let owners = Owners::default();
    let (stub, before) = accounts(&owners).await;
    let mut serial = 0;
    for object in LEARNED {
        name(&before, object, &mut serial).await;
    }
    let keys = ["a-1", "b-1"];
    let tables = stub.providers(&[("openai", &keys), ("anthropic", &keys), ("gemini", &keys)]);
    let after = Gateway::at(&format!("[chain]\norder = [\"openai\"]\n{tables}")).await;
    let ids: Vec<String> = owners.lock().unwrap().keys().cloned().collect();
    for (_, form, requests) in LEARNED {
        let (start, _) = form.split_once('N').unwrap();
        let provider = |path: &str| path.split('/').nth(1).unwrap_or_default().to_owned();
        for id in
            ids.iter().filter(|id| id.strip_prefix(start).is_some_and(|it| !it.contains(['_', '/']))).take(4)
        {
            for naming in requests {
                let response = after.send(request(*naming, id)).await;
                assert_eq!(response.status(), 200, "{naming:?} of {id} at {}", provider(naming.1));
            }
        }
    }
}

#[tokio::test]
async fn tools_named_like_ids_bind_no_request() {
    let stub = Stub::start().await;
    let tables = stub.providers(&[("openai", &["limited-1"]), ("anthropic", &["fine-1"])]);
    let gateway = Gateway::at(&tables).await;
    for name in ["run_command", "file_search", "run_shell_command", "thread_summary", "batch_update_2"] {
        let tool = json!({"type": "function", "function": {"name": name}});
        let body: Value = json!({"model": "m", "messages": [], "tools": [tool]});
        let response = gateway.send(post("/v1/chat/completions", Body::from(body.to_string()))).await;
        assert_eq!(header(&response, "x-served-by"), "anthropic/k0", "{name}");
    }
}
