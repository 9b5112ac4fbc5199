//! Alerts: each incident is two messages, whatever its events and whatever the receiver does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use http::StatusCode;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use support::sink::{Behaviour, Sink};
use support::{Gateway, MARKER, Sims, chat};
use tokio::time::timeout;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::event::Events;
use tower_key_rotation::limits::Quota;
use tower_key_rotation::{ApiKey, KeyPool, Provider};
use tower_key_rotation_gateway::alert::{Alerts, Rules, Webhook, WebhookFormat};
use tower_key_rotation_gateway::config::{Format, Loader};
use tower_key_rotation_sim::{Script, SimFault};

fn pool(events: &Events) -> KeyPool {
    let keys = ["a", "b"].map(|id| ApiKey::new(format!("sk-{MARKER}-{id}")).unwrap().id(id));
    KeyPool::builder(Provider::openai()).keys(keys).events(events).build().unwrap()
}

fn start(webhook: Webhook, events: &Events) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    Alerts::new().webhook(webhook, client).start(events);
}

fn invalid(pool: &KeyPool) {
    // A key that never served is refused at once.
    pool.acquire(()).unwrap().fail(&Fault::new(Reason::InvalidKey, Scope::Key), None);
}

// === incidents, over a gateway ===

#[tokio::test]
async fn an_outage_is_two_messages() {
    let mut sink = Sink::start([]).await;
    let sims = Sims::new();
    let failing = |fail: bool| {
        for key in ["a", "b"] {
            let script = if fail { Script::always(SimFault::status(503)) } else { Script::new() };
            sims.openai.key(key).script(script);
        }
    };
    let more = format!(
        "[[alert]]\nurl = \"{}\"\ngroup_wait = \"50ms\"\non = [\"breaker\"]\n[chain.breaker]\nconsecutive = 1\n\
         open = \"50ms\"\nmax_open = \"50ms\"",
        sink.url
    );
    let gateway = Gateway::start(&sims, &more).await;
    failing(true);
    // The breaker opens again and again.
    for _ in 0..30 {
        assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
    }
    assert_eq!(sink.alerts().await, ["firing breaker/openai"]);
    failing(false);
    let ended = async { while !sink.alerts().await.contains(&"resolved breaker/openai".to_owned()) {} };
    let asked = async {
        loop {
            gateway.send(chat("")).await;
        }
    };
    tokio::select! {
        () = ended => {}
        () = asked => {}
    }
    assert!(!sink.has_more());
}

// === delivery ===

#[tokio::test]
async fn a_receiver_that_fails_and_hangs_gets_each_alert_once() {
    use Behaviour::{Fail, Hang, Slow};
    let mut sink = Sink::start([Fail(500), Hang, Slow, Fail(503)]).await;
    let events = Events::new();
    let pool = pool(&events);
    start(sink.webhook(), &events);
    invalid(&pool);
    invalid(&pool);
    assert_eq!(sink.alerts().await, ["firing key_invalid/openai/a", "firing key_invalid/openai/b"]);
    assert!(sink.next.lock().unwrap().is_empty(), "every failure was met");
    pool.reset_all();
    assert_eq!(sink.alerts().await, ["resolved key_invalid/openai/a", "resolved key_invalid/openai/b"]);
    assert!(!sink.has_more());
}

#[tokio::test]
async fn a_refused_message_is_not_sent_again() {
    let mut sink = Sink::start([Behaviour::Fail(400)]).await;
    let events = Events::new();
    let pool = pool(&events);
    start(sink.webhook(), &events);
    invalid(&pool);
    let met = async {
        while !sink.next.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), met).await.unwrap();
    invalid(&pool);
    assert_eq!(sink.alerts().await, ["firing key_invalid/openai/b"]);
}

#[tokio::test]
async fn a_webhook_that_hangs_delays_no_other() {
    let stuck = Sink::start([Behaviour::Hang]).await;
    let mut sink = Sink::start([]).await;
    let events = Events::new();
    let pool = pool(&events);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let slow = stuck.webhook().timeout(Duration::from_secs(60));
    Alerts::new().webhook(slow, client.clone()).webhook(sink.webhook(), client).start(&events);
    invalid(&pool);
    assert_eq!(sink.alerts().await, ["firing key_invalid/openai/a"]);
}

#[tokio::test]
async fn a_message_is_signed_and_has_no_secret() {
    let mut sink = Sink::start([]).await;
    let events = Events::new();
    let pool = pool(&events);
    start(sink.webhook().secret("the-signing-secret".to_owned().into()), &events);
    invalid(&pool);
    let (headers, body) = sink.raw().await;
    assert!(headers["x-signature-256"].to_str().unwrap().starts_with("sha256="));
    assert!(headers["x-signature-timestamp"].to_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000);
    assert!(!body.contains(MARKER) && !body.contains("the-signing-secret"), "{body}");
}

// === rules ===

#[tokio::test]
async fn a_used_quota_is_one_incident_of_its_window() {
    let mut sink = Sink::start([]).await;
    let events = Events::new();
    let key = ApiKey::new("sk-one").unwrap().id("one");
    let builder = KeyPool::builder(Provider::openai()).key(key).events(&events).warn_at([0.5, 0.9]);
    let pool = builder.quota(Quota::requests(10).per_minute()).build().unwrap();
    start(sink.webhook().rules(Rules::none().quota(0.5)), &events);
    for _ in 0..10 {
        pool.acquire(()).unwrap().succeed();
    }
    let message = sink.message().await;
    let alerts = message["alerts"].as_array().unwrap();
    assert_eq!((alerts.len(), &alerts[0]["key"]), (1, &"one".into()), "{message}");
    assert!(
        message["text"].as_str().unwrap().contains("% of the requests per minute of one are used"),
        "{message}"
    );
}

#[tokio::test]
async fn many_rotations_are_an_incident() {
    let mut sink = Sink::start([]).await;
    let sims = Sims::new();
    sims.openai.key("a").script(Script::always(SimFault::rate_limited(Duration::from_millis(1))));
    let more = format!(
        "[[alert]]\nurl = \"{}\"\ngroup_wait = \"50ms\"\non = []\nrotations_per_minute = 3",
        sink.url
    );
    let gateway = Gateway::start(&sims, &more).await;
    let asked = async {
        loop {
            gateway.send(chat("")).await;
        }
    };
    tokio::select! {
        alerts = sink.alerts() => assert_eq!(alerts, ["firing rotations/openai"]),
        () = asked => {}
    }
}

// === formats ===

#[tokio::test]
async fn each_format_has_the_shape_of_its_receiver() {
    for format in WebhookFormat::ALL {
        let mut sink = Sink::start([]).await;
        let events = Events::new();
        let pool = pool(&events);
        start(sink.webhook().format(format).secret("routing-key".to_owned().into()), &events);
        invalid(&pool);
        let message = sink.message().await;
        let says = "openai refuses the key a as invalid: replace it.";
        let at = |path: &str| message.pointer(path).unwrap_or_else(|| panic!("{path}: {message}")).clone();
        match format {
            WebhookFormat::Json => assert_eq!(at("/alerts/0/severity"), "critical"),
            WebhookFormat::Slack => assert_eq!(at("/text"), says),
            WebhookFormat::Discord => {
                assert_eq!(at("/embeds/0/description"), says);
                assert_eq!(at("/allowed_mentions/parse"), serde_json::json!([]));
            }
            WebhookFormat::PagerDuty => {
                assert_eq!(
                    (at("/routing_key"), at("/event_action")),
                    ("routing-key".into(), "trigger".into())
                );
                assert_eq!(
                    (at("/dedup_key"), at("/payload/severity")),
                    ("key_invalid/openai/a".into(), "critical".into())
                );
            }
            WebhookFormat::Alertmanager => {
                assert_eq!(
                    (at("/0/labels/alertname"), at("/0/annotations/summary")),
                    ("key_invalid".into(), says.into())
                );
                assert!(at("/0/startsAt").as_str().unwrap().ends_with('Z'));
            }
            _ => unreachable!(),
        }
    }
}

// === the file ===

#[test]
fn the_file_sets_webhooks_without_showing_them() {
    let text = |alert: &str| {
        format!(
            "[[provider]]\nname = \"openai\"\nbase_url = \"https://api.openai.com/v1\"\nkeys_env = \"OPENAI\"\n[[alert]]\n{alert}"
        )
    };
    let vars = [("OPENAI_API_KEY", "sk-one"), ("HOOK", "https://hooks.test/T0/tkrmarker")];
    let load = |alert: &str| Loader::new().vars(vars).parse(&text(alert), Format::Toml);
    let config = load("url = \"env:HOOK\"\nformat = \"slack\"\nsecret = \"tkrmarker\"").unwrap();
    assert_eq!(config.alerts().len(), 1);
    assert!(!format!("{config:?}").contains(MARKER));
    for (alert, problem) in [
        ("url = \"tkrmarker\"", "alert[0].url: not the URL of a webhook"),
        ("url = \"ftp://tkrmarker\"", "alert[0].url: not the URL of a webhook"),
        ("url = \"env:HOOK\"\nformat = \"teams\"", "alert[0].format: write one of alertmanager, discord"),
        ("url = \"env:HOOK\"\non = [\"breaker\", \"x\"]", "alert[0].on[1]: write one of breaker"),
        ("url = \"env:HOOK\"\nquota = 90", "alert[0].quota: not a share"),
        ("url = \"env:NONE\"", "the environment variable NONE is not set"),
    ] {
        let error = load(alert).unwrap_err().to_string();
        assert!(error.contains(problem) && !error.contains(MARKER), "{alert}: {error}");
    }
}
