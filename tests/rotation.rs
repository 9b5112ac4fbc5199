//! Rotating keys inside one request, against a simulated provider on a paused clock.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use support::{all_keys_failed, chat, chat_stream, key, openai, pool, rotating, send, served, text};
use tokio::time::{Instant, advance};
use tower::Layer;
use tower_key_rotation::classify::{Reason, Scope};
use tower_key_rotation::pool::{KeySnapshot, KeyState};
use tower_key_rotation::{Deadline, KeyRotationLayer, Session, StopReason};
use tower_key_rotation_sim::{Limits, Refusal, Script, SimFault};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn one_request_passes_three_bad_keys() {
    let sim = openai([
        key("limited").script(Script::always(SimFault::rate_limited(20 * SECOND))),
        key("revoked").revoked(),
        key("empty").out_of_credit(),
        key("good"),
    ]);
    let pool = pool(&["limited", "revoked", "empty", "good"]);
    let service = rotating(&pool, &sim);
    let began = Instant::now();

    let response = send(&service, chat("gpt-4o")).await.unwrap();

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(began.elapsed_ms(), 0, "no sleep while a free key exists");
    let served = served(&response);
    assert_eq!(served.key_id().as_str(), "good");
    let reasons: Vec<_> = served.attempts().iter().map(|attempt| attempt.fault.reason()).collect();
    assert_eq!(reasons, [Reason::RateLimited, Reason::InvalidKey, Reason::QuotaExceeded]);
    let snapshot = pool.snapshot();
    let states: Vec<_> = snapshot.keys.iter().map(|key| key.state).collect();
    assert_eq!(states[1..], [KeyState::Invalid, KeyState::QuotaExceeded, KeyState::Available]);
    assert_eq!(snapshot.keys[0].models[0].state, KeyState::RateLimited, "for this model only");

    for _ in 0..10 {
        assert_eq!(support::served(&send(&service, chat("gpt-4o")).await.unwrap()).key_id().as_str(), "good");
    }
    for label in ["limited", "revoked", "empty"] {
        assert_eq!(sim.key(label).calls(), 1, "{label} is remembered");
    }
}

#[tokio::test(start_paused = true)]
async fn no_key_is_tried_twice_in_one_request() {
    let limited = |label| key(label).script(Script::always(SimFault::rate_limited(SECOND)));
    let sim = openai([limited("a"), limited("b"), limited("c")]);
    let pool = pool(&["a", "b", "c"]);

    let failed = all_keys_failed(send(&rotating(&pool, &sim), chat("m")).await.unwrap_err());

    assert_eq!(failed.stop_reason(), StopReason::Exhausted);
    let tried: Vec<_> =
        failed.attempts().iter().map(|attempt| attempt.key.as_ref().unwrap().as_str().to_owned()).collect();
    assert_eq!(tried, ["a", "b", "c"]);
    assert_eq!(sim.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_pool_fails_at_once() {
    let sim = openai([
        key("a").script(Script::always(SimFault::rate_limited(30 * SECOND))),
        key("b").script(Script::always(SimFault::rate_limited(12 * SECOND))),
    ]);
    let service = rotating(&pool(&["a", "b"]), &sim);
    let first = all_keys_failed(send(&service, chat("m")).await.unwrap_err());
    assert_eq!(first.retry_after(), Some(12 * SECOND));

    tokio::time::advance(5 * SECOND).await;
    let second = all_keys_failed(send(&service, chat("m")).await.unwrap_err());
    assert_eq!(second.retry_after(), Some(7 * SECOND));
    assert!(second.attempts().is_empty());
    assert_eq!(sim.calls(), 2, "cooling keys are not called");

    let response = second.into_response();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "7");
    assert!(text(response).await.contains("rate_limit_exceeded"));

    let upstream = first.into_response();
    assert_eq!(upstream.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(upstream.headers()["retry-after"], "12", "true of the pool, not of the key refused last");
    assert!(text(upstream).await.contains("rate_limit_exceeded"));
}

#[tokio::test(start_paused = true)]
async fn a_successful_probe_ends_the_cooldown() {
    let sim = openai([key("a").script(Script::new().then(SimFault::rate_limited(10 * SECOND)))]);
    let pool = pool(&["a"]);
    let service = rotating(&pool, &sim);
    send(&service, chat("m")).await.unwrap_err();

    tokio::time::advance(10 * SECOND).await;
    assert!(send(&service, chat("m")).await.is_ok());
    assert_eq!(pool.snapshot().keys[0].state, KeyState::Available);
    assert_eq!(pool.snapshot().keys[0].models, []);
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_one_model_leaves_the_key_to_the_others() {
    let sim = openai([key("a").model_limits("small", Limits::new().requests_per_minute(1))]);
    let service = rotating(&pool(&["a"]), &sim);
    assert!(send(&service, chat("small")).await.is_ok());
    assert!(send(&service, chat("small")).await.is_err());
    assert!(send(&service, chat("large")).await.is_ok());
    assert!(send(&service, chat("small")).await.is_err());
    assert_eq!(sim.calls(), 2, "the first answer said that nothing was left");
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_account_cost_one_refusal() {
    use tower_key_rotation::{ApiKey, KeyPool, Provider};
    let sim = openai([
        key("a").script(Script::always(SimFault::rate_limited(SECOND))),
        key("b").script(Script::always(SimFault::rate_limited(SECOND))),
        key("other"),
    ]);
    let in_account = |label: &str| ApiKey::new(support::secret(label)).unwrap().id(label).account("org-1");
    let pool = KeyPool::builder(support::at_sim(Provider::openai()))
        .key(in_account("a"))
        .key(in_account("b"))
        .key(ApiKey::new(support::secret("other")).unwrap().id("other"))
        .build()
        .unwrap();
    let response = send(&rotating(&pool, &sim), chat("m")).await.unwrap();
    assert_eq!(served(&response).key_id().as_str(), "other");
    assert_eq!(sim.key("b").calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_error_is_delivered() {
    for refusal in [
        Refusal::BadRequest("messages: required".into()),
        Refusal::ContextLength,
        Refusal::ContentFilter,
        Refusal::TooLarge,
    ] {
        let name = format!("{refusal:?}");
        let sim = openai([key("a").script(Script::always(SimFault::Refuse(refusal))), key("b")]);
        let pool = pool(&["a", "b"]);
        let direct = {
            let request = http::Request::post("/v1/chat/completions")
                .header("authorization", format!("Bearer {}", support::secret("a")))
                .body(r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#.to_owned())
                .unwrap();
            text(tower::ServiceExt::oneshot(sim.clone(), request).await.unwrap()).await
        };
        let response = send(&rotating(&pool, &sim), chat("m")).await.unwrap();
        assert!(response.status().is_client_error(), "{name}: {:?}", served(&response));
        assert_eq!(strip_ids(&text(response).await), strip_ids(&direct), "{name}");
        assert_eq!(sim.key("b").calls(), 0, "{name}");
        assert_eq!(pool.snapshot().keys[0].state, KeyState::Available, "{name}");
        assert_eq!(pool.snapshot().keys[0].models, [], "{name}");
    }
}

/// The simulator's message is that the model "does not exist or you do not have access to it".
#[tokio::test(start_paused = true)]
async fn an_unknown_model_is_tried_with_one_other_account() {
    let unknown = |label| key(label).script(Script::always(SimFault::Refuse(Refusal::ModelNotFound)));
    let sim = openai([unknown("a"), unknown("b"), key("c")]);
    let pool = pool(&["a", "b", "c"]);
    let response = send(&rotating(&pool, &sim), chat("m")).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!([sim.key("a").calls(), sim.key("b").calls(), sim.key("c").calls()], [1, 1, 0]);
    let snapshot = pool.snapshot();
    assert!(snapshot.keys.iter().all(|key| key.state == KeyState::Available && key.models.is_empty()));

    let sim = openai([unknown("a"), key("b")]);
    let pool = support::pool(&["a", "b"]);
    let response = send(&rotating(&pool, &sim), chat("m")).await.unwrap();
    assert_eq!(served(&response).key_id().as_str(), "b", "it may use the model");
}

#[tokio::test(start_paused = true)]
async fn an_oversized_request_starts_no_cooldown() {
    let sim = openai([key("a").limits(Limits::new().tokens_per_minute(3)), key("b")]);
    let pool = pool(&["a", "b"]);
    let response = send(&rotating(&pool, &sim), chat("m")).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(sim.key("b").calls(), 0);
    assert_eq!(pool.snapshot().keys[0].models, []);
}

#[tokio::test(start_paused = true)]
async fn two_good_keys_refused_alike_blame_the_request() {
    let forbidden = |label| key(label).forbid_model("o3");
    let sim = openai([forbidden("a"), forbidden("b"), forbidden("c")]);
    let pool = pool(&["a", "b", "c"]);
    let service = rotating(&pool, &sim);
    // Keys that have not served yet may be bad, so all are tried.
    for calls in [3, 2] {
        sim.reset_counts();
        let response = send(&service, chat("o3")).await.unwrap();
        assert!(response.status().is_client_error());
        assert_eq!(sim.calls(), calls);
        let is_free = |key: &KeySnapshot| key.models.is_empty() && key.state == KeyState::Available;
        assert!(pool.snapshot().keys.iter().all(is_free));
        for _ in 0..3 {
            send(&service, chat("m")).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_alike_refusals_undo_an_earlier_doubt() {
    let body = r#"{"error":{"message":"Not for you."}}"#;
    let other = SimFault::Raw { status: StatusCode::FORBIDDEN, headers: HeaderMap::new(), body: body.into() };
    let forbidden = |label| key(label).forbid_model("o3");
    let sim = openai([
        key("a").script(Script::new().then_ok(1).then_forever(other)),
        forbidden("b"),
        forbidden("c"),
        key("d"),
    ]);
    let pool = pool(&["a", "b", "c", "d"]);
    let service = rotating(&pool, &sim);
    for _ in 0..4 {
        send(&service, chat("m")).await.unwrap();
    }
    sim.reset_counts();
    let response = send(&service, chat("o3")).await.unwrap();
    assert!(response.status().is_client_error());
    assert_eq!(sim.calls(), 3);
    assert!(pool.snapshot().keys.iter().all(|key| key.models.is_empty() && key.state == KeyState::Available));
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_model_uses_another_key() {
    let sim = openai([key("a").forbid_model("o3"), key("b")]);
    let service = rotating(&pool(&["a", "b"]), &sim);
    for _ in 0..4 {
        assert!(send(&service, chat("o3")).await.unwrap().status().is_success());
    }
    assert_eq!(sim.key("a").calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_overload_is_retried_once_on_another_key() {
    let sim = openai([key("a").script(Script::always(SimFault::overloaded())), key("b")]);
    let pool = pool(&["a", "b"]);
    let began = Instant::now();
    let response = send(&rotating(&pool, &sim), chat("m")).await.unwrap();
    assert_eq!(served(&response).key_id().as_str(), "b");
    assert_eq!(began.elapsed_ms(), 0, "a key that is free is not waited for");
    assert!(pool.snapshot().keys.iter().all(|key| key.state == KeyState::Available && key.faults == 0));
}

#[tokio::test(start_paused = true)]
async fn an_overload_of_the_only_key_backs_off() {
    let sim = openai([key("a").script(Script::new().then(SimFault::overloaded()))]);
    let began = Instant::now();
    assert!(send(&rotating(&pool(&["a"]), &sim), chat("m")).await.is_ok());
    assert!((100..=500).contains(&began.elapsed_ms()), "full jitter between 100 and 500 ms");
}

#[tokio::test(start_paused = true)]
async fn a_retry_takes_no_turn_of_the_round_robin() {
    for faults in [SimFault::overloaded(), SimFault::status(500), SimFault::overloaded_in_stream()] {
        let sim = openai([key("a").script(Script::always(faults)), key("b")]);
        let service = rotating(&pool(&["a", "b"]), &sim);
        for _ in 0..40 {
            assert!(send(&service, support::chat_stream("m")).await.is_ok());
        }
        assert_eq!((sim.key("a").calls(), sim.key("b").calls()), (20, 40));
    }
}

#[tokio::test(start_paused = true)]
async fn the_retry_budget_limits_retries() {
    let sim = tower_key_rotation_sim::Simulator::openai()
        .keys([key("a"), key("b"), key("c")])
        .script(Script::always(SimFault::status(500)))
        .build();
    let service = rotating(&pool(&["a", "b", "c"]), &sim);
    let failed = all_keys_failed(send(&service, chat("m")).await.unwrap_err());
    assert_eq!(failed.stop_reason(), StopReason::ProviderFault);
    assert_eq!(failed.attempts().len(), 2);
    assert_eq!(failed.attempts()[0].fault.scope(), Scope::Provider);
    assert_ne!(failed.attempts()[0].key, failed.attempts()[1].key);

    sim.reset_counts();
    let requests = (0..1_000).map(|_| send(&service, chat("m")));
    assert!(futures_util::future::join_all(requests).await.iter().all(Result::is_err));
    assert!(sim.calls() < 1_000 + 350, "{} calls for 1,000 requests", sim.calls());
}

#[tokio::test(start_paused = true)]
async fn a_long_overload_is_not_retried() {
    let overloaded = Refusal::Overloaded { retry_after: Some(30 * SECOND) };
    let sim = openai([key("a").script(Script::always(SimFault::Refuse(overloaded))), key("b")]);
    let failed = all_keys_failed(send(&rotating(&pool(&["a", "b"]), &sim), chat("m")).await.unwrap_err());
    assert_eq!(sim.calls(), 1);
    assert_eq!(failed.retry_after(), Some(30 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_blocked_address_is_not_tried_with_other_keys() {
    let sim = openai([key("a").script(Script::always(SimFault::Refuse(Refusal::RegionBlocked))), key("b")]);
    let pool = pool(&["a", "b"]);
    let failed = all_keys_failed(send(&rotating(&pool, &sim), chat("m")).await.unwrap_err());
    assert_eq!(failed.last_reason(), Some(Reason::Blocked));
    assert_eq!(sim.calls(), 1);
    assert_eq!(pool.snapshot().keys[0].state, KeyState::Available);
}

#[tokio::test(start_paused = true)]
async fn an_ambiguous_request_is_resent_only_if_allowed() {
    let broken = || openai([key("a").script(Script::new().then(SimFault::Reset)), key("b")]);
    let labels = ["a", "b"];

    let sim = broken();
    let pool_ = pool(&labels);
    let failed = all_keys_failed(send(&rotating(&pool_, &sim), chat("m")).await.unwrap_err());
    assert_eq!((sim.calls(), failed.last_reason()), (1, Some(Reason::Unreachable)));
    assert!(std::error::Error::source(&failed).is_some(), "the client's error is kept");
    assert_eq!(pool_.snapshot().keys[0].state, KeyState::Available, "transport blames no key");

    let sim = broken();
    let mut request = chat("m");
    request.headers_mut().insert("idempotency-key", "1".parse().unwrap());
    assert!(send(&rotating(&pool(&labels), &sim), request).await.is_ok());
    assert_eq!(sim.calls(), 2);

    let sim = broken();
    let service = KeyRotationLayer::new(pool(&labels)).resend_ambiguous(true).layer(sim.clone());
    assert!(send(&service, chat("m")).await.is_ok());

    let sim = openai([key("a").script(Script::new().then(SimFault::Refused)), key("b")]);
    assert!(send(&rotating(&pool(&labels), &sim), chat("m")).await.is_ok(), "it never left");

    let sim = openai([key("a").script(Script::new().then(SimFault::status(504))), key("b")]);
    assert!(
        send(&rotating(&pool(&labels), &sim), chat("m")).await.is_err(),
        "a gateway's timeout may hide a run"
    );
    assert_eq!(sim.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_blames_no_key() {
    let sim = openai([key("a").script(Script::always(SimFault::Silent)), key("b")]);
    let pool = pool(&["a", "b"]);
    let mut request = chat("m");
    request.extensions_mut().insert(Deadline::at(Instant::now() + 3 * SECOND));
    let began = Instant::now();
    let failed = all_keys_failed(send(&rotating(&pool, &sim), request).await.unwrap_err());
    assert_eq!((failed.stop_reason(), began.elapsed_ms()), (StopReason::Deadline, 3_000));
    assert_eq!(failed.into_response().status(), StatusCode::GATEWAY_TIMEOUT);
    assert!(pool.snapshot().keys.iter().all(|key| key.state == KeyState::Available && key.faults == 0));
}

#[tokio::test(start_paused = true)]
async fn an_error_before_the_first_content_rotates() {
    let sim = openai([key("a").script(Script::always(SimFault::overloaded_in_stream())), key("b")]);
    let response = send(&rotating(&pool(&["a", "b"]), &sim), chat_stream("m")).await.unwrap();
    assert_eq!(served(&response).key_id().as_str(), "b");
    assert_eq!(served(&response).attempts()[0].fault.reason(), Reason::Overloaded);
    assert!(text(response).await.ends_with("data: [DONE]\n\n"));

    let refused = SimFault::ErrorEvent { after: 0, refusal: Refusal::rate_limited(9 * SECOND) };
    let sim = openai([key("a").script(Script::always(refused)), key("b")]);
    let pool = pool(&["a", "b"]);
    let service = rotating(&pool, &sim);
    for _ in 0..6 {
        assert_eq!(served(&send(&service, chat_stream("m")).await.unwrap()).key_id().as_str(), "b");
    }
    assert_eq!(sim.key("a").calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_cut_before_content_is_ambiguous() {
    for fault in [
        SimFault::Cut { after: 0, reset: false },
        SimFault::Cut { after: 0, reset: true },
        SimFault::Malformed { after: 0 },
    ] {
        let name = format!("{fault:?}");
        let sim = openai([key("a").script(Script::new().then(fault.clone())), key("b")]);
        let failed =
            all_keys_failed(send(&rotating(&pool(&["a", "b"]), &sim), chat_stream("m")).await.unwrap_err());
        assert_eq!((sim.calls(), failed.last_reason()), (1, Some(Reason::Truncated)), "{name}");

        let sim = openai([key("a").script(Script::new().then(fault)), key("b")]);
        let mut request = chat_stream("m");
        request.headers_mut().insert("idempotency-key", "1".parse().unwrap());
        let response = send(&rotating(&pool(&["a", "b"]), &sim), request).await.unwrap();
        assert_eq!(served(&response).attempts()[0].fault.reason(), Reason::Truncated, "{name}");
        assert!(text(response).await.ends_with("data: [DONE]\n\n"), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_passes_untouched() {
    let sim = openai([key("a")]);
    let through = text(send(&rotating(&pool(&["a"]), &sim), chat_stream("m")).await.unwrap()).await;
    let request = http::Request::post("/v1/chat/completions")
        .header("authorization", format!("Bearer {}", support::secret("a")))
        .body(r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#.to_owned())
        .unwrap();
    let direct = text(tower::ServiceExt::oneshot(sim.clone(), request).await.unwrap()).await;
    assert_eq!(strip_ids(&through), strip_ids(&direct));
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_committed_to() {
    let sim = openai([key("a").script(Script::always(SimFault::SlowContent(60 * SECOND)))]);
    let began = Instant::now();
    let response = send(&rotating(&pool(&["a"]), &sim), chat_stream("m")).await.unwrap();
    assert_eq!(began.elapsed_ms(), 10_000, "reasoning models are silent for minutes");
    assert!(text(response).await.ends_with("data: [DONE]\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_find_a_bad_key_once() {
    let sim = openai([key("bad").revoked(), key("b"), key("c")]);
    let service = rotating(&pool(&["bad", "b", "c"]), &sim);
    let requests = (0..1_000).map(|_| send(&service, chat("m")));
    let answers = futures_util::future::join_all(requests).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == StatusCode::OK));
    assert_eq!(sim.calls(), 1_000 + sim.key("bad").calls());
    assert!(sim.key("bad").calls() <= 340, "only requests on their way when the verdict came");
    sim.reset_counts();
    send(&service, chat("m")).await.unwrap();
    assert_eq!(sim.key("bad").calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_uses_one_key() {
    let labels = ["a", "b", "c", "d", "e"];
    let sim = openai(labels.map(key));
    let service = rotating(&pool(&labels), &sim);
    let ask = || {
        let mut request = chat("m");
        request.extensions_mut().insert(Session::new("conversation"));
        request
    };
    let key_of = async || served(&send(&service, ask()).await.unwrap()).key_id().to_string();

    let home = key_of().await;
    for _ in 0..10 {
        send(&service, chat("m")).await.unwrap();
        assert_eq!(key_of().await, home);
    }
    sim.key(&home).fail(1, SimFault::rate_limited(20 * SECOND));
    let other = key_of().await;
    assert_ne!(other, home, "rotated to the session's next key");
    assert_eq!(key_of().await, other);
    advance(20 * SECOND).await;
    assert_eq!(key_of().await, home);
    sim.key(&home).fail(1, SimFault::overloaded());
    assert_eq!(key_of().await, other, "not the same key twice in one request");
    assert_eq!(key_of().await, home);
}

/// Removes the ids and times that differ between simulated responses.
fn strip_ids(text: &str) -> String {
    text.chars().filter(|char| !char.is_ascii_digit()).collect()
}

trait ElapsedMs {
    fn elapsed_ms(self) -> u64;
}

impl ElapsedMs for Instant {
    fn elapsed_ms(self) -> u64 {
        u64::try_from(Self::now().saturating_duration_since(self).as_millis()).unwrap()
    }
}
