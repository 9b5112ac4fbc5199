//! The metrics of real requests, in hubs with metrics enabled, and no key in any label.

#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use support::{MARKER, chat, key, openai, rotating, secret, send};
use tower_key_rotation::event::Events;
use tower_key_rotation::limits::Quota;
use tower_key_rotation::{ApiKey, KeyPool, Provider};
use tower_key_rotation_sim::{Script, SimFault};

#[tokio::test(start_paused = true)]
async fn a_hub_with_metrics_counts_requests() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let limited = Script::always(SimFault::rate_limited(Duration::from_secs(60)));
    let sim = openai([key("a").script(limited), key("b")]);
    let events = Events::with_capacity(1).with_metrics();
    let pool = pool(&events);
    let service = rotating(&pool, &sim);
    let mut slow = events.subscribe();
    for _ in 0..3 {
        send(&service, chat("gpt-x")).await.unwrap();
    }
    slow.next().await.unwrap().unwrap_err();
    pool.record_metrics();

    let mut seen = seen(&recorder.snapshotter());
    seen.retain(|line| !line.ends_with(" 0") && !line.starts_with("quota"));
    let expected = [
        "attempt_duration_seconds{provider=openai,model=gpt-x,outcome=success} 3 values",
        "attempt_duration_seconds{provider=openai,model=other,outcome=rate_limited} 1 values",
        "attempts_total{provider=openai,key=a,outcome=rate_limited} 1",
        "attempts_total{provider=openai,key=b,outcome=success} 3",
        "cooldowns_total{provider=openai,key=a,reason=rate_limited} 1",
        "events_missed_total{} 5",
        "key_state{provider=openai,key=a,state=available} 1",
        "key_state{provider=openai,key=b,state=available} 1",
        "keys{provider=openai,state=available} 2",
        "rate_limits_total{provider=openai,key=a,model=other} 1",
        "rotations_total{provider=openai,reason=rate_limited} 1",
        "usable_keys{provider=openai,model=gpt-x} 1",
        "usable_keys{provider=openai,model=} 2",
    ];
    assert_eq!(
        seen, expected,
        "no key is out for all models, and the model was not served when it was refused"
    );
    assert!(!seen.concat().contains(MARKER));
}

#[tokio::test(start_paused = true)]
async fn remaining_limits_are_measured_on_demand() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let key = ApiKey::new(secret("a")).unwrap().id("a").account("org");
    let pool = KeyPool::builder(Provider::openai())
        .key(key)
        .quota(Quota::requests(100).per_day())
        .quota(Quota::requests(10).per_minute())
        .quota(Quota::concurrent(2))
        .quota(Quota::requests(4).per_minute().for_models("m"))
        .events(&Events::new().with_metrics())
        .build()
        .unwrap();
    let of_all = "quota_remaining_ratio{provider=openai,key=a,account=org,dimension=";
    let left = |dimension: &str, model: &str| {
        pool.record_metrics();
        let name = format!("{of_all}{dimension},model={model}}} ");
        let seen = seen(&recorder.snapshotter());
        let found = seen.iter().find_map(|line| line.strip_prefix(&name)).map(str::to_owned);
        found.unwrap_or_else(|| panic!("{name}: {seen:?}"))
    };
    let lease = pool.acquire(Some(&"m".into())).unwrap();
    assert_eq!((left("requests", "unknown").as_str(), left("requests", "m").as_str()), ("0.9", "0.75"));
    assert_eq!(left("concurrent", "unknown"), "0.5");
    lease.succeed();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(left("requests", "unknown"), "0.99", "the day is what is left to be felt");
    assert_eq!((left("requests", "m").as_str(), left("concurrent", "unknown").as_str()), ("1", "1"));
}

#[tokio::test(start_paused = true)]
async fn a_hub_without_metrics_counts_nothing() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let pool = pool(&Events::new());
    let _heard = pool.subscribe();
    send(&rotating(&pool, &openai([key("a"), key("b")])), chat("m")).await.unwrap();
    assert_eq!(seen(&recorder.snapshotter()), Vec::<String>::new());
}

fn pool(events: &Events) -> KeyPool {
    let keys = ["a", "b"].map(|name| ApiKey::new(secret(name)).unwrap().id(name));
    KeyPool::builder(support::at_sim(Provider::openai())).keys(keys).events(events).build().unwrap()
}

/// Returns one sorted line per metric, without the prefix of all names.
fn seen(recorder: &Snapshotter) -> Vec<String> {
    let all = recorder.snapshot().into_vec().into_iter();
    let mut lines: Vec<_> = all
        .map(|(key, _, _, value)| {
            let name = key.key().name().strip_prefix("tower_key_rotation_").unwrap();
            let labels = key.key().labels().map(|label| format!("{}={}", label.key(), label.value()));
            let value = match value {
                DebugValue::Counter(count) => count.to_string(),
                DebugValue::Gauge(gauge) => gauge.to_string(),
                DebugValue::Histogram(values) => format!("{} values", values.len()),
            };
            format!("{name}{{{}}} {value}", labels.collect::<Vec<_>>().join(","))
        })
        .collect();
    lines.sort();
    lines
}
