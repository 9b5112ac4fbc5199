//! Answers of the test's own, and the speed of tokens.

mod support;

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use serde_json::json;
use support::{CHAT, MESSAGES, Provider};
use tokio::time::Instant;
use tower::ServiceExt;
use tower_key_rotation_sim::{SimAnswer, Simulator};

#[tokio::test]
async fn an_answer_of_ones_own_is_sent() {
    let openai = Simulator::openai().respond(|request| format!("I am {}", request.model()));
    let openai = Provider::new(openai).await;
    let body = json!({"model": "gpt-4o", "messages": [], "stream": true});
    let events = openai.post(CHAT, body).await.events();
    let pieces = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    assert_eq!(pieces.collect::<Vec<_>>(), ["", "I ", "am ", "gpt-4o"]);

    let anthropic = Simulator::anthropic().respond(|_| SimAnswer::call("f", json!({"a": 1})));
    let anthropic = Provider::new(anthropic).await;
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": []});
    let message = anthropic.post(MESSAGES, body).await.ok();
    assert_eq!(message["content"][0]["input"], json!({"a": 1}));
    assert_eq!(message["stop_reason"], "tool_use");
}

#[tokio::test(start_paused = true)]
async fn tokens_come_at_the_given_speed() {
    let second = Duration::from_secs(1);
    let sim = Simulator::openai().key(("a", "k")).words(9).speed(3 * second, 2.0).build();
    let request = Request::post(CHAT).header("authorization", "Bearer k");
    let request = request.body(r#"{"model":"m","stream":true}"#.to_owned()).unwrap();
    let start = Instant::now();
    let response = sim.oneshot(request).await.unwrap();
    assert_eq!(Instant::now() - start, 3 * second);
    response.into_body().collect().await.unwrap();
    // Nine words, and an event before and two behind them.
    assert!((7 * second..10 * second).contains(&(Instant::now() - start)));
}
