//! The program: signals, standard streams that can't be written to, metrics.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/raw.rs"]
#[allow(dead_code, reason = "no test uses all of it")]
mod raw;

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use raw::{exchange, open, rest};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout};
use tokio::time::{sleep, timeout};
use tower_key_rotation_sim::{Script, SimFault, SimKey, SimServer, Simulator};

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// A gateway process, killed when it is dropped, in front of a provider with a key that is always limited.
struct Process {
    child: Child,
    /// Open while the process may write to it.
    _stdout: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
    _provider: SimServer,
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_key-rotation-gateway");

/// A file with this content, in a folder of the test's own.
fn file(test: &str, content: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("gateway-process-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{test}.toml"));
    let mut options = File::options();
    let mut opened = options.write(true).create(true).truncate(true).mode(0o600).open(&file).unwrap();
    opened.write_all(content.as_bytes()).unwrap();
    file
}

async fn provider() -> SimServer {
    let keys = ["a", "b"].map(|name| SimKey::new(name, format!("sk-{name}")));
    let sim = Simulator::openai().keys(keys).event_gap(Duration::from_millis(30)).build();
    // The cooldown is so short that nearly every request has something to log.
    sim.key("a").script(Script::always(SimFault::rate_limited(Duration::from_millis(1))));
    sim.serve().await.unwrap()
}

fn config(provider: &SimServer) -> String {
    let origin = provider.origin();
    format!(
        "[[provider]]\nname = \"openai\"\nbase_url = \"{origin}/v1\"\n[[provider.key]]\nid = \"a\"\n\
         secret = \"sk-a\"\n[[provider.key]]\nid = \"b\"\nsecret = \"sk-b\"\n"
    )
}

// === impl Process ===

impl Process {
    async fn start(test: &str, before: &str, level: &str, stderr: Stdio) -> Self {
        let provider = provider().await;
        let config = file(test, &format!("{before}\n{}", config(&provider)));
        let mut child = tokio::process::Command::new(PROGRAM)
            .args(["--listen", "127.0.0.1:0", "--log", level, "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = stdout.next_line().await.unwrap().expect("the gateway starts");
            if let Some(address) = line.strip_prefix("listening on http://") {
                break address.parse().unwrap();
            }
        };
        Self { child, _stdout: stdout, address, _provider: provider }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Returns the exit status of the process.
    async fn ended(&mut self) -> ExitStatus {
        timeout(Duration::from_secs(20), self.child.wait()).await.expect("the process ends").unwrap()
    }

    /// Waits until the process accepts no more connections.
    async fn stopping(&self) {
        while TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    /// Sends chat requests over one connection, all of which are served.
    async fn serve(&self, requests: usize) {
        let responses = exchange(self.address, &chat(false, requests)).await;
        assert_eq!(responses.matches("HTTP/1.1 200 OK").count(), requests);
    }

    /// Returns a stream that has begun.
    async fn stream(&self) -> TcpStream {
        let stream = open(self.address, &chat(true, 1)).await;
        stream.readable().await.unwrap();
        stream
    }

    async fn lost_lines(&self) -> u64 {
        let request = "GET /api/key-status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let status = exchange(self.address, request).await;
        let (_, lost) = status.split_once("\"log_lines_lost\":").unwrap();
        lost.split(|it: char| !it.is_ascii_digit()).next().unwrap().parse().unwrap()
    }
}

/// The gateway watches the folder of its file for changes, and each line of the log changes the folder.
#[tokio::test]
async fn a_log_next_to_the_file_does_not_feed_itself() {
    let log = file("own-log", "").with_extension("log");
    let mut process = Process::start("own-log", "", "trace", File::create(&log).unwrap().into()).await;
    process.serve(5).await;
    process.signal("-TERM");
    process.ended().await;
    let text = fs::read_to_string(log).unwrap();
    assert!(text.contains("TRACE") && !text.contains("notify::"), "{}", text.len());
}

/// Sends requests one after the other. The last one closes the connection.
fn chat(stream: bool, requests: usize) -> String {
    let body = format!(r#"{{"stream":{stream},"model":"m","messages":[{{"role":"user","content":"hi"}}]}}"#);
    let request = |last: bool| {
        let close = if last { "connection: close\r\n" } else { "" };
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{close}\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    (1..=requests).map(|number| request(number == requests)).collect()
}

// === a log that can't be written ===

/// 500 requests are served, and a stream may end after SIGTERM.
async fn serves_and_drains(mut process: Process, level: &str) {
    process.serve(500).await;
    if ["info", "debug", "trace"].contains(&level) {
        assert!(process.lost_lines().await > 0, "{level}");
    }
    let stream = process.stream().await;
    process.signal("-TERM");
    assert!(rest(stream).await.contains("[DONE]"), "{level}");
    assert!(process.ended().await.success(), "{level}");
}

#[tokio::test]
async fn a_full_disk_only_loses_log_lines() {
    for level in LEVELS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let process = Process::start(&format!("full-{level}"), "", level, full.into()).await;
        serves_and_drains(process, level).await;
    }
}

#[tokio::test]
async fn a_closed_pipe_only_loses_log_lines() {
    for level in LEVELS {
        let mut process = Process::start(&format!("closed-{level}"), "", level, Stdio::piped()).await;
        drop(process.child.stderr.take());
        serves_and_drains(process, level).await;
    }
}

#[tokio::test]
async fn a_blocked_pipe_only_loses_log_lines() {
    for level in LEVELS {
        let mut process = Process::start(&format!("unread-{level}"), "", level, Stdio::piped()).await;
        process.serve(500).await;
        let stream = process.stream().await;
        process.signal("-TERM");
        assert!(rest(stream).await.contains("[DONE]"), "{level}");
        assert!(process.ended().await.success(), "{level}");
    }
}

#[tokio::test]
async fn times_are_recorded_as_histograms() {
    let process = Process::start("histograms", "", "warn", Stdio::null()).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    // Counting begins with the first scrape.
    exchange(process.address, &get("/metrics")).await;
    exchange(process.address, &get("/v1/models")).await;
    let metrics = exchange(process.address, &get("/metrics")).await;
    for line in
        ["tower_key_rotation_attempt_duration_seconds_bucket{", "le=\"120\"}", "log_lines_lost_total 0\n"]
    {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn lost_log_lines_are_counted() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let process = Process::start("lost", "", "info", full.into()).await;
    process.serve(1).await;
    let get = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let lost = async {
        loop {
            let metrics = exchange(process.address, get).await;
            let count = metrics
                .lines()
                .find_map(|it| it.strip_prefix("tower_key_rotation_gateway_log_lines_lost_total "));
            if count.unwrap().parse::<u64>().unwrap() > 0 {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), lost).await.expect("the line of the request is counted as lost");
}

#[tokio::test]
async fn a_check_survives_broken_streams() {
    let provider = provider().await;
    let config = file("check", &config(&provider));
    let check = |stdout: Stdio| {
        let mut command = Command::new(PROGRAM);
        command.args(["--check", "--config"]).arg(&config).stdout(stdout).stderr(Stdio::piped());
        command.spawn().unwrap().wait_with_output().unwrap()
    };
    let full = File::options().write(true).open("/dev/full").unwrap();
    for stdout in [Stdio::piped(), full.into()] {
        let output = check(stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
    }
}

// === signals ===

#[tokio::test]
async fn a_second_signal_ends_the_process() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut process = Process::start(&format!("twice{signal}"), "", "info", Stdio::null()).await;
        let _stream = process.stream().await;
        process.signal(signal);
        process.stopping().await;
        assert!(process.child.try_wait().unwrap().is_none(), "the stream may end");
        process.signal(signal);
        assert_eq!(process.ended().await.code(), Some(code));
    }
}

#[tokio::test]
async fn a_hangup_ends_no_stream() {
    let process = Process::start("hangup", "", "info", Stdio::null()).await;
    let stream = process.stream().await;
    process.signal("-HUP");
    assert!(rest(stream).await.contains("[DONE]"));
    process.serve(1).await;
}

#[tokio::test]
async fn a_stop_has_a_timeout() {
    let limit = "[server]\nshutdown_timeout = \"50ms\"";
    let mut process = Process::start("limit", limit, "info", Stdio::null()).await;
    let _stream = process.stream().await;
    process.signal("-TERM");
    assert_eq!(process.ended().await.code(), Some(1));
}

// === addresses that other machines reach ===

#[tokio::test]
async fn a_public_address_needs_a_token() {
    let provider = provider().await;
    let config = file("open", &config(&provider));
    for address in ["0.0.0.0:0", "[::]:0"] {
        let mut command = Command::new(PROGRAM);
        command.args(["--listen", address, "--config"]).arg(&config);
        let output = command.output().unwrap();
        assert!(!output.status.success());
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains("--allow-open") && message.contains("token"), "{message}");
    }
    let mut command = Command::new(PROGRAM);
    command.args(["--allow-open", "--check", "--listen", "0.0.0.0:0", "--config"]).arg(&config);
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
}
