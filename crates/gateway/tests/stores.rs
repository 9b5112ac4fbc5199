//! The state of keys across restarts of the gateway.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::time::Duration;

use tower_key_rotation_gateway::Stores;
use tower_key_rotation_gateway::config::{Config, Format, Loader};

fn config(more: &str) -> Config {
    config_with(more, "")
}

/// A configuration with a text before and one after its provider.
fn config_with(more: &str, after: &str) -> Config {
    let provider =
        "[[provider]]\nname = \"openai\"\nbase_url = \"https://api.openai.com/v1\"\nkeys_env = \"OPENAI\"\n";
    let provider = format!("{provider}{after}");
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
async fn pools_that_a_reload_builds_anew_are_kept_at_once() {
    let path = std::env::temp_dir().join(format!("gateway-state-anew-{}.json", std::process::id()));
    let text = format!("state_file = {:?}", path.display().to_string());
    let stores = Stores::start(&config(&text)).await.unwrap();
    let other = "[[provider]]\nname = \"groq\"\nbase_url = \"https://api.groq.com/openai/v1\"\nkeys_env = \"OPENAI\"\n";
    let changed = config_with(&text, &format!("[[provider.limit]]\nrequests_per_day = 5\n{other}"));
    stores.follow(&changed).await;
    for provider in changed.providers() {
        let pool = provider.pool();
        pool.cool_down(&pool.snapshot().keys[0].id, None, Duration::from_secs(600)).unwrap();
    }
    // Another file from now on, in which the state goes on.
    let moved = path.with_extension("moved.json");
    let text = format!("state_file = {:?}", moved.display().to_string());
    let after = config_with(&text, other);
    after.providers().iter().zip(changed.providers()).for_each(|(after, before)| {
        after.pool().merge(before.pool().export()).unwrap();
    });
    stores.follow(&after).await;
    stores.stop().await;
    for (file, other) in [(path, config_with(&text, other)), (moved, config_with(&text, other))] {
        let text = format!("state_file = {:?}", file.display().to_string());
        let again = config_with(&text, "");
        let stores = Stores::start(&again).await.unwrap();
        assert_eq!(again.providers()[0].pool().usable(None), 1, "{}", file.display());
        stores.follow(&other).await;
        stores.stop().await;
        std::fs::remove_file(&file).unwrap();
        std::fs::remove_file(file.with_extension("json.lock")).unwrap();
    }
}

/// A Redis server of this test, which ends with it. `None` if none is installed, unless services are required.
fn redis_server() -> Option<(std::process::Child, u16)> {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = ["--port", &port.to_string(), "--save", "", "--appendonly", "no"];
    let server =
        std::process::Command::new("redis-server").args(options).stdout(std::process::Stdio::null()).spawn();
    if server.is_err() {
        assert!(std::env::var_os("REQUIRE_SERVICES").is_none(), "redis-server is not installed");
        eprintln!("skipped: redis-server is not installed");
    }
    Some((server.ok()?, port))
}

#[tokio::test]
async fn pools_that_a_reload_builds_anew_are_shared_at_once() {
    let Some((mut server, port)) = redis_server() else { return };
    let text = format!("[redis]\nurl = [\"redis://127.0.0.1:1\", \"redis://127.0.0.1:{port}\"]");
    let (one, two) = (config(&text), config(&text));
    let (stores, others) = (Stores::start(&one).await.unwrap(), Stores::start(&two).await.unwrap());
    let changed = config_with(&text, "[[provider.limit]]\nrequests_per_day = 5\n");
    stores.follow(&changed).await;
    let (pool, there) = (changed.providers()[0].pool(), two.providers()[0].pool());
    pool.cool_down(&pool.snapshot().keys[0].id, None, Duration::from_secs(600)).unwrap();
    tokio::time::timeout(Duration::from_secs(15), async {
        while !there.snapshot().keys[0].forced {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the other gateway knows");
    stores.stop().await;
    others.stop().await;
    server.kill().unwrap();
    server.wait().unwrap();
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
    let sentinels =
        text.replace("http://user:hidden-word@host\"", "redis://master\"\nsentinels = [\"hidden-word\"]");
    let loader = Loader::new().vars([("OPENAI_API_KEY", "sk-one")]);
    let of_sentinels = loader.parse(&sentinels, Format::Toml).unwrap_err().to_string();
    assert!(
        of_sentinels.contains("redis.sentinels") && !of_sentinels.contains("hidden-word"),
        "{of_sentinels}"
    );
    assert!(
        error.contains("redis.url") && error.contains("redis://") && !error.contains("hidden-word"),
        "{error}"
    );
}
