//! The program loads its configuration again when a file changes, in the ways in which files are replaced.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/raw.rs"]
#[allow(dead_code, reason = "no test uses all of it")]
mod raw;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use raw::exchange;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout};
use tokio::time::{sleep, timeout};

const PROGRAM: &str = env!("CARGO_BIN_EXE_key-rotation-gateway");

/// Maximum time until a change has its effect on a busy machine.
const LONG: Duration = Duration::from_secs(20);

struct Process {
    child: Child,
    /// Open while the process may write to it.
    _stdout: Lines<BufReader<ChildStdout>>,
    log: Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
}

/// Returns an empty folder of the test's own.
fn folder(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("gateway-watch-{}-{test}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A configuration with the keys of these ids. Nothing listens at the provider's address.
fn config(keys: &[&str]) -> String {
    let key = |id: &&str| format!("[[provider.key]]\nid = \"{id}\"\nsecret = \"sk-secret-of-{id}\"\n");
    let keys: String = keys.iter().map(key).collect();
    format!("[[provider]]\nname = \"openai\"\nbase_url = \"http://127.0.0.1:9/v1\"\n{keys}")
}

/// Writes a file next to another one, and renames it over that one.
fn replace(file: &Path, content: &str) {
    let new = file.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, file).unwrap();
}

/// Lets a symbolic link point elsewhere, as Kubernetes does.
fn swap(link: &Path, target: &str) {
    let new = link.with_file_name("..new");
    symlink(target, &new).unwrap();
    fs::rename(new, link).unwrap();
}

// === impl Process ===

impl Process {
    async fn start(file: &Path) -> Self {
        let mut child = tokio::process::Command::new(PROGRAM)
            .args(["--listen", "127.0.0.1:0", "--config"])
            .arg(file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = stdout.next_line().await.unwrap().expect("the gateway starts");
            if let Some(address) = line.strip_prefix("listening on http://") {
                break address.parse().unwrap();
            }
        };
        Self { child, _stdout: stdout, log, address }
    }

    async fn keys(&self) -> Vec<String> {
        let request = "GET /api/key-status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let response = exchange(self.address, request).await;
        let document = &response[response.find('{').unwrap()..=response.rfind('}').unwrap()];
        let document: Value = serde_json::from_str(document).unwrap();
        let keys = document["providers"][0]["keys"].as_array().unwrap();
        keys.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until the gateway has exactly these keys.
    async fn has(&self, keys: &[&str]) {
        let become_so = async {
            while self.keys().await != keys {
                sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(timeout(LONG, become_so).await.is_ok(), "{:?} in place of {keys:?}", self.keys().await);
    }

    /// Waits for a line of the log, and returns all lines up to it.
    async fn says(&mut self, text: &str) -> String {
        let mut seen = String::new();
        let read = async {
            while !seen.contains(text) {
                let line = self.log.next_line().await.unwrap().expect("the gateway runs");
                seen.push_str(&line);
                seen.push('\n');
            }
        };
        assert!(timeout(LONG, read).await.is_ok(), "{text}");
        assert!(!seen.contains("sk-secret"), "{seen}");
        seen
    }

    fn hang_up(&self) {
        self.send("-HUP");
    }

    fn send(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

#[tokio::test]
async fn a_file_that_is_replaced_by_a_rename_is_loaded() {
    let file = folder("rename").join("gateway.toml");
    fs::write(&file, config(&["a"])).unwrap();
    let mut process = Process::start(&file).await;
    for keys in [&["a", "b"][..], &["b"], &["c", "b"]] {
        replace(&file, &config(keys));
        process.has(keys).await;
    }
    process.says("keys reloaded").await;
}

#[tokio::test]
async fn a_file_that_is_written_in_place_is_loaded() {
    let file = folder("write").join("gateway.toml");
    fs::write(&file, config(&["a"])).unwrap();
    let process = Process::start(&file).await;
    fs::write(&file, config(&["a", "b"])).unwrap();
    process.has(&["a", "b"]).await;
}

/// The layout of a mounted ConfigMap: the file is a link through `..data`, which is a link to a folder.
#[tokio::test]
async fn a_swap_of_a_symbolic_link_is_loaded() {
    let mount = folder("swap");
    let version = |version: u32, keys: &[&str]| {
        let folder = mount.join(format!("..{version}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("gateway.toml"), config(keys)).unwrap();
    };
    version(1, &["a"]);
    symlink("..1", mount.join("..data")).unwrap();
    symlink("..data/gateway.toml", mount.join("gateway.toml")).unwrap();
    // The program is started with a link from elsewhere.
    let file = folder("swap-elsewhere").join("own.toml");
    symlink(mount.join("gateway.toml"), &file).unwrap();
    let process = Process::start(&file).await;
    for (number, keys) in [(2, &["a", "b"][..]), (3, &["b", "c"]), (4, &["d"])] {
        version(number, keys);
        swap(&mount.join("..data"), &format!("..{number}"));
        fs::remove_dir_all(mount.join(format!("..{}", number - 1))).unwrap();
        process.has(keys).await;
    }
}

#[tokio::test]
async fn a_secret_in_a_file_of_its_own_is_loaded() {
    let (folder, secrets) = (folder("secret"), folder("secret-mount"));
    let (file, secret) = (folder.join("gateway.toml"), secrets.join("key"));
    fs::write(&secret, "sk-secret-1").unwrap();
    let text = config(&["a"]).replace("sk-secret-of-a", &format!("file:{}", secret.display()));
    fs::write(&file, text).unwrap();
    let mut process = Process::start(&file).await;
    replace(&secret, "sk-secret-2");
    process.says("replaced").await;
    process.has(&["a"]).await;
}

#[tokio::test]
async fn a_broken_file_keeps_the_old_keys() {
    let file = folder("broken").join("gateway.toml");
    fs::write(&file, config(&["a"])).unwrap();
    let mut process = Process::start(&file).await;
    replace(&file, &config(&["a", "a"]));
    let log = process.says("stays as it was").await;
    assert!(log.contains("same secret"), "{log}");
    process.has(&["a"]).await;
    replace(&file, &config(&["b"]));
    process.has(&["b"]).await;
}

#[tokio::test]
async fn a_hangup_loads_the_file_at_once() {
    let file = folder("hangup").join("gateway.toml");
    fs::write(&file, config(&["a"])).unwrap();
    let mut process = Process::start(&file).await;
    process.hang_up();
    process.says("configuration loaded again").await;
    fs::write(&file, config(&["b"])).unwrap();
    process.hang_up();
    process.has(&["b"]).await;
    fs::remove_file(&file).unwrap();
    process.hang_up();
    process.says("stays as it was").await;
    process.has(&["b"]).await;
}

#[tokio::test]
async fn a_change_of_another_file_loads_nothing() {
    let folder = folder("other");
    let file = folder.join("gateway.toml");
    fs::write(&file, config(&["a"])).unwrap();
    let mut process = Process::start(&file).await;
    for number in 0..5 {
        fs::write(folder.join(format!("other-{number}")), "text").unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    replace(&file, &config(&["b"]));
    let log = process.says("configuration loaded again").await;
    assert_eq!(log.matches("loaded again").count(), 1, "{log}");
    process.has(&["b"]).await;
}

/// Its content never comes, so reading it would never end.
#[tokio::test]
async fn a_pipe_in_place_of_a_file_delays_no_request() {
    for name in ["gateway.toml", "key"] {
        let folder = folder(&format!("pipe-{name}"));
        let (file, key) = (folder.join("gateway.toml"), folder.join("key"));
        fs::write(&key, "sk-secret-of-a").unwrap();
        fs::write(&file, config(&["a"]).replace("sk-secret-of-a", "file:key")).unwrap();
        let mut process = Process::start(&file).await;
        process.has(&["a"]).await;

        let pipe = folder.join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        fs::rename(pipe, folder.join(name)).unwrap();
        process.says("the configuration stays as it was").await;
        process.has(&["a"]).await;

        process.send("-TERM");
        let ended = timeout(LONG, process.child.wait()).await.expect("the process ends").unwrap();
        assert!(ended.success(), "{name}: {ended}");
    }
}
