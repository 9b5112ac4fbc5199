//! Every action emits an event: in order, to all subscribers, without a secret, and without delaying a request.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::Value;
use support::{Captured, MARKER, chat, key, openai, pool, rotating, secret, send, served, text};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_key_rotation::body::{ReplayBody, ResponseBody};
use tower_key_rotation::event::{AttemptOutcome, Event, EventKind, Events, Subscription};
use tower_key_rotation::fallback::{BreakerPolicy, ProviderFallback, ProviderFallbackLayer, Route};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, Deadline, Error, KeyPool, KeyRotationLayer, ModelId, Provider};
use tower_key_rotation_sim::{Refusal, Script, SimBody, SimFault, Simulator};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn rotation_emits_events_in_order() {
    let sim = openai([key("a").script(Script::new().then(SimFault::rate_limited(20 * SECOND))), key("b")]);
    let pool = pool(&["a", "b"]);
    let mut heard = pool.subscribe();
    let service = rotating(&pool, &sim);
    send(&service, chat("gpt-x")).await.unwrap();
    let first = all(&mut heard);
    assert_eq!(
        in_short(&first),
        ["attempt a rate_limited", "cooled_down a", "rotated a", "attempt b success"]
    );
    let EventKind::Attempt { model, status, request_id, duration, .. } = &first[0].kind else {
        unreachable!()
    };
    assert_eq!((model.as_ref().unwrap().as_str(), *status), ("gpt-x", Some(429)));
    assert!(request_id.as_ref().unwrap().starts_with("req_") && *duration < SECOND);
    assert!(matches!(first[1].kind, EventKind::CooledDown { wait: Some(wait), .. } if wait == 20 * SECOND));
    assert!(first.iter().all(|event| &*event.provider == "openai"));

    sleep(21 * SECOND).await;
    send(&service, chat("gpt-x")).await.unwrap();
    assert_eq!(in_short(&all(&mut heard)), ["attempt a success", "recovered a"]);
}

#[tokio::test(start_paused = true)]
async fn an_alarm_is_for_operators() {
    let sim = openai([key("a").revoked()]);
    let pool = pool(&["a"]);
    let mut heard = pool.subscribe();
    let service = rotating(&pool, &sim);
    send(&service, chat("m")).await.unwrap_err();
    let in_doubt = ["attempt a invalid_key", "rotated a", "pool_failed exhausted"];
    assert_eq!(in_short(&all(&mut heard)), in_doubt, "the request may be to blame");
    sleep(61 * SECOND).await;
    send(&service, chat("m")).await.unwrap_err();
    let certain =
        ["attempt a invalid_key", "rotated a", "invalid_key a", "exhausted", "pool_failed exhausted"];
    assert_eq!(in_short(&all(&mut heard)), certain);
    send(&service, chat("m")).await.unwrap_err();
    assert_eq!(in_short(&all(&mut heard)), ["pool_failed exhausted"], "it is known already");
    sim.key("a").restore();
    pool.reset_all();
    send(&service, chat("m")).await.unwrap();
    assert_eq!(in_short(&all(&mut heard)), ["reset", "attempt a success", "available"]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_has_two_log_lines() {
    let seen = Captured::default();
    let _guard = seen.install();
    let sims = [openai([key("a")]), openai([key("a")])];
    let events = Events::new();
    let chain = chain(&sims, &events);
    for outage in 1..=2 {
        sims.iter().for_each(|sim| sim.key("a").fail(1, SimFault::rate_limited(30 * SECOND)));
        for _ in 0..20 {
            ask(&chain).await.unwrap_err();
        }
        let warned = seen.text().lines().filter(|line| line.contains("WARN")).count();
        assert_eq!(warned, 3 * outage, "two pools and their chain: {}", seen.text());
        sleep(31 * SECOND).await;
        ask(&chain).await.unwrap();
        sims[0].key("a").fail(1, SimFault::rate_limited(SECOND / 2));
        ask(&chain).await.unwrap();
        sleep(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_in_the_audit_trail() {
    let refused = Script::new()
        .then(Refusal::ContextLength.into())
        .then(SimFault::Refused)
        .then_ok(1)
        .then(SimFault::Silent);
    let sim = openai([key("a").script(refused)]);
    let pool = pool(&["a"]);
    let mut heard = pool.subscribe();
    let service = rotating(&pool, &sim);
    send(&service, chat("m")).await.unwrap();
    assert_eq!(in_short(&all(&mut heard)), ["attempt a request_error"]);
    send(&service, chat("m")).await.unwrap();
    let retried = in_short(&all(&mut heard));
    assert_eq!(retried, ["attempt a unreachable", "rotated a", "attempt a success"]);

    let mut request = chat("m");
    request.extensions_mut().insert(Deadline::at(Instant::now() + 3 * SECOND));
    send(&service, request).await.unwrap_err();
    let late = all(&mut heard);
    assert_eq!(in_short(&late), ["attempt a abandoned", "pool_failed deadline"]);
    assert!(matches!(late[0].kind, EventKind::Attempt { duration, .. } if duration == 3 * SECOND));

    sim.key("a").script(Script::always(SimFault::Silent));
    tokio::time::timeout(SECOND, send(&service, chat("m"))).await.unwrap_err();
    assert_eq!(in_short(&all(&mut heard)), ["attempt a abandoned"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_id_is_capped_and_shows_no_key() {
    for (name, id, kept) in [
        ("request-id", "req_1".to_owned(), Some("req_1".to_owned())),
        ("x-request-id", "x".repeat(500), Some("x".repeat(128))),
        ("x-request-id", secret("a"), None),
        ("x-request-id", format!("{}{}", "x".repeat(120), secret("a")), None),
        ("x-other", "1".to_owned(), None),
    ] {
        let client = service_fn(move |_: Request<ReplayBody>| {
            let answer = Response::builder().header(name, &id).body(Full::<Bytes>::default()).unwrap();
            async { Ok::<_, Infallible>(answer) }
        });
        let pool = pool(&["a"]);
        let mut heard = pool.subscribe();
        send(&KeyRotationLayer::new(pool).layer(client), chat("m")).await.unwrap();
        let event = heard.next().await.unwrap().unwrap();
        let EventKind::Attempt { request_id, .. } = event.kind else { panic!("{event:?}") };
        assert_eq!(request_id.as_deref(), kept.as_deref());
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_misses_events() {
    let events = Events::with_capacity(8);
    let sim = openai([key("a")]);
    let pool = KeyPool::builder(support::at_sim(Provider::openai()))
        .key(ApiKey::new(secret("a")).unwrap().id("a"))
        .events(&events)
        .build()
        .unwrap();
    let service = rotating(&pool, &sim);
    let (mut idle, mut busy) = (events.subscribe(), events.subscribe());
    let began = Instant::now();
    for _ in 0..20 {
        send(&service, chat("m")).await.unwrap();
        assert_eq!(in_short(&all(&mut busy)), ["attempt a success"]);
    }
    assert_eq!(Instant::now(), began, "nobody waits");

    assert_eq!(idle.next().await.unwrap().unwrap_err().count(), 12);
    assert_eq!(all(&mut idle).len(), 8, "what follows is complete");
    send(&service, chat("m")).await.unwrap();
    assert_eq!(all(&mut idle).len(), 1);

    assert_eq!(events.subscribers(), 2);
    drop(busy);
    assert_eq!(events.subscribers(), 1);
    drop((service, pool, events));
    assert!(idle.next().await.is_none(), "the stream ends with its hub");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_stays_at_its_end() {
    let mut heard = pool(&["a"]).subscribe();
    for _ in 0..3 {
        assert!(heard.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_changes_nothing() {
    // A response without limits, for which the model would have been read.
    let silent = service_fn(|_: Request<ReplayBody>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("{}")))
    });
    for listens in [false, true] {
        let pool = pool(&["a"]);
        let _heard = listens.then(|| pool.subscribe());
        let service = KeyRotationLayer::new(pool.clone()).layer(silent);
        let response = service.oneshot(chat("m")).await.unwrap();
        assert_eq!(served(&response).model(), None, "it was not looked for to serve the request");
    }
}

#[tokio::test]
async fn operations_emit_events() {
    let pool = pool(&["a", "b"]);
    let mut heard = pool.subscribe();
    pool.disable(&"a".into()).unwrap();
    pool.enable(&"a".into()).unwrap();
    pool.reset(&"b".into()).unwrap();
    pool.reset_all();
    pool.reset(&"nobody".into()).unwrap_err();
    assert_eq!(in_short(&all(&mut heard)), ["disabled a", "enabled a", "reset b", "reset"]);
}

#[tokio::test(start_paused = true)]
async fn a_response_tells_its_tokens_at_its_end() {
    let (pool, sim) = (pool(&["a"]), openai([key("a")]));
    let (service, mut heard) = (rotating(&pool, &sim), pool.subscribe());
    let response = send(&service, chat("m")).await.unwrap();
    assert_eq!(in_short(&all(&mut heard)), ["attempt a success"]);
    text(response).await;
    let [metered] = all(&mut heard).try_into().unwrap();
    let EventKind::Metered { key, model, input_tokens, output_tokens, .. } = &metered.kind else {
        panic!("{metered:?}")
    };
    assert_eq!((key.as_str(), model.as_ref().map(ModelId::as_str)), ("a", Some("m")));
    assert!(*input_tokens > 0 && *output_tokens > 0, "{metered:?}");
}

// === chains ===

type Body = ResponseBody<SimBody>;
type Chain = ProviderFallback<KeyRotation<Simulator>, Body>;

#[tokio::test(start_paused = true)]
async fn a_chain_and_its_pools_share_a_hub() {
    let sims = [openai([key("a")]), openai([key("a")])];
    let events = Events::new();
    let (chain, mut heard) = (chain(&sims, &events), events.subscribe());

    ask(&chain).await.unwrap();
    assert_eq!(in_short(&all(&mut heard)), ["attempt a success", "metered a"]);

    sims[0].script(Script::always(SimFault::status(503)));
    let fell_over =
        ["attempt a overloaded", "pool_failed provider_fault", "fell_over first second overloaded"];
    ask(&chain).await.unwrap();
    assert_eq!(in_short(&all(&mut heard)), [&fell_over[..], &["attempt a success", "metered a"]].concat());
    ask(&chain).await.unwrap();
    let said = all(&mut heard);
    let opened = ["breaker_opened", fell_over[2], "attempt a success", "metered a"];
    assert_eq!(in_short(&said), [&fell_over[..2], &opened].concat());
    assert_eq!(&*said[2].provider, "first");
    let EventKind::BreakerOpened { wait, .. } = said[2].kind else { panic!("{said:?}") };
    ask(&chain).await.unwrap();
    assert_eq!(
        in_short(&all(&mut heard)),
        ["fell_over first second breaker_open", "attempt a success", "metered a"]
    );

    sleep(wait).await;
    sims[0].script(Script::new());
    ask(&chain).await.unwrap();
    assert_eq!(
        in_short(&all(&mut heard)),
        ["breaker_half_open", "attempt a success", "metered a", "breaker_closed"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_chain_emits_an_event() {
    let sims =
        [openai([key("a").revoked()]), openai([key("a").script(Script::always(SimFault::status(500)))])];
    let events = Events::new();
    let (chain, mut heard) = (chain(&sims, &events), events.subscribe());
    ask(&chain).await.unwrap_err();
    let said = all(&mut heard);
    assert_eq!(in_short(&said).last().unwrap(), "chain_failed");
    let EventKind::ChainFailed { providers, attempts, deadline_passed, .. } = said.last().unwrap().kind
    else {
        unreachable!()
    };
    assert_eq!(
        (providers, attempts, deadline_passed),
        (2, 3, false),
        "the fault of the provider was retried"
    );
    let over = said.iter().find(|event| matches!(event.kind, EventKind::FellOver { .. })).unwrap();
    assert!(matches!(&over.kind, EventKind::FellOver { reason: "exhausted", .. }));
}

// === log lines ===

#[tokio::test(start_paused = true)]
async fn log_lines_have_the_names_of_the_semantic_conventions() {
    let seen = Captured::default();
    let _guard = seen.install();
    let xai = support::at_sim(Provider::preset("grok").unwrap().with_name("ours"));
    let pool = support::pool_of(xai, &["a", "b"]);
    let sim = openai([key("a").script(Script::always(SimFault::rate_limited(20 * SECOND))), key("b")]);
    send(&rotating(&pool, &sim), chat("m")).await.unwrap();
    let text = seen.text();
    let line = |message: &str| {
        let line = text.lines().find(|line| line.contains(&format!(": {message} ")));
        line.unwrap_or_else(|| panic!("{message}: {text}")).to_owned()
    };
    let (attempt, rotated, cooled) = (line("attempt"), line("rotated"), line("cooled down"));
    for field in [
        r#"provider="ours""#,
        r#"gen_ai.provider.name="x_ai""#,
        "key=a",
        r#"gen_ai.request.model="m""#,
        r#"error.type="rate_limited""#,
    ] {
        for line in [&attempt, &rotated, &cooled] {
            assert!(line.contains(field) && line.contains(" tower_key_rotation: "), "{field}: {line}");
        }
    }
    assert!(attempt.contains("DEBUG") && attempt.contains("http.response.status_code=429"), "{attempt}");
    assert!(rotated.contains("DEBUG") && rotated.contains(r#"scope="account_model""#), "{rotated}");
    assert!(cooled.contains("INFO") && cooled.contains("wait_ms=20000"), "{cooled}");
}

// === secrets ===

#[tokio::test(start_paused = true)]
async fn no_event_shows_a_key_nor_does_its_log_line() {
    let seen = Captured::default();
    let _guard = seen.install();
    let mut out = String::new();
    let mut kinds = std::collections::HashSet::new();
    for fault in [
        SimFault::rate_limited(SECOND),
        SimFault::Refuse(Refusal::InvalidKey),
        SimFault::Refuse(Refusal::OutOfCredit),
        SimFault::Refuse(Refusal::Deactivated),
        SimFault::overloaded(),
        SimFault::Reset,
        SimFault::Refused,
        SimFault::overloaded_in_stream(),
    ] {
        let sims = [openai([key("a").script(Script::new().then_times(4, fault))]), openai([key("a")])];
        let events = Events::new();
        let (chain, mut heard) = (chain(&sims, &events), events.subscribe());
        for _ in 0..8 {
            let _came = ask(&chain).await;
            sleep(400 * SECOND).await;
        }
        write!(out, "{events:?} {heard:?}").unwrap();
        for event in all(&mut heard) {
            kinds.insert(std::mem::discriminant(&event.kind));
            write!(out, "{event:?} {}", serde_json::to_string(&event).unwrap()).unwrap();
        }
    }
    assert!(kinds.len() >= 10, "many kinds were seen: {}", kinds.len());
    assert!(!out.contains(MARKER), "{out}");
    let lines = seen.text();
    assert!(lines.contains("breaker opened") && !lines.contains(MARKER), "{lines}");
}

#[test]
fn an_outcome_is_one_word() {
    assert_eq!(AttemptOutcome::Success.as_str(), "success");
    assert_eq!(serde_json::to_value(AttemptOutcome::Abandoned).unwrap(), "abandoned");
}

#[test]
fn an_event_is_one_flat_object() {
    let pool = pool(&["a"]);
    let mut heard = pool.subscribe();
    pool.disable(&"a".into()).unwrap();
    let value = serde_json::to_value(&all(&mut heard)[0]).unwrap();
    let Value::Object(fields) = &value else { panic!("{value}") };
    let names: Vec<_> = fields.keys().map(String::as_str).collect();
    assert_eq!(names, ["at", "event", "key", "provider"]);
}

// === helpers ===

/// Returns all events so far.
fn all(heard: &mut Subscription) -> Vec<Event> {
    std::iter::from_fn(|| heard.next().now_or_never().flatten()).map(Result::unwrap).collect()
}

/// Returns the kind and the distinguishing detail of an event: the key, the links, or else the outcome or reason.
fn in_short(events: &[Event]) -> Vec<String> {
    let short = |event: &Event| {
        let fields = serde_json::to_value(event).unwrap();
        let own: &[&str] = match event.kind {
            EventKind::Attempt { .. } => &["event", "key", "outcome"],
            EventKind::FellOver { .. } => &["event", "from", "to", "reason"],
            EventKind::PoolFailed { .. } => &["event", "reason"],
            _ => &["event", "key"],
        };
        own.iter().filter_map(|name| fields.get(name)?.as_str()).collect::<Vec<_>>().join(" ")
    };
    events.iter().map(short).collect()
}

/// A chain of two links, each with one key. The breaker opens at the second fault in a row.
fn chain(sims: &[Simulator; 2], events: &Events) -> Chain {
    let link = |sim: &Simulator| {
        let key = ApiKey::new(secret("a")).unwrap().id("a");
        let builder = KeyPool::builder(support::at_sim(Provider::openai()));
        KeyRotationLayer::new(builder.key(key).events(events).build().unwrap()).layer(sim.clone())
    };
    let layer = ProviderFallbackLayer::new("first")
        .fallback("second", link(&sims[1]), Route::new())
        .breaker(BreakerPolicy::default().consecutive(2))
        .events(events);
    ServiceBuilder::new().layer(layer).service(link(&sims[0]))
}

async fn ask(chain: &Chain) -> Result<String, Error> {
    Ok(text(chain.clone().oneshot(chat("m")).await?).await)
}
