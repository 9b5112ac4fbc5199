//! The simulated provider as a service, on a paused clock: limits, keys and its log.

mod support;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use support::direct::{
    BODY, SECOND, anthropic, bearer, gemini, json, message, native, openai, openai_with, send, text,
};
use support::{CHAT, MESSAGES};
use tokio::time::{advance, timeout};
use tower::ServiceExt;
use tower_key_rotation_sim::{Limits, Script, SimAccount, SimFault, SimKey, Simulator};

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
