//! The simulated provider as a service, on a paused clock.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::Value;
use tokio::time::{Instant, advance, timeout};
use tower::ServiceExt;
use tower_key_rotation_sim::{
    Latency, Limits, Refusal, Script, SimAccount, SimBody, SimDimension, SimError, SimFault, SimKey,
    Simulator,
};

const SECOND: Duration = Duration::from_secs(1);
const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const BODY: &str = r#"{"model":"m","messages":[]}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;

#[tokio::test(start_paused = true)]
async fn a_bucket_refills_as_stated() {
    let limits = Limits::new().requests_per_minute(2);
    let sim = Simulator::openai().key(SimKey::new("a", "sk-a").limits(limits)).build();
    let first = openai(&sim, "sk-a").await;
    assert_eq!(first.headers()["x-ratelimit-limit-requests"], "2");
    assert_eq!(first.headers()["x-ratelimit-remaining-requests"], "1");
    assert_eq!(first.headers()["x-ratelimit-reset-requests"], "30s");
    assert_eq!(openai(&sim, "sk-a").await.status(), 200);

    let refused = openai(&sim, "sk-a").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "30");
    assert_eq!(refused.headers()["retry-after-ms"], "30000");
    assert_eq!(refused.headers()["x-ratelimit-reset-requests"], "1m0s");
    let error = json(refused).await;
    assert_eq!(error["error"]["code"], "rate_limit_exceeded");
    assert!(message(&error).contains("Limit 2, Used 2, Requested 1."), "{error}");

    advance(30 * SECOND).await;
    assert_eq!(openai(&sim, "sk-a").await.status(), 200);
    assert_eq!(openai(&sim, "sk-a").await.status(), 429);
}

#[tokio::test(start_paused = true)]
async fn a_minute_can_be_short() {
    let key = SimKey::new("a", "sk-a").limits(Limits::new().requests_per_minute(1));
    let sim = Simulator::openai().key(key).minute(Duration::from_millis(600)).build();
    openai(&sim, "sk-a").await;
    assert_eq!(openai(&sim, "sk-a").await.headers()["retry-after-ms"], "600");
    advance(Duration::from_millis(600)).await;
    assert_eq!(openai(&sim, "sk-a").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_counted_and_a_giant_never_fits() {
    let limits = Limits::new().tokens_per_minute(20);
    let sim = Simulator::openai().key(SimKey::new("a", "sk-a").limits(limits)).build();
    assert_eq!(openai(&sim, "sk-a").await.status(), 200);
    let refused = json(openai(&sim, "sk-a").await).await;
    assert_eq!(refused["error"]["type"], "tokens");

    let giant = format!(r#"{{"model":"m","user":"{}"}}"#, "x".repeat(400));
    let refused = send(&sim, bearer(CHAT, "sk-a", &giant)).await.unwrap();
    assert!(!refused.headers().contains_key("retry-after"));
    assert!(message(&json(refused).await).starts_with("Request too large for m"));
}

#[tokio::test(start_paused = true)]
async fn an_organization_is_counted_once_for_all_its_keys() {
    let account = SimAccount::new("org").limits(Limits::new().requests_per_minute(2)).credit(1_000);
    let key = |label: &str| SimKey::new(label, format!("sk-{label}")).account("org");
    let sim = Simulator::openai().account(account).keys([key("a"), key("b")]).key(("c", "sk-c")).build();
    assert_eq!(openai(&sim, "sk-a").await.headers()["openai-organization"], "org");
    assert_eq!(openai(&sim, "sk-b").await.status(), 200);
    assert_eq!(openai(&sim, "sk-a").await.status(), 429);
    assert_eq!(openai(&sim, "sk-b").await.status(), 429);
    assert_eq!(openai(&sim, "sk-c").await.status(), 200);

    sim.account("org").set_limits(Limits::new());
    sim.key("a").account().set_credit(Some(0));
    assert_eq!(json(openai(&sim, "sk-b").await).await["error"]["code"], "insufficient_quota");
}

#[tokio::test(start_paused = true)]
async fn models_and_days_are_counted_apart() {
    let key = SimKey::new("a", "k").limits(Limits::new().requests_per_day(1));
    let sim = Simulator::gemini().key(key.model_limits("pro", Limits::new().requests_per_day(2))).build();
    let ask = |model| gemini(&sim, model, "generateContent");
    assert_eq!(ask("flash").await.status(), 200);
    assert_eq!(ask("flash").await.status(), 429);
    assert_eq!(ask("pro").await.status(), 200);
    assert_eq!(ask("pro").await.status(), 200);
    let refused = json(ask("pro").await).await;
    let violation = &refused["error"]["details"][0]["violations"][0];
    assert_eq!(violation["quotaId"], "GenerateRequestsPerDayPerProjectPerModel-FreeTier");
    assert_eq!(violation["quotaValue"], "2");
    assert_eq!(refused["error"]["details"][2]["retryDelay"], "8s");

    sim.new_day();
    assert_eq!(ask("flash").await.status(), 200);
    advance(86_400 * SECOND).await;
    assert_eq!(ask("flash").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn bad_keys_get_the_words_of_the_dialect() {
    let sim = Simulator::openai().key(SimKey::new("a", "sk-a").revoked()).build();
    assert_eq!(openai(&sim, "sk-a").await.status(), 401);
    let refused = openai(&sim, "sk-stranger-0123456789").await;
    assert!(!refused.headers().contains_key("openai-organization"));
    let refused = json(refused).await;
    assert_eq!(refused["error"]["code"], "invalid_api_key");
    assert!(message(&refused).contains(": sk-stran**********6789."), "{refused}");
    assert_eq!(sim.unknown_calls().with(StatusCode::UNAUTHORIZED), 1);
    assert_eq!(sim.key("a").calls(), 1);
    sim.key("a").restore();
    assert_eq!(openai(&sim, "sk-a").await.status(), 200);

    let sim = Simulator::anthropic().build();
    let refused = anthropic(&sim, "x", BODY).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(json(refused).await["error"]["type"], "authentication_error");

    let sim = Simulator::gemini().build();
    let refused = gemini(&sim, "m", "generateContent").await;
    assert_eq!(refused.status(), 400);
    assert_eq!(json(refused).await["error"]["details"][0]["reason"], "API_KEY_INVALID");
    let compatible = send(&sim, bearer("/v1beta/openai/chat/completions", "x", BODY)).await.unwrap();
    assert_eq!(message(&json(compatible).await[0]), "Please pass a valid API key");
}

#[tokio::test(start_paused = true)]
async fn money_and_models_are_refused_as_the_provider_does() {
    let sim = Simulator::anthropic().key(SimKey::new("a", "k").out_of_credit()).build();
    let refused = anthropic(&sim, "k", BODY).await;
    assert_eq!(refused.status(), 400);
    assert!(message(&json(refused).await).starts_with("Your credit balance is too low"));

    sim.account("a").set_credit(None);
    sim.key("a").forbid_model("m");
    assert_eq!(anthropic(&sim, "k", BODY).await.status(), 403);
    sim.key("a").allow_model("m");
    assert_eq!(anthropic(&sim, "k", BODY).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_log_shows_no_secret() {
    let sim = Simulator::anthropic().key(("a", "top-secret")).build();
    let mut request = native(MESSAGES, "x-api-key", "top-secret", BODY);
    request.headers_mut().insert("authorization", "Bearer sk-openai".parse().unwrap());
    request.headers_mut().insert("idempotency-key", "once".parse().unwrap());
    send(&sim, request).await.unwrap();
    anthropic(&sim, "top-secret", BODY).await;

    let log = sim.log();
    assert!(log[0].foreign_credentials && !log[1].foreign_credentials);
    assert_eq!(log[0].idempotency_key.as_deref(), Some("once"));
    assert!(log[0].body_complete);
    let printed = format!("{log:?} {sim:?} {:?} {:?}", sim.key("a"), SimKey::new("a", "top-secret"));
    assert!(!printed.contains("top-secret"), "{printed}");

    let sim = Simulator::gemini().key(("a", "k")).build();
    let path = "/v1beta/models/m:generateContent?key=k";
    let in_query = send(&sim, Request::post(path).body(BODY.into()).unwrap()).await.unwrap();
    assert_eq!(in_query.status(), 200);
    send(&sim, native(path, "x-goog-api-key", "k", BODY)).await.unwrap();
    let log = sim.log();
    assert!(!log[0].foreign_credentials && log[1].foreign_credentials);
    assert_eq!(log[0].path, "/v1beta/models/m:generateContent");
}

#[tokio::test(start_paused = true)]
async fn a_call_is_in_flight_until_its_body_is_gone() {
    let sim = openai_with(Script::new());
    let response = openai(&sim, "sk-a").await;
    assert_eq!((sim.in_flight(), sim.key("a").in_flight()), (1, 1));
    text(response).await.unwrap();
    assert_eq!((sim.in_flight(), sim.key("a").in_flight()), (0, 0));

    sim.script(SimFault::Silent);
    assert!(timeout(SECOND, send(&sim, bearer(CHAT, "sk-a", BODY))).await.is_err());
    assert_eq!(sim.in_flight(), 0);
    assert_eq!(sim.key("a").tally().unanswered, 1);
    sim.reset_counts();
    assert_eq!((sim.calls(), sim.log().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_cut_off_is_logged_as_such() {
    let sim = openai_with(Script::new());
    let frames = [Ok(Frame::data(Bytes::from("{"))), Err(std::io::Error::other("gone"))];
    let request = Request::post(CHAT).header("authorization", "Bearer sk-a");
    let request = request.body(StreamBody::new(futures_util::stream::iter(frames))).unwrap();
    assert!(sim.clone().oneshot(request).await.unwrap_err().is_request_body());

    let mut short = bearer(CHAT, "sk-a", BODY);
    short.headers_mut().insert("content-length", "1000".parse().unwrap());
    send(&sim, short).await.unwrap();
    assert!(sim.log().iter().all(|call| !call.body_complete && call.key.as_deref() == Some("a")));
    assert_eq!(sim.log()[0].status, None);
    assert_eq!(sim.key("a").tally().unanswered, 1);
}

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

fn openai_with(script: Script) -> Simulator {
    Simulator::openai().key(SimKey::new("a", "sk-a").script(script)).key(("b", "sk-b")).build()
}

fn bearer(path: &str, secret: &str, body: &str) -> Request<Full<Bytes>> {
    native(path, "authorization", &format!("Bearer {secret}"), body)
}

fn native(path: &str, header: &str, secret: &str, body: &str) -> Request<Full<Bytes>> {
    let post = Request::post(path).header(header, secret).header("anthropic-version", "2023-06-01");
    post.body(body.to_owned().into()).unwrap()
}

async fn send(sim: &Simulator, request: Request<Full<Bytes>>) -> Result<Response<SimBody>, SimError> {
    sim.clone().oneshot(request).await
}

async fn openai(sim: &Simulator, secret: &str) -> Response<SimBody> {
    send(sim, bearer(CHAT, secret, BODY)).await.unwrap()
}

async fn anthropic(sim: &Simulator, secret: &str, body: &str) -> Response<SimBody> {
    send(sim, native(MESSAGES, "x-api-key", secret, body)).await.unwrap()
}

async fn gemini(sim: &Simulator, model: &str, method: &str) -> Response<SimBody> {
    let path = format!("/v1beta/models/{model}:{method}");
    send(sim, native(&path, "x-goog-api-key", "k", BODY)).await.unwrap()
}

async fn text(response: Response<SimBody>) -> Result<String, SimError> {
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

async fn json(response: Response<SimBody>) -> Value {
    serde_json::from_str(&text(response).await.unwrap()).unwrap()
}

fn message(value: &Value) -> &str {
    value["error"]["message"].as_str().unwrap()
}

fn since(start: Instant) -> Duration {
    Instant::now().saturating_duration_since(start)
}
