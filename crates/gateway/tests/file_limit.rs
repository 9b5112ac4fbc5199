//! The program under a limit for the size of files, which its log, its state and its temporary files exceed.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/raw.rs"]
#[allow(dead_code, reason = "no test uses all of it")]
mod raw;

use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

use raw::{exchange, status};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;
use tower_key_rotation_sim::{SimKey, Simulator};

#[tokio::test]
async fn files_that_may_not_grow_end_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Simulator::openai().key(SimKey::new("a", "sk-a")).build().serve().await.unwrap();
    let state = folder.path().join("state.json");
    let config = format!(
        "state_file = {state:?}\n[server]\nmax_body_memory = 1\n[[provider]]\nname = \"openai\"\n\
         base_url = \"{}/v1\"\n[[provider.key]]\nid = \"a\"\nsecret = \"sk-a\"\n",
        provider.origin()
    );
    let file = folder.path().join("gateway.toml");
    fs::write(&file, config).unwrap();
    let mut child = tokio::process::Command::new("sh")
        .args(["-c", "ulimit -f 1 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_key-rotation-gateway")])
        .args(["--listen", "127.0.0.1:0", "--log", "debug", "--config"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(File::create(folder.path().join("log")).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("the gateway starts");
        if let Some(address) = line.strip_prefix("listening on http://") {
            break address.parse().unwrap();
        }
    };
    let post = async |padding: usize| {
        let text = "x".repeat(padding);
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#);
        let length = body.len();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             connection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        status(&exchange(address, &(head + &body)).await)
    };
    for _ in 0..20 {
        assert_eq!(post(10).await, 200);
    }
    assert_eq!(post(3 << 20).await, 503, "there is no room for a large request");
    assert_eq!(post(10).await, 200);
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let ended = timeout(Duration::from_secs(20), child.wait()).await.expect("the process ends").unwrap();
    assert!(ended.success(), "{ended}");
}
