//! Conversations of two accounts: reasoning that one account encrypted, resumed agents, and mixed calls under limits.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use support::{Gateway, Sims, header, post, secret, text};
use tower_key_rotation_sim::{Limits, SimKey, SimServer, Simulator};

const RESPONSES: &str = "/v1/responses";

/// Number of requests that an account serves in a day, in the test of mixed calls.
const PER_DAY: u32 = 400;

fn with(path: &str, body: &Value) -> Request<Body> {
    post(path, Body::from(body.to_string()))
}

/// A turn of an agent that keeps its history itself: nothing is stored, and reasoning is encrypted.
fn turn(input: &Value) -> Request<Body> {
    let include = ["reasoning.encrypted_content"];
    with(RESPONSES, &json!({"model": "gpt-5", "store": false, "include": include, "input": input}))
}

/// The next input: the output so far without its ids, and a new question.
fn continued(output: &Value) -> Value {
    let mut input = output.as_array().unwrap().clone();
    input.iter_mut().for_each(|item| drop(item.as_object_mut().unwrap().remove("id")));
    input.push(json!({"role": "user", "content": "more"}));
    input.into()
}

async fn json_of<B: http_body::Body<Error: std::fmt::Debug>>(response: Response<B>) -> Value {
    let status = response.status();
    let text = text(response).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn encrypted_reasoning_returns_to_its_account() {
    let gateway = Gateway::start(&Sims::new(), "").await;
    for number in 0..6 {
        let first = gateway.send(turn(&json!(format!("hi {number}")))).await;
        let home = header(&first, "x-served-by").to_owned();
        let mut input = continued(&json_of(first).await["output"]);
        assert_eq!(input[0]["type"], "reasoning");
        for _ in 0..3 {
            let next = gateway.send(turn(&input)).await;
            let served = (header(&next, "x-served-by").to_owned(), header(&next, "x-attempts").to_owned());
            assert_eq!(served, (home.clone(), "1".to_owned()), "conversation {number}");
            input = continued(&json_of(next).await["output"]);
        }
        // Other calls go to all keys.
        gateway.send(support::chat("")).await;
    }
}

#[tokio::test]
async fn encrypted_reasoning_in_a_stream_is_remembered() {
    let gateway = Gateway::start(&Sims::new(), "").await;
    for _ in 0..6 {
        let (head, body) = turn(&json!("hi")).into_parts();
        let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
        let mut body: Value = serde_json::from_slice(&body).unwrap();
        body["stream"] = true.into();
        let first = gateway.send(Request::from_parts(head, Body::from(body.to_string()))).await;
        let home = header(&first, "x-served-by").to_owned();
        let events = text(first).await;
        let last = events.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
        let last: Value = serde_json::from_str(last).unwrap();
        let next = gateway.send(turn(&continued(&last["response"]["output"]))).await;
        assert_eq!((next.status().as_u16(), header(&next, "x-served-by")), (200, &*home));
        assert_eq!(header(&next, "x-attempts"), "1");
    }
}

#[tokio::test]
async fn agents_resume_after_a_restart() {
    let sims = Sims::new();
    let before = Gateway::start(&sims, "").await;
    let mut agents = Vec::new();
    for number in 0..10 {
        let encrypted = continued(&json_of(before.send(turn(&json!("hi"))).await).await["output"]);
        let stored = with(RESPONSES, &json!({"model": "gpt-5", "input": format!("hi {number}")}));
        agents.push((encrypted, json_of(before.send(stored).await).await["id"].clone()));
    }
    before.stop().await.unwrap();
    let after = Gateway::start(&sims, "").await;
    for (number, (encrypted, id)) in agents.iter().enumerate() {
        // The other account is asked if the first one does not know it, and no key is out for that.
        json_of(after.send(turn(encrypted)).await).await;
        let next = json!({"model": "gpt-5", "input": "more", "previous_response_id": id});
        let next = after.send(with(RESPONSES, &next)).await;
        assert_eq!(next.status(), 200, "agent {number}");
    }
    for _ in 0..4 {
        assert_eq!(header(&after.send(support::chat("")).await, "x-attempts"), "1");
    }
    let status = text(after.send(Request::get("/api/key-status").body(Body::empty()).unwrap()).await).await;
    assert!(!status.contains("cooldown\":{"), "{status}");
}

/// A conversation: its latest response and history, with the keys that hold them.
#[derive(Default)]
struct Conversation {
    response: Option<(Value, String)>,
    history: Option<(Value, String)>,
    session: Option<String>,
}

/// Two accounts, behind a gateway.
struct Accounts {
    gateway: Gateway,
    openai: Simulator,
    _server: SimServer,
}

impl Accounts {
    async fn new() -> Self {
        let key = |name| SimKey::new(name, secret(name)).limits(Limits::new().requests_per_day(PER_DAY));
        let openai = Simulator::openai().keys(["a", "b"].map(key)).build();
        let server = openai.serve().await.unwrap();
        let keys = ["a", "b"]
            .map(|id| format!("[[provider.key]]\nid = \"{id}\"\nsecret = \"{}\"\n", secret(id)))
            .concat();
        let origin = server.origin();
        let text = format!("[[provider]]\nname = \"openai\"\nbase_url = \"{origin}/v1\"\n{keys}");
        Self { gateway: Gateway::at(&text).await, openai, _server: server }
    }

    fn served(&self, key: &str) -> u32 {
        self.openai.key(key).tally().with(StatusCode::OK).try_into().unwrap()
    }

    /// Sends a request that only `home` can serve, if there is one. Returns the key that served it.
    async fn ask(&self, request: Request<Body>, home: Option<&str>) -> Option<(Value, String)> {
        let response = self.gateway.send(request).await;
        let key = header(&response, "x-served-by").trim_start_matches("openai/").to_owned();
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            let full = |key: &str| self.served(key) == PER_DAY;
            assert!(home.map_or_else(|| full("a") && full("b"), full), "refused with room at {home:?}");
            return None;
        }
        if let Some(home) = home {
            assert_eq!((&*key, header(&response, "x-attempts")), (home, "1"), "not at its account");
        }
        Some((json_of(response).await, key))
    }

    /// A call of this conversation; `step` is its kind.
    async fn step(&self, conversation: &mut Conversation, step: usize, name: &str) {
        match step % 5 {
            0 => {
                let request = with(RESPONSES, &json!({"model": "gpt-5", "input": "hi"}));
                let made = self.ask(request, None).await;
                conversation.response = made.map(|(response, key)| (response["id"].clone(), key));
            }
            1 => {
                let Some((id, home)) = &conversation.response else { return };
                let body = json!({"model": "gpt-5", "input": "more", "previous_response_id": id});
                self.ask(with(RESPONSES, &body), Some(home)).await;
            }
            2 => {
                let (input, home) = match &conversation.history {
                    Some((input, home)) => (input.clone(), Some(home.as_str())),
                    None => (json!("hi"), None),
                };
                let made = self.ask(turn(&input), home).await;
                conversation.history = made.map(|(response, key)| (continued(&response["output"]), key));
            }
            3 => drop(self.ask(support::chat(""), None).await),
            _ => {
                let body = json!({"model": "gpt-4o", "messages": [], "prompt_cache_key": name});
                let Some((_, key)) = self.ask(with("/v1/chat/completions", &body), None).await else {
                    return;
                };
                let home = conversation.session.get_or_insert_with(|| key.clone());
                assert!(key == *home || self.served(home) == PER_DAY, "a session left its account");
            }
        }
    }
}

#[tokio::test]
async fn mixed_calls_stay_at_their_account_and_use_all_limits() {
    let accounts = Arc::new(Accounts::new().await);
    let conversations = (0..20).map(|number| {
        let accounts = Arc::clone(&accounts);
        tokio::spawn(async move {
            let mut conversation = Conversation::default();
            for step in 0..50 {
                accounts.step(&mut conversation, step + number, &format!("session-{number}")).await;
            }
        })
    });
    for ended in futures_util::future::join_all(conversations).await {
        ended.unwrap();
    }
    let served = accounts.served("a") + accounts.served("b");
    assert!(served * 100 >= 2 * PER_DAY * 95, "{served} of {}", 2 * PER_DAY);
    // Each account learned its limit from one refusal, or a few that were on their way; nothing was refused otherwise.
    for key in ["a", "b"] {
        let tally = accounts.openai.key(key).tally();
        assert_eq!(tally.with(StatusCode::BAD_REQUEST) + tally.with(StatusCode::NOT_FOUND), 0, "{key}");
    }
}

/// A step of Google's resumable upload, without a token unless there is one.
fn step(uri: &str, command: &str, token: Option<&str>) -> Request<Body> {
    let request = Request::post(uri).header("x-goog-upload-command", command);
    let request = token.into_iter().fold(request, |request, token| request.header("x-goog-api-key", token));
    request.body(Body::from("{}")).unwrap()
}

#[tokio::test]
async fn an_upload_that_was_begun_needs_no_token() {
    let gateway = Gateway::start(&Sims::new(), "token = \"a-token-of-callers\"\n").await;
    for path in ["/gemini/upload/v1beta/files", "/upload/v1/files"] {
        assert_eq!(gateway.send(step(path, "start", None)).await.status(), 401);
        let begun = gateway.send(step(path, "start", Some("a-token-of-callers"))).await;
        let next: http::Uri = header(&begun, "x-goog-upload-url").parse().unwrap();
        let next = next.path_and_query().unwrap().as_str();
        for (foreign, status) in [
            (next.replace("upload_id=upload-", "upload_id=upload-1"), 401),
            (next.replace("/files", "/other"), 401),
            (next.replace("_protocol=resumable", "_protocol=raw"), 401),
            (next.to_owned(), 200),
        ] {
            let response = gateway.send(step(&foreign, "upload, finalize", None)).await;
            assert_eq!(response.status(), status, "{foreign}");
        }
    }
}
