//! The tables `[chain]` and `[server]`, tokens, and reserved names.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use tower_key_rotation::fallback::{BreakerPolicy, Timeouts};
use tower_key_rotation_gateway::config::{Config, ConfigError, Format, Loader};

const PROVIDER: &str =
    "[[provider]]\nname = \"openai\"\nbase_url = \"https://h/v1\"\nkeys_env = \"OPENAI\"\n";

fn load(before: &str) -> Result<Config, ConfigError> {
    let text = format!("{before}\n{PROVIDER}");
    Loader::new().vars([("OPENAI_API_KEY", "sk-one")]).parse(&text, Format::Toml)
}

fn refused(before: &str, place: &str, line: usize, words: &str) {
    let error = load(before).err().unwrap_or_else(|| panic!("{before} is accepted"));
    assert_eq!(error.location().path(), place, "{before}: {error}");
    assert_eq!(error.location().position().unwrap().0, line, "{before}: {error}");
    assert!(error.to_string().contains(words), "{before}: {error}");
}

#[test]
fn a_chain_has_budgets_and_a_breaker() {
    let config = load(
        "[chain]\nmax_attempts = 4\nbackoff = \"50ms\"\nmax_backoff = \"2s\"\nresend_ambiguous = false\n\
         wait_for_key = false\npatience = \"3s\"\ncomplete_cap = 1000\n\
         [chain.breaker]\nconsecutive = 3\npercent = 25\nof_calls = 8\nwindow = \"10s\"\nopen = \"2s\"\n\
         max_open = \"9s\"",
    )
    .unwrap();
    let chain = config.chain();
    assert_eq!(chain.max_attempts().unwrap().get(), 4);
    assert_eq!(chain.backoff(), (Duration::from_millis(50), Duration::from_secs(2)));
    assert_eq!((chain.resend_ambiguous(), chain.wait_for_key()), (Some(false), Some(false)));
    assert_eq!(chain.patience(), Some(Duration::from_secs(3)));
    assert_eq!(chain.complete_cap().unwrap().get(), 1000);
    let policy = BreakerPolicy::new()
        .consecutive(3)
        .share(25, 8, Duration::from_secs(10))
        .open_for(Duration::from_secs(2), Duration::from_secs(9));
    assert_eq!(chain.breaker(), policy);
    assert_eq!(
        load("[chain.breaker]\nenabled = false").unwrap().chain().breaker(),
        BreakerPolicy::disabled()
    );
    assert_eq!(load("").unwrap().chain().breaker(), BreakerPolicy::new());
    assert_eq!(
        load("[chain]\nmax_backoff = \"10ms\"").unwrap().chain().backoff().0,
        Duration::from_millis(10)
    );
}

#[test]
fn models_have_time_limits_of_their_own() {
    let config = load(
        "[[chain.timeouts]]\nmodels = [\"o*\", \"*-thinking\"]\nhead_timeout = \"15m\"\nidle_timeout = \"5m\"\n\
         [[chain.timeouts]]\nmodels = [\"*-flash\"]\nfirst_content_timeout = \"10s\"",
    );
    let config = config.unwrap();
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let thinking = Timeouts::new().head(minutes(15)).idle(minutes(5));
    let quick = Timeouts::new().first_content(Duration::from_secs(10));
    let expected = [("o*", thinking), ("*-thinking", thinking), ("*-flash", quick)];
    assert_eq!(config.chain().timeouts(), expected.map(|(models, limits)| (models.to_owned(), limits)));
    for models in ["[]", "[\"\"]"] {
        let table = format!("[[chain.timeouts]]\nmodels = {models}");
        refused(&table, "chain.timeouts[0].models", 2, "model");
    }
}

#[test]
fn the_example_lets_models_think_for_three_minutes() {
    let vars = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"].map(|name| (name, "sk-one"));
    let example = Loader::new().vars(vars).parse(include_str!("../gateway.toml"), Format::Toml).unwrap();
    let chain = example.chain();
    for limit in [chain.head_timeout(), chain.first_content_timeout(), chain.idle_timeout(), chain.deadline()]
    {
        assert!(limit.unwrap() >= Duration::from_secs(300));
    }
}

#[test]
fn a_server_has_limits_and_hosts() {
    let config = load(
        "[server]\nhead_timeout = \"1s\"\nbody_timeout = \"2s\"\nwrite_timeout = \"3s\"\nshutdown_timeout = \"4s\"\n\
         max_connections = 5\nmax_requests = 6\nmax_body_memory = 0\nmax_body_disk = 7\nhosts = [\"Gateway.internal\", \"10.0.0.1\", \"[::1]\"]",
    )
    .unwrap();
    let server = config.server();
    let times =
        [server.head_timeout(), server.body_timeout(), server.write_timeout(), server.shutdown_timeout()];
    assert_eq!(times.map(|time| time.unwrap().as_secs()), [1, 2, 3, 4]);
    assert_eq!((server.max_connections().unwrap().get(), server.max_requests().unwrap().get()), (5, 6));
    assert_eq!((server.max_body_memory(), server.max_body_disk()), (Some(0), Some(7)));
    assert_eq!(server.hosts(), ["gateway.internal", "10.0.0.1", "[::1]"]);
    for host in ["", "http://h", "h:80", "*.h", "a b", "u@h", "h/"] {
        refused(&format!("[server]\nhosts = [\"a\", \"{host}\"]"), "server.hosts[1]", 2, "not a host");
    }
}

#[test]
fn durations_are_above_zero_and_up_to_a_day() {
    let chain = ["deadline", "head_timeout", "first_content_timeout", "idle_timeout", "patience"];
    let chain = chain.into_iter().chain(["backoff", "max_backoff"]).map(|name| ("chain", name));
    let breaker = ["window", "open", "max_open"].map(|name| ("chain.breaker", name));
    let server = ["head_timeout", "body_timeout", "write_timeout", "shutdown_timeout"];
    for (table, name) in chain.chain(breaker).chain(server.map(|name| ("server", name))) {
        let with = |value: &str| format!("[{table}]\n{name} = \"{value}\"");
        let place = format!("{table}.{name}");
        for long in ["86401s", "9223372036854775807s", "2562047788015215h", "365d"] {
            let error = load(&with(long)).unwrap_err();
            assert_eq!(error.location().path(), place, "{long}");
            assert_eq!(error.location().position().unwrap().0, 2);
        }
        refused(&with("86401s"), &place, 2, "more than a day");
        for wrong in ["0s", "-1s", "1", "soon", "99999999999999999999s", ""] {
            refused(&with(wrong), &place, 2, "not a duration");
        }
        assert!(load(&with("1ms")).is_ok() || name == "max_open", "{place}");
        assert!(load(&with("24h")).is_ok(), "{place}");
    }
}

#[test]
fn bounds_and_percentages_are_checked() {
    refused("[chain]\nbackoff = \"2s\"\nmax_backoff = \"1s\"", "chain.max_backoff", 3, "below the lower");
    let open = "[chain.breaker]\nopen = \"2s\"\nmax_open = \"1s\"";
    refused(open, "chain.breaker.max_open", 3, "below the lower");
    refused("[chain.breaker]\npercent = 101", "chain.breaker.percent", 2, "not a percentage");
    for zero in ["[chain]\nmax_attempts = 0", "[chain]\ncomplete_cap = 0", "[chain.breaker]\nconsecutive = 0"]
    {
        refused(zero, "", 2, "expected a nonzero u");
    }
    refused("[server]\nmax_connections = 0", "", 2, "expected a nonzero u32");
    refused("[chain.breaker]\nconsecutve = 1", "", 2, "unknown field `consecutve`");
}

#[test]
fn a_short_token_is_refused() {
    for token in ["x", "1234567"] {
        refused(&format!("token = \"{token}\""), "token", 1, "fewer than 8 characters");
    }
    assert!(load("token = \"12345678\"").is_ok());
}

#[test]
fn a_header_in_use_is_no_affinity_header() {
    for name in [
        "content-type",
        "Content-Type",
        "idempotency-key",
        "content-length",
        "content-encoding",
        "host",
        "accept",
        "authorization",
        "x-api-key",
        "cookie",
        "anthropic-version",
        "transfer-encoding",
        "x-commit",
        "sec-websocket-key",
        "origin",
        "traceparent",
    ] {
        let text = format!("[rotation]\naffinity_header = \"{name}\"");
        refused(&text, "rotation.affinity_header", 2, "has another use");
    }
    assert!(load("[rotation]\naffinity_header = \"session-id\"").is_ok());
}

#[test]
fn reserved_provider_names_are_refused() {
    for name in ["v1", "api", "health", "metrics"] {
        let text = format!("[[provider]]\nname = \"{name}\"\ndialect = \"openai\"\nbase_url = \"https://h\"");
        refused(&text, "provider[0].name", 2, "a path of the gateway");
    }
}

#[test]
fn limits_of_models_are_detected() {
    let limits = |table: &str| {
        let text = format!("{PROVIDER}{table}");
        let config = Loader::new().vars([("OPENAI_API_KEY", "sk-one")]).parse(&text, Format::Toml).unwrap();
        config.providers()[0].limits_models()
    };
    assert!(limits("[[provider.limit]]\nmodel = \"m*\"\nconcurrent = 1"));
    assert!(limits(
        "[[provider.key]]\nsecret = \"sk-2\"\n[[provider.key.limit]]\nmodel = \"m\"\nconcurrent = 1"
    ));
    assert!(!limits("[[provider.limit]]\nconcurrent = 1"));
}
