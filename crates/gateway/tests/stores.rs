//! The state of keys across restarts of the gateway.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::time::Duration;

use tower_key_rotation_gateway::Stores;
use tower_key_rotation_gateway::config::{Config, Format, Loader};

fn config(more: &str) -> Config {
    let provider =
        "[[provider]]\nname = \"openai\"\nbase_url = \"https://api.openai.com/v1\"\nkeys_env = \"OPENAI\"\n";
    let loader = Loader::new().vars([("OPENAI_API_KEY", "sk-one"), ("OPENAI_API_KEY_2", "sk-two")]);
    loader.parse(&format!("{more}\n{provider}"), Format::Toml).unwrap()
}

#[tokio::test]
async fn a_state_file_keeps_cooldowns_across_a_restart() {
    let path = std::env::temp_dir().join(format!("gateway-state-{}.json", std::process::id()));
    let text = format!("state_file = {:?}", path.display().to_string());
    let before = config(&text);
    let stores = Stores::start(&before).await.unwrap();
    let pool = before.providers()[0].pool();
    pool.cool_down(&pool.snapshot().keys[0].id, None, Duration::from_secs(600)).unwrap();
    let error = Stores::start(&config(&text)).await.unwrap_err().to_string();
    assert!(error.contains("another process"), "{error}");
    stores.stop().await;
    let after = config(&text);
    let stores = Stores::start(&after).await.unwrap();
    assert_eq!(after.providers()[0].pool().usable(None), 1);
    stores.stop().await;
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(path.with_extension("json.lock")).unwrap();
}

#[tokio::test]
async fn a_redis_that_is_away_does_not_keep_the_gateway_from_starting() {
    let away = config("[redis]\nurl = \"redis://127.0.0.1:1\"\nprefix = \"x\"");
    let stores = Stores::start(&away).await.unwrap();
    assert_eq!(away.providers()[0].pool().usable(None), 2);
    stores.stop().await;
}

#[test]
fn a_url_of_something_else_is_an_error_at_its_place() {
    let text = "[redis]\nurl = \"http://user:hidden-word@host\"\n[[provider]]\nname = \"openai\"\nbase_url = \"https://x.y\"\nkeys_env = \"OPENAI\"";
    let error = Loader::new().vars([("OPENAI_API_KEY", "sk-one")]).parse(text, Format::Toml).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("redis.url") && error.contains("redis://") && !error.contains("hidden-word"),
        "{error}"
    );
}
