//! Rules of a configuration, their errors, and their effect.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use http::Response;
use tower::ServiceExt;
use tower_key_rotation::classify::{Outcome, Verdict};
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation_gateway::config::{Config, ConfigError, Format, Loader};

/// 2026-03-31T00:00:00Z.
const NOW: Timestamp = Timestamp::from_unix_ms(1_774_915_200_000);

fn parse(rules: &str) -> Result<Config, ConfigError> {
    let provider = "[[provider]]\nname = \"openai\"\nbase_url = \"https://h/v1\"\nkeys_env = \"OPENAI\"\n";
    Loader::new().vars([("OPENAI_API_KEY", "sk-a")]).parse(&format!("{provider}{rules}"), Format::Toml)
}

/// Classifies a response by the rules of a file.
async fn verdict(rules: &str, status: u16, body: &'static str) -> String {
    let config = parse(rules).unwrap_or_else(|error| panic!("{rules}: {error}"));
    let provider = config.providers()[0].pool().provider().clone();
    let (head, ()) = Response::builder().status(status).header("x-node", "7").body(()).unwrap().into_parts();
    let path = http::uri::PathAndQuery::from_static("/v1/images/edits");
    let outcome = Outcome::response(head, Bytes::from_static(body.as_bytes()), NOW).with_path(path);
    let verdict = provider.classifier().oneshot(outcome).await.unwrap();
    let by = verdict.fault().and_then(tower_key_rotation::classify::Fault::why);
    match (&verdict, by) {
        (Verdict::Fault(fault), Some(by)) => format!("{fault} by {by}"),
        _ => verdict.to_string(),
    }
}

#[tokio::test]
async fn rules_are_read_from_the_file() {
    let body = r#"{"error":{"code":1302,"message":"Tank empty"}}"#;
    for (rule, expected) in [
        (
            "status = 402\nreason = \"quota_exceeded\"\nwait = \"1h\"",
            "quota_exceeded (key), retry after 3600s by rule[0]",
        ),
        ("status = [401, 402]\nreason = \"overloaded\"", "overloaded (provider) by rule[0]"),
        ("code = 1302\nverdict = \"deliver\"", "request_error"),
        ("code = [\"x\", 1302]\nverdict = \"ignore\"", "success"),
        ("says = \"empty\"\nverdict = \"ignore\"", "success"),
        ("header = \"x-node: 7\"\nverdict = \"ignore\"", "success"),
        ("path = [\"/v2\", \"/v1/images\"]\nverdict = \"ignore\"", "success"),
        (
            "name = \"full\"\nstatus = 402\nverdict = \"fault\"\nreason = \"forbidden\"\nscope = \"account_model\"\nuntil = \"midnight pacific\"",
            "forbidden (account_model), retry after 25200s by rule[0]",
        ),
        (
            "status = 402\nreason = \"forbidden\"\nuntil = \"midnight\"",
            "forbidden (key), retry after 86400s by rule[0]",
        ),
    ] {
        assert_eq!(verdict(&format!("[[provider.rule]]\n{rule}\n"), 402, body).await, expected, "{rule}");
    }
    let two = "[[provider.rule]]\nstatus = 403\nverdict = \"deliver\"\n[[provider.rule]]\nstatus = 402\nreason = \"rate_limited\"\n";
    assert_eq!(verdict(two, 402, body).await, "rate_limited (key) by rule[1]");
    assert_eq!(verdict(two, 403, body).await, "request_error");
}

#[test]
fn rules_with_a_problem_name_its_place() {
    for (rule, place, says) in [
        ("verdict = \"deliver\"", "", "without a condition"),
        ("status = 402", ".verdict", "without a verdict"),
        ("status = 402\nverdict = \"fault\"", ".reason", "without a reason"),
        ("status = 402\nscope = \"key\"", ".reason", "without a reason"),
        ("status = 402\nverdict = \"block\"", ".verdict", "write one of fault, deliver, ignore"),
        ("status = 402\nreason = \"broke\"", ".reason", "not a reason"),
        ("status = 402\nreason = \"forbidden\"\nscope = \"keys\"", ".scope", "not a scope"),
        ("status = 402\nverdict = \"deliver\"\nreason = \"forbidden\"", ".reason", "only a fault"),
        ("status = 402\nverdict = \"ignore\"\nscope = \"key\"", ".scope", "only a fault"),
        ("status = 402\nverdict = \"deliver\"\nwait = \"1h\"", ".wait", "only a fault"),
        ("status = 402\nreason = \"forbidden\"\nwait = \"soon\"", ".wait", "not a duration"),
        ("status = 402\nreason = \"forbidden\"\nwait = \"0s\"", ".wait", "not a duration"),
        ("status = 402\nreason = \"invalid_key\"\nwait = \"1h\"", ".wait", "until it is replaced"),
        ("status = 402\nreason = \"forbidden\"\nwait = \"1h\"\nuntil = \"midnight\"", ".until", "keep one"),
        ("status = 402\nreason = \"forbidden\"\nuntil = \"noon\"", ".until", "write `midnight`"),
        ("status = 402\nreason = \"forbidden\"\nuntil = \"midnightutc\"", ".until", "write `midnight`"),
        ("status = 99\nverdict = \"deliver\"", ".status", "not a status"),
        ("status = -1\nverdict = \"deliver\"", ".status", "not a status"),
        ("status = [402, 70000]\nverdict = \"deliver\"", ".status[1]", "not a status"),
        ("status = 200\nreason = \"forbidden\"", ".status", "every success"),
        ("says = [\"a\", \" \"]\nverdict = \"deliver\"", ".says[1]", "no text"),
        ("code = \"\"\nverdict = \"deliver\"", ".code", "no text"),
        ("header = \"x y\"\nverdict = \"deliver\"", ".header", "not a header"),
        ("path = \"v1\"\nverdict = \"deliver\"", ".path", "not a path"),
        ("name = \"\"\nstatus = 402\nverdict = \"deliver\"", ".name", "not a name"),
        ("status = [402, 418]\ncode = \"x\"\nverdict = \"deliver\"", "", "because rule[0] holds"),
    ] {
        let first =
            "[[provider.rule]]\nstatus = [418, 402, 500]\ncode = [\"x\", \"y\"]\nverdict = \"deliver\"\n";
        let error = parse(&format!("{first}[[provider.rule]]\n{rule}\n")).unwrap_err();
        assert_eq!(error.location().path(), format!("provider[0].rule[1]{place}"), "{rule}: {error}");
        assert!(error.to_string().contains(says), "{rule}: {error}");
        assert!(error.location().position().is_some_and(|(line, _)| line >= 9), "{rule}: {error}");
    }
}

#[test]
fn values_of_a_wrong_type_are_found() {
    for (rule, says) in [
        ("status = \"402\"", "invalid type: string, expected i64"),
        ("status = []", "expected at least one value"),
        ("says = 5", "invalid type: integer"),
        ("code = true", "expected a value or a list of values"),
        ("sttus = 402", "unknown field `sttus`"),
    ] {
        let error = parse(&format!("[[provider.rule]]\n{rule}\n")).unwrap_err().to_string();
        assert!(error.contains(says) && error.starts_with("line "), "{rule}: {error}");
    }
}

/// The example in the file to start from is a valid one.
#[test]
fn the_example_is_valid() {
    let file = include_str!("../gateway.toml");
    let begin = file.find("# [[provider.rule]]").unwrap();
    let lines = file[begin..].lines().take_while(|line| line.starts_with("# "));
    let rules: String = lines.map(|line| format!("{}\n", &line[2..])).collect();
    let config = parse(&rules).unwrap_or_else(|error| panic!("{rules}\n{error}"));
    let rules = config.providers()[0].pool().provider().rules();
    assert_eq!(rules.iter().filter_map(|rule| rule.name()).collect::<Vec<_>>(), ["no credit", "no images"]);
}
