//! The commands for people: `init`, `check`, `status`, `completions`, and the format of the log.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use http::StatusCode;
use support::{Gateway, MARKER, Sims, chat, secret};
use tokio::process::Command;
use tower_key_rotation_gateway::config::{Format, Loader};
use tower_key_rotation_sim::{Script, SimFault};

const PROGRAM: &str = env!("CARGO_BIN_EXE_key-rotation-gateway");

/// Runs the program with these variables and no others.
async fn run<const N: usize>(arguments: &[&str], vars: [(&str, &str); N]) -> (bool, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(PROGRAM).args(arguments).env_clear().envs(vars).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout), text(stderr))
}

fn path(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("gateway-commands-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

fn assert_secretless(text: &str) {
    assert!(!text.contains(MARKER), "{text}");
}

// === init ===

#[tokio::test]
async fn init_writes_a_file_that_loads() {
    let secrets = ["openai", "second", "claude", "gemini", "groq", "hf"].map(secret);
    let vars = [
        ("OPENAI_API_KEY", secrets[0].as_str()),
        ("OPENAI_API_KEY_2", &secrets[1]),
        ("ANTHROPIC_API_KEY", &secrets[2]),
        ("GEMINI_API_KEY", &secrets[3]),
        ("GROQ_API_KEY", &secrets[4]),
        ("HF_TOKEN", &secrets[5]),
    ];
    let (is_ok, text, log) = run(&["init", "--output", "-"], vars).await;
    assert!(is_ok, "{log}");
    assert_secretless(&text);
    assert_secretless(&log);
    let config = Loader::new().vars(vars).parse(&text, Format::Toml).unwrap();
    assert_eq!(config.chain().order()[..4], ["openai", "anthropic", "gemini", "groq"], "{text}");
    assert_eq!(config.chain().order().len(), 5, "{text}");
    assert_eq!(config.provider("openai").unwrap().pool().snapshot().keys.len(), 2);
    assert!(config.provider("gemini").unwrap().base_url().to_string().ends_with("/v1beta/openai"), "{text}");
    assert!(log.contains("openai: keys in OPENAI_API_KEY, OPENAI_API_KEY_2"), "{log}");
}

#[tokio::test]
async fn init_overwrites_only_by_force() {
    let (file, key) = (path("init.toml"), secret("a"));
    let file = file.to_str().unwrap();
    let vars = [("OPENAI_API_KEY", key.as_str())];
    assert!(run(&["init", "--output", file], vars).await.0);
    let (is_ok, _, log) = run(&["init", "--output", file], vars).await;
    assert!(!is_ok && log.contains("--force"), "{log}");
    assert!(run(&["init", "--force", "--output", file], vars).await.0);
    let (is_ok, _, log) = run(&["init", "--output", "-"], []).await;
    assert!(!is_ok && log.contains("set OPENAI_API_KEY"), "{log}");
}

// === check ===

/// A file with one simulated provider, whose key `b` is revoked.
async fn file(name: &str, sims: &Sims) -> (PathBuf, tower_key_rotation_sim::SimServer) {
    let server = sims.openai.serve().await.unwrap();
    let keys = ["a", "b"].map(|id| format!("[[provider.key]]\nid = \"{id}\"\nsecret = \"env:KEY_{id}\"\n"));
    let text = format!(
        "token = \"env:TOKEN\"\n[[provider]]\nname = \"openai\"\nbase_url = \"{}/v1\"\n\
         models = {{ \"gpt-4o\" = \"own-model\" }}\n[[provider.limit]]\nrequests_per_minute = 50\n{}",
        server.origin(),
        keys.concat()
    );
    let file = path(name);
    std::fs::write(&file, text).unwrap();
    (file, server)
}

#[tokio::test]
async fn check_says_where_routes_lead() {
    let sims = Sims::new();
    let (file, _server) = file("check.toml", &sims).await;
    let (a, b) = (secret("a"), secret("b"));
    let vars = [("KEY_a", a.as_str()), ("KEY_b", &b), ("TOKEN", "a-long-token")];
    let (is_ok, text, log) = run(&["check", "--config", file.to_str().unwrap()], vars).await;
    assert!(is_ok, "{log}");
    for said in [
        "openai: place 1 of the chain, http://127.0.0.1:",
        "  key a\n    limit: 50 requests per minute\n",
        "  /v1/… -> openai\n",
        "  /v1/… with model gpt-4o -> openai (own-model)\n",
        "  /openai/… -> http://127.0.0.1:",
        "access: callers must send the token",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert_eq!(sims.openai.calls(), 0);
    assert_secretless(&text);
}

#[tokio::test]
async fn a_live_check_asks_with_each_key() {
    let sims = Sims::new();
    sims.openai.key("b").revoke();
    let (file, _server) = file("live.toml", &sims).await;
    let (a, b) = (secret("a"), secret("b"));
    let vars = [("KEY_a", a.as_str()), ("KEY_b", &b), ("TOKEN", "a-long-token")];
    let (is_ok, text, log) = run(&["check", "--live", "--config", file.to_str().unwrap()], vars).await;
    assert!(!is_ok && log.contains("1 of 2 keys were not proven valid"), "{log}");
    assert!(
        text.contains("  openai a: works (status 200)\n")
            && text.contains("  openai b: the provider refuses"),
        "{text}"
    );
    assert!(!text.contains("b: works"), "{text}");
    assert_eq!(sims.openai.calls(), 3, "a refusal is confirmed");
    assert_secretless(&(text + &log));
}

// === alert-test ===

#[tokio::test]
async fn an_alert_test_tells_which_webhooks_work() {
    use axum::http::StatusCode;
    let router = axum::Router::new()
        .route("/works", axum::routing::post(|| async { StatusCode::OK }))
        .route("/fails", axum::routing::post(|| async { StatusCode::FORBIDDEN }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hooks = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    let text = format!(
        "[[provider]]\nname = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\nkeys_env = \"OPENAI\"\n\
         [[alert]]\nname = \"chat\"\nurl = \"{hooks}/works\"\n[[alert]]\nname = \"pager\"\nurl = \"{hooks}/fails\"\n"
    );
    let file = path("alert.toml");
    std::fs::write(&file, text).unwrap();
    let (is_ok, text, log) =
        run(&["alert-test", "--config", file.to_str().unwrap()], [("OPENAI_API_KEY", "sk-one")]).await;
    assert_eq!(text, "chat: delivered\npager: the receiver responded with status 403 Forbidden\n", "{log}");
    assert!(!is_ok && log.contains("1 of 2"), "{log}");
}

// === status ===

#[tokio::test]
async fn status_is_a_table() {
    let sims = Sims::new();
    sims.openai.key("a").script(Script::always(SimFault::rate_limited(Duration::from_secs(60))));
    let gateway = Gateway::start(&sims, "token = \"callers-token\"").await;
    let mut request = chat("");
    request.headers_mut().insert("authorization", "Bearer callers-token".parse().unwrap());
    assert_eq!(gateway.send(request).await.status(), StatusCode::OK);
    let url = format!("http://{}", gateway.address);
    let (is_ok, text, log) = run(&["status", "--url", &url], [("GATEWAY_TOKEN", "callers-token")]).await;
    assert!(is_ok, "{log}");
    assert!(text.contains("PROVIDER") && text.contains("out: openai-model"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("gemini ")).count(), 2, "{text}");
    assert!(!text.contains('\x1b'), "no colours without a terminal");
    assert_secretless(&text);
    let (is_ok, json, _) =
        run(&["status", "--json", "--url", &url], [("GATEWAY_TOKEN", "callers-token")]).await;
    assert!(is_ok && serde_json::from_str::<serde_json::Value>(&json).unwrap()["key_status"]["at"].is_u64());
    let (is_ok, _, log) = run(&["status", "--url", &url], []).await;
    assert!(!is_ok && log.contains("requires its token"), "{log}");
    let (is_ok, _, log) = run(&["status", "--url", "http://127.0.0.1:1"], []).await;
    assert!(!is_ok && log.contains("can't be reached"), "{log}");
}

// === the log ===

#[tokio::test]
async fn a_log_in_json_has_one_object_a_line() {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let mut child = Command::new(PROGRAM)
        .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = loop {
        let line = out.next_line().await.unwrap().expect("the gateway starts");
        if let Some(address) = line.strip_prefix("listening on http://") {
            break address.to_owned();
        }
    };
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let request = "GET /openai/v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    loop {
        let line = log.next_line().await.unwrap().expect("the request is logged");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        if line["target"] == "gateway::access" {
            assert_eq!((&line["message"], &line["path"]), (&"request".into(), &"/openai/v1/models".into()));
            assert_eq!((&line["status"], &line["provider"]), (&200.into(), &"openai".into()), "{line}");
            break;
        }
    }
}

// === completions, version ===

#[tokio::test]
async fn shells_complete_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (is_ok, script, _) = run(&["completions", shell], []).await;
        assert!(is_ok && script.contains("completions") && script.contains("explain"), "{shell}");
    }
    let (is_ok, version, _) = run(&["--version"], []).await;
    assert!(is_ok && version == format!("key-rotation-gateway {}\n", env!("CARGO_PKG_VERSION")), "{version}");
}
