//! A configuration that is loaded again by a running gateway.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::fs;

use axum::body::Body;
use http::StatusCode;
use http_body_util::BodyExt;
use support::running::{Running, provider};
use support::{Captured, MARKER, chat, header, post, secret};
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::pool::KeyState;
use tower_key_rotation_sim::{SimFault, SimKey, Simulator};

const STREAM: &str = r#"{"stream":true,"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;

#[tokio::test]
async fn a_new_key_is_used_and_the_others_keep_their_state() {
    let running = Running::start("keys", &["a", "b"]).await;
    running.sim.key("b").fail(1, SimFault::rate_limited(std::time::Duration::from_secs(60)));
    for _ in 0..4 {
        running.serve().await;
    }
    let before = running.calls().await;
    running.keys("", &["a", "b", "c"]).unwrap();
    let after = running.calls().await;
    assert_eq!((&after[..2], after[2].1), (&before[..], 0));
    let served = [running.serve().await, running.serve().await];
    assert!(
        served.contains(&"openai/c".to_owned()) && !served.contains(&"openai/b".to_owned()),
        "{served:?}"
    );
    running.keys("", &["a-2", "c"]).unwrap();
    let calls = running.calls().await;
    assert_eq!((&*calls[0].0, calls[0].1, &*calls[1].0), ("a", 0, "c"), "a replaced secret starts clean");
    assert_eq!(running.sim.key("a-2").calls(), 0);
}

#[tokio::test]
async fn a_broken_file_keeps_the_old_state_and_says_why() {
    let running = Running::start("broken", &["a", "b"]).await;
    running.serve().await;
    let before = running.calls().await;
    let origin = running.server.origin();
    for (broken, says) in [
        ("listen = 1 2".to_owned(), "gateway.toml"),
        (String::new(), "provider"),
        (provider(&origin, &["a", "a"]), "same secret"),
        (provider("ftp://nowhere", &["a", "c"]), "base_url"),
        (provider(&origin, &["a", "b", "c"]).replace("sk-", "env:NO_"), "name of a variable"),
    ] {
        let error = running.load(&broken).unwrap_err();
        assert!(error.contains(says) && !error.contains("sk-"), "{says}: {error}");
        assert_eq!(running.calls().await, before, "{says}");
    }
    fs::remove_file(&running.file).unwrap();
    running.gateway.reload(&running.loader, &running.file).unwrap_err();
    running.serve().await;
}

#[tokio::test]
async fn everything_but_the_listener_changes() {
    let running = Running::start("settings", &["a"]).await;
    let other = Simulator::openai().key(SimKey::new("z", secret("z"))).build();
    let server = other.serve().await.unwrap();
    let log = Captured::default();
    let _guard = log.install();

    running.keys("token = \"a-token-of-callers\"", &["a"]).unwrap();
    assert_eq!(running.send(chat("")).await.status(), StatusCode::UNAUTHORIZED);
    let second = provider(&server.origin(), &["z"]).replace("openai", "other\"\ndialect = \"openai");
    running.keys(&format!("[chain]\norder = [\"other\", \"openai\"]\n{second}"), &["a"]).unwrap();
    assert_eq!(running.serve().await, "other/z");
    let status = running.json("/status").await;
    assert_eq!(
        (status["chain"][0].as_str(), status["providers"].as_array().unwrap().len()),
        (Some("other"), 2)
    );
    running.keys("listen = \"127.0.0.1:1\"", &["a"]).unwrap();
    assert_eq!(running.serve().await, "openai/a");

    let text = log.text();
    for line in ["provider added", "provider removed", "restart the gateway"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains(MARKER), "{text}");
}

#[tokio::test]
async fn a_key_with_a_source_keeps_its_state_while_its_definition_stays() {
    let running = Running::start("source", &["a"]).await;
    let file = running.file.with_file_name("key");
    fs::write(&file, secret("b")).unwrap();
    let with = |before: &str, more: &str| {
        let head = "[[provider]]\nname = \"openai\"";
        let source = format!("{{ file = {:?}{more} }}", file.display().to_string());
        let origin = running.server.origin();
        running.load(&format!(
            "{before}\n{head}\nbase_url = \"{origin}/v1\"\n[[provider.key]]\nid = \"s\"\nsecret = {source}\n"
        ))
    };
    with("", "").unwrap();
    running.serve().await;
    with("[chain]\nmax_attempts = 3", "").unwrap();
    assert_eq!(running.calls().await, [("s".to_owned(), 1)]);
    running.serve().await;
    assert_eq!(running.calls().await, [("s".to_owned(), 2)]);
    with("", ", every = \"1h\"").unwrap();
    assert_eq!(running.calls().await, [("s".to_owned(), 0)], "another definition is another source");
    running.serve().await;
}

#[tokio::test]
async fn keys_keep_what_they_can_when_their_provider_has_other_settings() {
    let running = Running::start("kept", &["a", "b", "c"]).await;
    let pool = || running.gateway.config().providers()[0].pool().clone();
    let states = || pool().snapshot().keys.iter().map(|key| (key.state, key.forced)).collect::<Vec<_>>();
    pool().cool_down(&"b".into(), None, std::time::Duration::from_secs(600)).unwrap();
    pool().acquire(()).unwrap().fail(&Fault::new(Reason::InvalidKey, Scope::Key), None);
    pool().disable(&"c".into()).unwrap();
    let before = [(KeyState::Invalid, false), (KeyState::RateLimited, true), (KeyState::Disabled, false)];
    assert_eq!(states(), before);
    // A limit of its own: the pool is built anew, and nothing is forgotten.
    let table = provider(&running.server.origin(), &["a", "b", "c"]);
    running.load(&format!("{table}[[provider.limit]]\nrequests_per_day = 2\n")).unwrap();
    assert_eq!(states(), before);
    // Another address: refusals there may have been mistaken, orders of the operator are not.
    let other = running.sim.serve().await.unwrap();
    let table = provider(&other.origin(), &["a", "b", "c"]);
    running.load(&format!("{table}[[provider.limit]]\nrequests_per_day = 2\n")).unwrap();
    assert_eq!(running.serve().await, "openai/a");
    assert_eq!(states(), [(KeyState::Available, false), before[1], before[2]]);
    // The count of the day goes on after one more change.
    running.load(&format!("{table}[[provider.limit]]\nrequests_per_day = 1\n")).unwrap();
    assert_eq!(pool().usable(None), 0);
}

#[tokio::test]
async fn history_goes_on_after_a_reload() {
    let running = Running::start("history", &["a", "b"]).await;
    running.serve().await;
    running.keys("[chain]\nmax_attempts = 3", &["a", "b", "c"]).unwrap();
    let seen = || async {
        let history = running.json("/api/history").await;
        history.to_string().matches("\"added\"").count() == 1
    };
    while !seen().await {
        tokio::task::yield_now().await;
    }
    let usage = running.json("/api/usage").await.to_string();
    assert!(usage.contains("\"openai\""), "{usage}");
    assert_eq!(header(&running.send(chat("")).await, "x-attempts"), "1");
}

#[tokio::test]
async fn a_request_in_flight_ends_as_it_began() {
    let running = Running::start("flight", &["a"]).await;
    let response = running.send(post("/v1/chat/completions", Body::from(STREAM))).await;
    running.keys("[chain]\nmax_attempts = 3", &["c"]).unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("[DONE]"));
    assert_eq!(running.serve().await, "openai/c");
}
