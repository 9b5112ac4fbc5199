//! Streams, tools and faults of the simulated provider, on a paused clock.

mod support;

use std::time::Duration;

use http::{Request, StatusCode};
use http_body::Body as _;
use serde_json::Value;
use support::CHAT;
use support::direct::{
    BODY, SECOND, STREAM, anthropic, bearer, gemini, json, openai, openai_with, send, since, text,
};
use tokio::time::{Instant, advance, timeout};
use tower_key_rotation_sim::{Latency, Refusal, Script, SimDimension, SimFault, Simulator};

#[tokio::test(start_paused = true)]
async fn openai_streams_end_properly() {
    let sim = openai_with(Script::new());
    let response = send(&sim, bearer(CHAT, "sk-a", STREAM)).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let stream = text(response).await.unwrap();
    assert!(stream.contains(r#""content":"The""#) && stream.contains(r#""model":"m""#));
    let events: Vec<_> = stream.split_terminator("\n\n").collect();
    assert_eq!(events.last(), Some(&"data: [DONE]"));
    let usage: Value = serde_json::from_str(&events[events.len() - 2]["data: ".len()..]).unwrap();
    assert_eq!(usage["usage"]["completion_tokens"], 9);
    assert_eq!(usage["choices"].as_array().unwrap().len(), 0);

    let response = send(&sim, bearer("/v1/responses", "sk-a", STREAM)).await.unwrap();
    let stream = text(response).await.unwrap();
    assert!(stream.starts_with("event: response.created\ndata: "));
    assert!(stream.contains("event: response.output_text.delta"));
    let last = stream.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.starts_with("event: response.completed") && last.contains(r#""output_tokens":9"#));
}

#[tokio::test(start_paused = true)]
async fn anthropic_streams_name_every_event() {
    let sim = Simulator::anthropic().key(("a", "k")).words(2).build();
    let stream = anthropic(&sim, "k", STREAM).await;
    assert!(stream.headers()["anthropic-ratelimit-requests-reset"].to_str().unwrap().ends_with('Z'));
    let stream = text(stream).await.unwrap();
    let names: Vec<_> = stream.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let delta = "content_block_delta";
    assert_eq!(names[..5], ["message_start", "content_block_start", "ping", delta, delta]);
    assert_eq!(names[5..], ["content_block_stop", "message_delta", "message_stop"]);
}

#[tokio::test(start_paused = true)]
async fn gemini_streams_as_events_or_as_an_array() {
    let sim = Simulator::gemini().key(("a", "k")).build();
    let events = text(gemini(&sim, "m", "streamGenerateContent?alt=sse").await).await.unwrap();
    assert_eq!(events.matches("data: ").count(), 10);
    assert!(events.trim_end().rsplit("\n\n").next().unwrap().contains(r#""finishReason":"STOP""#));
    let array = json(gemini(&sim, "m", "streamGenerateContent").await).await;
    assert_eq!(array.as_array().unwrap().len(), 10);
    assert_eq!(array[9]["usageMetadata"]["candidatesTokenCount"], 9);
    assert!(sim.log().iter().all(|call| call.streamed && call.model.as_deref() == Some("m")));
}

#[tokio::test(start_paused = true)]
async fn a_tool_is_called_once() {
    let sim = openai_with(Script::new());
    let ask = async |messages: &str| {
        let tools = r#"[{"type":"function","function":{"name":"look_up"}}]"#;
        let body = format!(r#"{{"model":"m","messages":{messages},"tools":{tools}}}"#);
        json(send(&sim, bearer(CHAT, "sk-a", &body)).await.unwrap()).await
    };
    let called = ask("[]").await;
    assert_eq!(called["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "look_up");
    assert_eq!(called["choices"][0]["finish_reason"], "tool_calls");
    let answered = ask(r#"[{"role":"tool","content":"1"}]"#).await;
    assert_eq!(answered["choices"][0]["finish_reason"], "stop");
}

#[tokio::test(start_paused = true)]
async fn the_smaller_endpoints_respond() {
    let sim = openai_with(Script::new());
    let body = r#"{"model":"embed","input":["a","b"]}"#;
    let embeddings = json(send(&sim, bearer("/v1/embeddings", "sk-a", body)).await.unwrap()).await;
    assert_eq!(embeddings["data"].as_array().unwrap().len(), 2);
    let get = Request::get("/v1/models").header("authorization", "Bearer sk-a");
    assert_eq!(send(&sim, get.body("".into()).unwrap()).await.unwrap().status(), 200);
    assert_eq!(send(&sim, bearer("/v1/nothing", "sk-a", BODY)).await.unwrap().status(), 404);
    assert_eq!(send(&sim, bearer(CHAT, "sk-a", "no json")).await.unwrap().status(), 400);

    let sim = Simulator::gemini().key(("a", "k")).build();
    let counted = json(gemini(&sim, "m", "countTokens").await).await;
    assert_eq!(counted["totalTokens"], BODY.len() / 4);
    let embedded = json(gemini(&sim, "m", "embedContent").await).await;
    assert!(embedded["embedding"]["values"].is_array());
}

#[tokio::test(start_paused = true)]
async fn compatible_endpoints_have_their_own_errors() {
    let sim = Simulator::anthropic().key(("a", "k")).build();
    sim.key("a").fail(1, SimFault::rate_limited(2 * SECOND));
    let refused = send(&sim, bearer(CHAT, "k", BODY)).await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "2");
    let refused = json(refused).await;
    assert_eq!(refused["error"]["code"], "rate_limit_error");
    assert_eq!(refused["error"]["type"], "invalid_request_error");
    let served = json(send(&sim, bearer(CHAT, "k", BODY)).await.unwrap()).await;
    assert_eq!(served["object"], "chat.completion");
}

#[tokio::test(start_paused = true)]
async fn scripts_run_per_key_and_for_the_whole_provider() {
    let sim = openai_with(Script::new().then(SimFault::rate_limited(2 * SECOND)).then(SimFault::status(503)));
    let first = openai(&sim, "sk-a").await;
    assert_eq!(first.status(), 429);
    assert_eq!(first.headers()["retry-after"], "2");
    assert_eq!(openai(&sim, "sk-a").await.status(), 503);
    assert_eq!(openai(&sim, "sk-a").await.status(), 200);

    sim.fail(2, SimFault::status(529));
    assert_eq!(openai(&sim, "sk-b").await.status(), 529);
    assert_eq!(openai(&sim, "nobody").await.status(), 529);
    assert_eq!(openai(&sim, "sk-b").await.status(), 200);
    assert_eq!(sim.tally().by_status.values().sum::<u64>(), 6);

    let bad_gateway = SimFault::Gateway(StatusCode::BAD_GATEWAY);
    sim.script(Script::flapping(bad_gateway, SECOND, SECOND));
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(openai(&sim, "sk-a").await.status().as_u16());
        advance(SECOND).await;
    }
    assert_eq!(seen, [200, 502, 200, 502]);
}

#[tokio::test(start_paused = true)]
async fn transport_faults_look_like_a_socket() {
    let sim = openai_with(Script::new().then(SimFault::Reset).then(SimFault::Refused));
    let reset = send(&sim, bearer(CHAT, "sk-a", BODY)).await.unwrap_err();
    assert!(reset.is_reset());
    let source = std::error::Error::source(&reset).unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(source.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(send(&sim, bearer(CHAT, "sk-a", BODY)).await.unwrap_err().is_refused());
    assert_eq!(sim.tally().unanswered, 2);
    assert_eq!(sim.log()[0].fault, Some(SimFault::Reset));
}

#[tokio::test(start_paused = true)]
async fn latency_delays_responses() {
    let sim = openai_with(Script::new().then(SimFault::SlowHead(SECOND)).then(SimFault::SlowContent(SECOND)));
    sim.set_latency(Latency::Uniform(10 * SECOND..20 * SECOND));
    let start = Instant::now();
    openai(&sim, "sk-a").await;
    assert!((11 * SECOND..21 * SECOND).contains(&since(start)), "{:?}", since(start));

    sim.set_latency(Latency::None);
    let start = Instant::now();
    let response = send(&sim, bearer(CHAT, "sk-a", STREAM)).await.unwrap();
    assert_eq!(since(start), Duration::ZERO);
    text(response).await.unwrap();
    assert!((SECOND..2 * SECOND).contains(&since(start)));
}

#[tokio::test(start_paused = true)]
async fn streams_break_at_the_scripted_point() {
    let sim = openai_with(Script::new());
    let broken = async |fault: SimFault| {
        sim.key("a").fail(1, fault);
        text(send(&sim, bearer(CHAT, "sk-a", STREAM)).await.unwrap()).await
    };
    let cut = broken(SimFault::Cut { after: 2, reset: false }).await.unwrap();
    assert!(cut.contains(" quick") && !cut.contains(" brown") && !cut.contains("[DONE]"), "{cut}");
    assert!(broken(SimFault::Cut { after: 2, reset: true }).await.unwrap_err().is_reset());

    let error = broken(SimFault::overloaded_in_stream()).await.unwrap();
    assert!(error.contains(r#"data: {"error":"#) && !error.contains(r#""content":"The""#), "{error}");
    let late = SimFault::ErrorEvent { after: 100, refusal: Refusal::ServerError };
    assert!(broken(late).await.unwrap().contains(" dog"));

    let unended = broken(SimFault::NoTerminator).await.unwrap();
    assert!(unended.contains(r#""finish_reason":"stop""#) && !unended.contains("[DONE]"));
    let malformed = broken(SimFault::Malformed { after: 1 }).await.unwrap();
    let events = malformed.split_terminator("\n\n").filter(|event| *event != "data: [DONE]");
    let bad = events.filter(|it| serde_json::from_str::<Value>(&it["data: ".len()..]).is_err());
    assert_eq!(bad.count(), 1);
    assert!(malformed.ends_with("data: [DONE]\n\n"));
    assert!(timeout(SECOND, broken(SimFault::Stall { after: 1 })).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn every_dialect_reports_errors_inside_streams() {
    let fault = Script::always(SimFault::overloaded_in_stream());
    let sim = Simulator::anthropic().key(("a", "k")).script(fault.clone()).build();
    let native = anthropic(&sim, "k", STREAM).await;
    assert_eq!(native.status(), 200);
    assert!(text(native).await.unwrap().contains("event: error\ndata: "));

    let sim = Simulator::gemini().key(("a", "k")).script(fault.clone()).build();
    let events = text(gemini(&sim, "m", "streamGenerateContent?alt=sse").await).await.unwrap();
    assert!(events.contains(r#""status":"UNAVAILABLE""#));
    for after in [0, 2] {
        sim.script(SimFault::ErrorEvent { after, refusal: Refusal::ServerError });
        let array = json(gemini(&sim, "m", "streamGenerateContent").await).await;
        assert_eq!(array[after]["error"]["status"], "INTERNAL");
    }

    let sim = openai_with(fault);
    let failed = send(&sim, bearer("/v1/responses", "sk-a", STREAM)).await.unwrap();
    let failed = text(failed).await.unwrap();
    assert!(failed.contains("event: response.failed") && failed.contains("server_is_overloaded"));
}

#[tokio::test(start_paused = true)]
async fn the_edge_responds_in_its_own_way() {
    let sim = openai_with(Script::new());
    let failed = async |fault: SimFault| {
        sim.fail(1, fault);
        openai(&sim, "sk-a").await
    };
    let page = failed(SimFault::Gateway(StatusCode::BAD_GATEWAY)).await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=UTF-8");
    assert!(text(page).await.unwrap().contains("<title>502 Bad Gateway</title>"));
    let challenge = failed(SimFault::Gateway(StatusCode::FORBIDDEN)).await;
    assert_eq!(challenge.headers()["cf-mitigated"], "challenge");
    drop(challenge);

    let empty = failed(SimFault::Empty(StatusCode::SERVICE_UNAVAILABLE)).await;
    assert!(empty.body().is_end_stream() && sim.in_flight() == 0);
    let huge = failed(SimFault::Huge(StatusCode::BAD_REQUEST, 10_000_000)).await;
    assert_eq!(huge.body().size_hint().exact(), Some(10_000_000));
    assert!(json(huge).await["error"]["message"].is_string());
    let moved = failed(SimFault::Redirect("https://elsewhere.example".into())).await;
    assert_eq!(moved.status(), 307);
    assert_eq!(moved.headers()["location"], "https://elsewhere.example/v1/chat/completions");
}

#[tokio::test(start_paused = true)]
async fn refusals_of_the_request_itself_use_the_providers_codes() {
    let sim = openai_with(Script::new());
    sim.fail(1, Refusal::ContextLength);
    assert_eq!(json(openai(&sim, "sk-a").await).await["error"]["code"], "context_length_exceeded");
    sim.fail(1, Refusal::ContentFilter);
    assert_eq!(openai(&sim, "sk-a").await.status(), 400);

    let sim = Simulator::gemini().key(("a", "k")).build();
    sim.fail(1, Refusal::ContentFilter);
    let filtered = gemini(&sim, "m", "generateContent").await;
    assert_eq!(filtered.status(), 200);
    assert!(json(filtered).await["candidates"].is_null());
    let retry_after = Some(Duration::from_millis(3_250));
    sim.fail(1, Refusal::RateLimited { dimension: SimDimension::Tokens, retry_after });
    let refused = json(gemini(&sim, "m", "generateContent").await).await;
    assert_eq!(refused["error"]["details"][2]["retryDelay"], "3.25s");
}
