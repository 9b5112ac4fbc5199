//! The command `explain`, run as a process: on files, and on what `curl -i` prints.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_key-rotation-gateway");

const CONFIG: &str = r#"
[[provider]]
name = "openai"
base_url = "https://h/v1"
[[provider.rule]]
name = "no credit"
status = 402
reason = "quota_exceeded"
wait = "1h"
[[provider.rule]]
status = 403
path = "/v1/images"
verdict = "deliver"
[[provider.key]]
id = "a"
secret = "env:EXPLAIN_KEY"
"#;

/// Writes a file into a folder of this process.
fn file(name: &str, content: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("gateway-explain-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(name);
    fs::write(&file, content).unwrap();
    file
}

/// Runs the command, with this text on its standard input.
fn explain(args: &[&str], stdin: impl AsRef<[u8]>) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("explain").args(args).env("EXPLAIN_KEY", "sk-tkrmarker");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The process may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_ref());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Returns the value of a line of the first explanation.
fn value(output: &Output, name: &str) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    let line = out.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("{name} in {out}")).to_owned()
}

#[test]
fn a_file_is_explained_line_by_line() {
    let lines = [
        r#"{"id":"first","provider":"openai","status":402,"body":{"error":{"code":"x","message":"m"}}}"#,
        "",
        r#"{"provider":"openai","status":429,"headers":{"retry-after":"7"},"body":"slow"}"#,
    ];
    let responses = file("lines.jsonl", &lines.join("\n"));
    let output = explain(&[responses.to_str().unwrap()], "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    assert!(
        out.starts_with("first: openai, status 402\n  verdict: quota_exceeded\n  scope: account\n"),
        "{out}"
    );
    assert!(out.contains("  codes: x\n") && out.contains("line 3: openai, status 429\n"), "{out}");
    assert!(out.contains("  wait: 7 s\n"), "{out}");
}

#[test]
fn the_rule_the_row_or_the_evidence_is_named() {
    let config = file("config.toml", CONFIG);
    let config = config.to_str().unwrap();
    for (args, response, by) in [
        (&["--config", config, "-"][..], r#"{"status":402}"#, "rule[0] (no credit)"),
        (&["--config", config, "-"], r#"{"status":403,"path":"/v1/images/edits"}"#, "rule[1]"),
        (&["--config", config, "--path", "/v1/images", "-"], r#"{"status":403}"#, "rule[1]"),
        (&["--config", config, "-"], r#"{"status":403}"#, "status"),
        (&["--provider", "openai", "-"], r#"{"status":402}"#, "status"),
        (
            &["--provider", "openai", "-"],
            r#"{"status":429,"body":{"error":{"code":"usage_limit_reached"}}}"#,
            "row of the provider's table, code: usage_limit_reached",
        ),
        (
            &["--provider", "openai", "-"],
            r#"{"status":400,"body":{"error":{"code":"content_filter"}}}"#,
            "row for all providers, code: ",
        ),
        (
            &["--provider", "compatible", "-"],
            r#"{"status":400,"body":{"message":"Your balance is insufficient."}}"#,
            "meaning, sentence: money",
        ),
        (&["--provider", "openai", "-"], r#"{"status":200,"body":"{}"}"#, "no error in a success"),
    ] {
        let output = explain(args, response);
        let named = value(&output, "decided by");
        assert!(named.starts_with(by), "{response}: {named}");
    }
    let output = explain(&["--config", config, "-"], r#"{"status":402}"#);
    assert_eq!((value(&output, "wait"), value(&output, "scope")), ("3600 s".into(), "key".into()));
}

#[test]
fn a_dump_of_curl_is_explained() {
    let body = r#"{"error":{"code":"insufficient_quota","message":"No."}}"#;
    for dump in [
        format!("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 9\r\n\r\n{body}"),
        format!("HTTP/1.1 429 Too Many Requests\nRetry-After: 9\n\n{body}"),
        format!("HTTP/2 429 \r\nretry-after: 9\r\ncontent-type: application/json\r\n\r\n{body}\r\n"),
        format!("\r\n\nHTTP/1.1 429 X\r\nretry-after: 9\r\n\r\n{body}"),
        format!("HTTP/1.1 429 X\r\ntransfer-encoding: chunked\r\nretry-after: 9\r\n\r\n{body}"),
        format!("HTTP/1.1 429 X\r\ncontent-encoding: gzip\r\nretry-after: 9\r\n\r\n{body}"),
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 X\r\nretry-after: 9\r\n\r\n{body}"),
        format!(
            "HTTP/1.1 301 Moved\r\nretry-after: 1\r\n\r\nHTTP/1.1 200 Connection established\r\n\r\nHTTP/2 429\r\nretry-after: 9\r\n\r\n{body}"
        ),
    ] {
        let output = explain(&["--provider", "openai", "--stdin"], &dump);
        let of = |name| value(&output, name);
        assert_eq!((of("verdict").as_str(), of("wait").as_str()), ("quota_exceeded", "9 s"), "{dump}");
        assert!(text(&output.stdout).starts_with("openai, status 429\n"));
    }
    let headers_only = explain(&["--provider", "openai", "--stdin"], "HTTP/2 402\ndate: x");
    assert_eq!(value(&headers_only, "verdict"), "quota_exceeded");
    let lines_in_the_body = explain(&["--provider", "openai", "--stdin"], "HTTP/2 402\n\na\n\nb: c\n");
    assert_eq!(value(&lines_in_the_body, "decided by"), "status");
    let event = "HTTP/2 200\ncontent-type: text/event-stream\n\ndata: {\"error\":{\"code\":\"insufficient_quota\"}}\n\n";
    assert_eq!(value(&explain(&["--provider", "openai", "--stdin"], event), "verdict"), "quota_exceeded");
}

#[test]
fn a_body_that_can_not_be_read_is_an_error() {
    for (encoding, body, says) in [
        ("transfer-encoding: chunked", &b"1a; x=1\r\n{}\r\n0\r\n\r\n"[..], "line 4: the body is in chunks"),
        ("content-encoding: gzip", b"\x1f\x8b\x08\x00\xff\xfe", "line 4: the body is compressed"),
    ] {
        let dump = [format!("HTTP/1.1 429 X\r\n{encoding}\r\n\r\n").as_bytes(), body].concat();
        let output = explain(&["--provider", "openai", "--stdin"], dump);
        let errors = text(&output.stderr);
        assert!(!output.status.success() && errors.contains(says), "{errors}");
    }
}

#[test]
fn bad_input_is_an_error_with_its_line() {
    let openai = ["--provider", "openai"];
    let stdin = ["--provider", "openai", "--stdin"];
    let file = ["--provider", "openai", "-"];
    for (args, input, says) in [
        (&stdin[..], "", "line 1: nothing to read"),
        (&stdin, "402 Payment Required\n\n", "line 1: not a status line"),
        (&stdin, "HTTP/1.1 abc\n\n", "line 1: not a status line"),
        (&stdin, "HTTP/1.1 402 X\nretry-after: 1\nsk-tkrmarker\n\n", "line 3: not a header"),
        (&stdin, "HTTP/2 402\na b: 1\n\n", "line 2: not the name of a header"),
        (&stdin, "HTTP/1.1 100 Continue\n\nHTTP/2 402\nx\n", "line 4: not a header"),
        (&file, "{\"status\":402}\n{\"status\":", "line 2: column 10: not a JSON object"),
        (&file, "[]", "line 1: column"),
        (&file, "{}", "line 1: `status` is missing"),
        (&file, r#"{"status":"many"}"#, "line 1: `status` is not a number"),
        (&file, r#"{"status":402,"headers":[]}"#, "line 1: `headers` is not an object"),
        (&file, r#"{"status":402,"now":"sk-tkrmarker"}"#, "line 1: `now` is not a time"),
        (&["-"], r#"{"status":402}"#, "line 1: no provider: add --provider NAME"),
        (&["--provider", "sk-tkrmarker", "-"], r#"{"status":402}"#, "line 1: unknown provider"),
        (&["--provider", "openai", "/absent.jsonl"], "", "/absent.jsonl: No such file"),
        (&["--config", "/absent.toml", "-"], "", "/absent.toml: the file can't be read"),
        (&openai, "", "RESPONSES.jsonl"),
    ] {
        let output = explain(args, input);
        let errors = text(&output.stderr);
        assert!(!output.status.success() && errors.contains(says), "{args:?} {input:?}: {errors}");
        assert!(!errors.contains("tkrmarker"), "{errors}");
    }
    let output = explain(&file, "{\"status\":402}\nnothing\n{\"status\":401}");
    assert_eq!(text(&output.stdout).matches("verdict").count(), 2, "the other lines are explained");
}
