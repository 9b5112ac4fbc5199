//! Declared limits and selections of a configuration, and their effect on its pools.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use futures_util::FutureExt;
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::event::EventKind;
use tower_key_rotation::limits::LimitStatus;
use tower_key_rotation::provider::ModelId;
use tower_key_rotation_gateway::config::{Config, Format, Loader};

/// A provider with the keys `a` and `b`, and further settings.
fn two_keys(rest: &str) -> Config {
    two_keys_below("", rest)
}

/// The same, with `first` before the provider.
fn two_keys_below(first: &str, rest: &str) -> Config {
    let provider = "[[provider]]\nname = \"openai\"\nbase_url = \"https://h/v1\"";
    let keys = ["a", "b"].map(|id| format!("[[provider.key]]\nid = \"{id}\"\nsecret = \"sk-{id}\"\n"));
    let text = [first, provider, rest, &keys.concat()].join("\n");
    Loader::new().vars([("PATH", "")]).parse(&text, Format::Toml).unwrap()
}

/// Returns the limits of the first key: those of its account, or its own.
fn limits(table: &str) -> Vec<LimitStatus> {
    let config = two_keys(&format!("[[provider.limit]]\n{table}"));
    config.providers()[0].pool().snapshot().keys[0].limits.clone()
}

/// Returns the metric, the window and the amount of a limit.
fn readings(limits: &[LimitStatus]) -> Vec<String> {
    let shown = |limit: &LimitStatus| {
        let window = limit.window.map_or_else(String::new, |window| format!("/{window}"));
        format!("{}{window} {}", limit.metric.as_str(), limit.limit)
    };
    limits.iter().map(shown).collect()
}

#[test]
fn each_amount_has_its_own_limit() {
    for count in ["requests", "tokens", "input_tokens", "output_tokens"] {
        for window in ["second", "minute", "day"] {
            let burst = if window == "second" { "burst = 9\n" } else { "" };
            let shown = readings(&limits(&format!("{burst}{count}_per_{window} = 9")));
            assert_eq!(shown, [format!("{count}/{window} 9")]);
        }
    }
    assert_eq!(readings(&limits("concurrent = 9")), ["concurrent 9"]);
    assert_eq!(readings(&limits("requests_per_second = 9")), ["requests/second 1"], "evenly spaced");
    let all =
        "concurrent = 1\nrequests_per_day = 2\nrequests_per_minute = 30\ntokens_per_second = 40\nburst = 5";
    let all = readings(&limits(all));
    assert_eq!(all, ["requests/minute 5", "requests/day 2", "tokens/second 5", "concurrent 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_day_resets_as_configured() {
    const HOUR: u64 = 60 * 60 * 1_000;
    for (reset, midnight) in [
        ("", Some(0)),
        ("\nreset = \"utc\"", Some(0)),
        ("\nreset = \"EST5\"", Some(5)),
        ("\nreset = \"rolling\"", None),
    ] {
        let config = two_keys(&format!("[[provider.limit]]\nrequests_per_day = 24{reset}"));
        let pool = config.providers()[0].pool();
        let began = Timestamp::now();
        pool.acquire(None).unwrap().succeed();
        let full_at = pool.snapshot().keys[0].limits[0].full_at.unwrap().as_unix_ms();
        match midnight {
            Some(hour) => assert_eq!(full_at % (24 * HOUR), hour * HOUR, "{reset}"),
            None => assert!(full_at.abs_diff(began.as_unix_ms() + HOUR) < 1_000, "{full_at}"),
        }
    }
}

#[test]
fn a_model_pattern_limits_each_model() {
    let config = two_keys("[[provider.limit]]\nmodel = \"gpt-4o*\"\nrequests_per_minute = 20");
    let pool = config.providers()[0].pool();
    for model in ["gpt-4o", "gpt-4o-mini", "o3"].map(ModelId::from) {
        pool.acquire(Some(&model)).unwrap().succeed();
    }
    for key in pool.snapshot().keys {
        let of_models = key.model_limits.iter();
        let mut of_models: Vec<_> = of_models.map(|it| (it.model.as_str(), readings(&it.limits))).collect();
        of_models.sort();
        let minute = || vec!["requests/minute 20".to_owned()];
        assert_eq!(of_models, [("gpt-4o", minute()), ("gpt-4o-mini", minute())], "{}", key.id);
    }
}

#[test]
fn a_provider_may_override_the_selection() {
    let first_two = |config: &Config| {
        let pool = config.providers()[0].pool();
        [(); 2].map(|()| pool.acquire(None).unwrap().key_id().to_string())
    };
    assert_eq!(first_two(&two_keys("")), ["a", "b"]);
    assert_eq!(first_two(&two_keys("selection = \"in_order\"")), ["a", "a"]);
    let for_all = |rest: &str| two_keys_below("[rotation]\nselection = \"in_order\"", rest);
    assert_eq!(first_two(&for_all("")), ["a", "a"]);
    assert_eq!(first_two(&for_all("selection = \"round_robin\"")), ["a", "b"]);
    for (word, means) in
        [("random", "Random"), ("least_in_flight", "LeastInFlight"), ("most_remaining", "MostRemaining")]
    {
        let config = two_keys(&format!("selection = \"{word}\""));
        assert!(format!("{:?}", config.providers()[0].pool()).contains(&format!("selection: {means}")));
    }
}

#[test]
fn all_pools_share_the_event_hub() {
    let limit = "[[provider.limit]]\nrequests_per_minute = 4";
    let config = two_keys_below("[rotation]\nwarn_at = [0.5]", &format!("selection = \"in_order\"\n{limit}"));
    let mut heard = config.events().subscribe();
    let pool = config.providers()[0].pool();
    (0..4).for_each(|_| pool.acquire(None).unwrap().succeed());
    let said = std::iter::from_fn(|| heard.next().now_or_never().flatten()).map(Result::unwrap);
    let shares = said.filter_map(|event| match event.kind {
        EventKind::QuotaWarning { threshold, .. } => Some(threshold),
        _ => None,
    });
    assert_eq!(shares.collect::<Vec<_>>(), [0.5]);
}

#[test]
fn learning_accounts_can_be_disabled() {
    let shared = |learn: &str| {
        let config = two_keys(learn);
        let pool = config.providers()[0].pool();
        let mut headers = http::HeaderMap::new();
        headers.insert("openai-organization", http::HeaderValue::from_static("org"));
        for _ in 0..2 {
            pool.acquire(None).unwrap().observe(http::StatusCode::OK, &headers, None);
        }
        let keys = pool.snapshot().keys;
        keys[0].account_number == keys[1].account_number
    };
    assert!(shared("") && shared("learn_accounts = true"));
    assert!(!shared("learn_accounts = false"));
}

#[test]
fn limits_apply_to_accounts_or_to_a_key() {
    let text = "[[provider.limit]]\nrequests_per_minute = 10\n\
                [[provider.limit]]\naccount = \"org\"\nrequests_per_day = 20\n\
                [[provider.key]]\nid = \"c\"\nsecret = \"sk-c\"\naccount = \"org\"\n\
                [[provider.key.limit]]\nconcurrent = 3";
    let config = two_keys(text);
    let keys = config.providers()[0].pool().snapshot().keys;
    assert_eq!(readings(&keys[1].limits), ["requests/minute 10"]);
    let mut own = readings(&keys[0].limits);
    own.sort();
    assert_eq!(
        (keys[0].id.as_str(), own.join(", ").as_str()),
        ("c", "concurrent 3, requests/day 20, requests/minute 10")
    );
}
