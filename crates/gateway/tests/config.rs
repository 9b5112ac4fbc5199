//! Configuration files: their content, and the errors of invalid ones.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tower_key_rotation::fallback::{Commit, ContextLength, Start};
use tower_key_rotation::key::Tier;
use tower_key_rotation_gateway::config::{Config, ConfigError, Format, Loader};

/// A marker that every secret of these tests contains, and no output may contain.
const MARKER: &str = "tkrmarker";

const SAMPLE: &str = r#"
listen = "127.0.0.1:8787"
token = "env:GATEWAY_TOKEN"                 # optional
[chain]
order = ["openai", "anthropic"]             # names below; one name is enough
start = "ordered"                           # or "round_robin"
deadline = "60s"
head_timeout = "30s"
first_content_timeout = "15s"
idle_timeout = "20s"
commit = "first_content"                    # or "head", "complete"
context_length = "fall_over"                # or "deliver"
[rotation]                                  # for all providers
selection = "most_remaining"
affinity_header = "X-Session-Id"            # optional
warn_at = [0.5, 1]                          # optional
[[provider]]
name = "openai"
dialect = "openai"                          # openai, anthropic, gemini, or a preset's name
base_url = "https://api.openai.com/v1"
keys_env = "OPENAI"                         # discovery prefix; and/or explicit keys:
selection = "in_order"                      # optional, overrides
learn_accounts = false                      # optional
[provider.models]                           # what this provider calls a model the caller named
"gpt-4o" = "gpt-4o-2024-11-20"
[[provider.limit]]                          # of each account
model = "gpt-4o*"
requests_per_minute = 20
[[provider.limit]]
account = "org-1"                           # of that account only
requests_per_day = 25
reset = "utc"
[[provider.key]]
id = "team-a"
secret = "env:TEAM_A_KEY"
account = "org-1"
tier = "primary"                            # or "backup"
[[provider.key.limit]]                      # of that key alone
concurrent = 4
[[provider]]
name = "anthropic"
dialect = "anthropic"
base_url = "https://api.anthropic.com/v1"
keys_env = "ANTHROPIC"
[provider.models]
"*" = "claude-sonnet-4-5"
"#;

fn secret(name: &str) -> String {
    format!("sk-{MARKER}-{name}")
}

fn vars() -> Vec<(String, String)> {
    let names = ["GATEWAY_TOKEN", "TEAM_A_KEY", "OPENAI_API_KEY", "OPENAI_API_KEY_2", "ANTHROPIC_API_KEY"];
    let quoted = ("QUOTED_API_KEY".to_owned(), format!("\"{}\"", secret("QUOTED_API_KEY")));
    names.map(|name| (name.to_owned(), secret(name))).into_iter().chain([quoted]).collect()
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Loader::new().vars(vars()).parse(text, Format::Toml)
}

/// Returns a file with one provider, with `key` behind its header.
fn with_provider(rest: &str) -> String {
    format!("[[provider]]\nname = \"openai\"\nbase_url = \"https://h/v1\"\n{rest}")
}

fn in_json(toml: &str) -> String {
    let value: Value = toml::from_str(toml).unwrap();
    value.to_string()
}

#[test]
fn the_sample_is_loaded() {
    let config = parse(SAMPLE).unwrap();
    assert_eq!(config.listen().unwrap().to_string(), "127.0.0.1:8787");
    let token = config.token().unwrap();
    assert!(token.matches(secret("GATEWAY_TOKEN").as_bytes()));
    assert!(!token.matches(b"") && !token.matches(b"sk-tkrmarker-GATEWAY_TOKEM"));

    let chain = config.chain();
    assert_eq!(chain.order(), ["openai", "anthropic"]);
    assert_eq!((chain.start(), chain.commit()), (Start::Ordered, Commit::FirstContent));
    assert_eq!(chain.context_length(), ContextLength::FallOver);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!((chain.deadline(), chain.head_timeout()), (seconds(60), seconds(30)));
    assert_eq!((chain.first_content_timeout(), chain.idle_timeout()), (seconds(15), seconds(20)));

    let openai = config.provider("openai").unwrap();
    assert_eq!(openai.base_url(), "https://api.openai.com/v1");
    assert_eq!(openai.models().collect::<Vec<_>>(), [("gpt-4o", "gpt-4o-2024-11-20")]);
    let keys = openai.pool().snapshot().keys;
    let ids: Vec<_> = keys.iter().map(|key| key.id.as_str()).collect();
    assert_eq!(ids, ["OPENAI_API_KEY", "OPENAI_API_KEY_2", "team-a"]);
    assert_eq!(keys[2].account.as_ref().unwrap().as_str(), "org-1");
    assert_eq!(keys[2].tier, Tier::Primary);
    let counted = |key: usize| keys[key].limits.iter().map(|limit| limit.metric.as_str()).collect::<Vec<_>>();
    assert_eq!((counted(0), counted(2)), (vec![], vec!["concurrent", "requests"]));
    assert_eq!(config.affinity_header().unwrap(), "x-session-id");

    let anthropic = config.provider("anthropic").unwrap();
    assert_eq!(anthropic.models().collect::<Vec<_>>(), [("*", "claude-sonnet-4-5")]);
    assert_eq!(anthropic.pool().snapshot().keys.len(), 1);
    assert!(!format!("{config:?} {:#?}", Loader::new().vars(vars())).contains(MARKER));
}

#[test]
fn json_equals_toml() {
    let json = Loader::new().vars(vars()).parse(&in_json(SAMPLE), Format::Json).unwrap();
    assert_eq!(comparable(&json), comparable(&parse(SAMPLE).unwrap()));
}

/// Returns everything except the times of snapshots.
fn comparable(config: &Config) -> String {
    format!("{config:#?}")
}

#[test]
fn keys_go_only_to_the_base_url() {
    let config = parse(SAMPLE).unwrap();
    let elsewhere = SAMPLE.replace("https://api.openai.com/v1", "http://127.0.0.1:9000/v1");
    let moved = parse(&elsewhere).unwrap();
    let allows = |config: &Config, uri: &str| {
        config.provider("openai").unwrap().pool().provider().allows(&uri.parse().unwrap())
    };
    assert!(allows(&config, "https://api.openai.com/v1/models"));
    assert!(!allows(&moved, "https://api.openai.com/v1/models"));
    assert!(allows(&moved, "http://127.0.0.1:9000/v1/models"));
}

#[test]
fn the_file_names_the_provider() {
    let text = with_provider("keys_env = \"OPENAI\"")
        .replace("name = \"openai\"", "name = \"eu\"\ndialect = \"azure\"");
    let config = parse(&text).unwrap();
    let provider = config.providers()[0].pool().provider();
    assert_eq!(provider.name(), "eu");
    assert!(provider.errors_in_ok_bodies(), "the dialect is Azure's");
}

#[test]
fn without_an_order_the_chain_has_all_providers() {
    let config = parse(&SAMPLE.replace("order =", "# order =")).unwrap();
    assert_eq!(config.chain().order(), ["openai", "anthropic"]);
}

#[test]
fn a_secret_may_be_in_a_file_beside_the_configuration() {
    let folder = folder("secret_file");
    std::fs::create_dir_all(folder.join("keys")).unwrap();
    std::fs::write(folder.join("keys/b"), format!("{}\r\n", secret("b"))).unwrap();
    let path = folder.join("gateway.toml");
    let key = "[[provider.key]]\nsecret = \"file:keys/b\"\ntier = \"backup\"\nweight = 3";
    std::fs::write(&path, with_provider(key)).unwrap();
    let config = Loader::new().vars(vars()).load(&path).unwrap();
    let keys = config.providers()[0].pool().snapshot().keys;
    assert_eq!((keys[0].id.as_str(), keys[0].tier), ("b", Tier::Backup));

    std::fs::remove_file(folder.join("keys/b")).unwrap();
    let error = Loader::new().vars(vars()).load(&path).unwrap_err();
    let shown = error.to_string();
    assert!(shown.starts_with(&format!("{}:5:10: provider[0].key[0].secret: ", path.display())), "{shown}");
    assert!(shown.contains("keys/b"), "{shown}");
    assert!(error.source().unwrap().is::<std::io::Error>());
}

#[test]
fn the_format_follows_the_file_name() {
    let folder = folder("format");
    let text = with_provider("keys_env = \"OPENAI\"");
    for (name, content) in [("a.toml", text.clone()), ("a.JSON", in_json(&text)), ("a.conf", text.clone())] {
        std::fs::write(folder.join(name), content).unwrap();
    }
    let loader = || Loader::new().vars(vars());
    assert!(loader().load(folder.join("a.toml")).is_ok());
    assert!(loader().load(folder.join("a.JSON")).is_ok());
    assert!(loader().format(Format::Toml).load(folder.join("a.conf")).is_ok());
    let error = loader().load(folder.join("a.conf")).unwrap_err();
    assert!(error.to_string().contains("a.conf: the file name ends in neither"), "{error}");
    let error = loader().load(folder.join("nothing.toml")).unwrap_err();
    assert!(error.source().unwrap().is::<std::io::Error>());
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("config").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Each case: the text of a file, the path and the line in the error, and a part of its message.
const WRONG: &[(&str, &str, usize, &str)] = &[
    ("lisen = \"127.0.0.1:1\"", "", 1, "unknown field `lisen`, expected one of `listen`"),
    ("listen = \"here\"\nPROVIDER", "listen", 1, "not an address"),
    ("token = \"env:NOT_SET\"\nPROVIDER", "token", 1, "variable NOT_SET is not set"),
    ("token = \"env:sk-tkrmarker\"\nPROVIDER", "token", 1, "not the name of a variable"),
    ("token = \"\"\nPROVIDER", "token", 1, "not a secret"),
    ("token = [\"sk-tkrmarker\"]\nPROVIDER", "", 1, "invalid type: sequence, expected a string"),
    ("token = \"sk-tkrmarker", "", 1, "invalid basic string"),
    ("token = sk-tkrmarker", "", 1, "expected"),
    ("chain = \"sk-tkrmarker\"", "", 1, "invalid type: string, expected a table"),
    ("[chain]\n\"sk-tkrmarker1\" = 1", "", 2, "unknown field, expected one of `order`"),
    ("", "", 0, "no provider: add a [[provider]]"),
    ("PROVIDER\nkeys_env = \"OPENAI\"\nkeys_env = \"OPENAI\"", "", 6, "duplicate key"),
    ("[[provider]]\nname = \"openai\"", "provider[0]", 1, "missing field `base_url`"),
    ("PROVIDER\nkeyz_env = \"OPENAI\"", "", 5, "unknown field `keyz_env`"),
    ("PROVIDER\nkeys_env = \"GROQ\"", "provider[0]", 1, "no key: set one of GROQ_API_KEY, GROQ_API_KEY_*, "),
    (
        "PROVIDER\nkeys_env = \"QUOTED\"",
        "provider[0]",
        1,
        "no key: QUOTED_API_KEY has quotation marks in it: remove them. Searched: QUOTED_API_KEY, ",
    ),
    ("PROVIDER", "provider[0]", 1, "no key: add a [[provider.key]], or `keys_env`"),
    ("KEYED\nKEYED", "provider[1].name", 6, "two providers are named openai"),
    ("KEYED\n[chain]\norder = []", "chain.order", 6, "the order is empty"),
    (
        "KEYED\n[chain]\norder = [\"openai\",\n \"nobody\"]",
        "chain.order[1]",
        7,
        "unknown provider nobody: the known providers are openai",
    ),
    ("KEYED\n[chain]\norder = [\"openai\", \"openai\"]", "chain.order[1]", 6, "in the order twice"),
    ("KEYED\n[chain]\nstart = \"first\"", "chain.start", 6, "write one of ordered, round_robin"),
    ("KEYED\n[chain]\ncommit = \"never\"", "chain.commit", 6, "write one of head, first_content, complete"),
    ("KEYED\n[chain]\ncontext_length = \"\"", "chain.context_length", 6, "fall_over, deliver"),
    ("KEYED\n[chain]\ndeadline = \"60\"", "chain.deadline", 6, "not a duration"),
    ("KEYED\n[chain]\nidle_timeout = \"0s\"", "chain.idle_timeout", 6, "not a duration"),
    ("KEYED\n[chain]\nhead_timeout = \"-1s\"", "chain.head_timeout", 6, "not a duration"),
    ("[[provider]]\nname = \"a/b\"\nbase_url = \"https://h\"", "provider[0].name", 2, "not a name"),
    ("[[provider]]\nname = \"..\"\nbase_url = \"https://h\"", "provider[0].name", 2, "not a name"),
    (
        "[[provider]]\nname = \"nobody\"\nbase_url = \"https://h\"",
        "provider[0].dialect",
        1,
        "add a `dialect`",
    ),
    ("PROVIDER\ndialect = \"nobody\"", "provider[0].dialect", 5, "unknown dialect"),
    ("URL api.openai.com", "provider[0].base_url", 3, "it has no scheme"),
    ("URL ftp://h/v1", "provider[0].base_url", 3, "neither https nor http"),
    ("URL https://u:sk-tkrmarker@h/", "provider[0].base_url", 3, "a user name or a password"),
    ("URL https://h/v1?key=sk-tkrmarker", "provider[0].base_url", 3, "a query or a fragment"),
    ("URL https://*.h/v1", "provider[0].base_url", 3, "a pattern"),
    ("URL https://h h/", "provider[0].base_url", 3, "it is not a URL"),
    ("KEYED\n[provider.models]\n\"gpt-4o\" = \"\"", "provider[0].models.gpt-4o", 6, "model is empty"),
    ("PROVIDER\nKEY a env:NOT_SET", "provider[0].key[0].secret", 7, "variable NOT_SET is not set"),
    ("PROVIDER\nKEY a file:none", "provider[0].key[0].secret", 7, "secret file none can't be read"),
    ("PROVIDER\nKEY a sk tkrmarker", "provider[0].key[0].secret", 7, "not a secret"),
    ("PROVIDER\nKEY a sk-1\ntier = \"sk-tkrmarker\"", "provider[0].key[0].tier", 8, "primary, backup"),
    ("PROVIDER\nKEY a sk-1\nweight = 0", "", 8, "invalid value: integer, expected a nonzero u32"),
    (
        "PROVIDER\nKEY a sk-1\nweight = \"sk-tkrmarker\"",
        "",
        8,
        "invalid type: string, expected a nonzero u32",
    ),
    ("PROVIDER\nKEY  sk-1", "provider[0].key[0].id", 6, "not a name"),
    ("PROVIDER\nKEY a sk-1\nKEY a sk-2", "provider[0].key[1].id", 9, "two keys are named a"),
    (
        "PROVIDER\nKEY a sk-tkrmarker\nKEY b sk-tkrmarker",
        "provider[0].key[1].secret",
        10,
        "the keys a and b have the same secret",
    ),
    (
        "KEYED\nKEY a env:OPENAI_API_KEY",
        "provider[0].key[0].secret",
        7,
        "the keys OPENAI_API_KEY and a have the same secret",
    ),
    ("KEYED\nKEY OPENAI_API_KEY sk-1", "provider[0].key[0].id", 6, "two keys are named OPENAI_API_KEY"),
    (
        "[rotation]\nselection = \"best\"",
        "rotation.selection",
        2,
        "write one of round_robin, in_order, random",
    ),
    ("[rotation]\naffinity_header = \"x session\"", "rotation.affinity_header", 2, "not a header name"),
    ("[rotation]\naffinity_header = \"\"", "rotation.affinity_header", 2, "not a header name"),
    ("[rotation]\nwarn_at = [0.5, 1.5]", "rotation.warn_at[1]", 2, "not a share of a limit"),
    ("[rotation]\nwarn_at = [0]", "rotation.warn_at[0]", 2, "not a share of a limit"),
    (
        "[rotation]\nwarn_at = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]",
        "rotation.warn_at",
        2,
        "at most 8 numbers",
    ),
    ("PROVIDER\nselection = \"best\"", "provider[0].selection", 5, "write one of round_robin, in_order"),
    ("LIMIT", "provider[0].limit[0]", 4, "a limit without an amount"),
    ("LIMIT\nmodel = \"gpt\"", "provider[0].limit[0]", 4, "a limit without an amount"),
    ("LIMIT\nrequests_per_minute = 0", "", 5, "invalid value: integer, expected a nonzero u64"),
    ("LIMIT\nconcurrent = -1", "", 5, "invalid value: integer, expected a nonzero u32"),
    ("LIMIT\nrequests_per_hour = 1", "", 5, "unknown field `requests_per_hour`, expected one of `model`"),
    ("LIMIT\ntokens_per_day = 1\nmodel = \"\"", "provider[0].limit[0].model", 6, "model is empty"),
    ("LIMIT\nconcurrent = 1\nburst = 5", "provider[0].limit[0].burst", 6, "`burst` without an amount"),
    ("LIMIT\nrequests_per_day = 1\nburst = 5", "provider[0].limit[0].burst", 6, "`burst` without an amount"),
    (
        "LIMIT\ntokens_per_minute = 1\nreset = \"utc\"",
        "provider[0].limit[0].reset",
        6,
        "`reset` without an amount",
    ),
    (
        "LIMIT\nrequests_per_day = 1\nreset = \"sk-tkrmarker\"",
        "provider[0].limit[0].reset",
        6,
        "write `utc`, `pacific`, `rolling`, or a POSIX rule",
    ),
    (
        "KEYED\n[[provider.limit]]\naccount = \"org\"\nrequests_per_day = 1",
        "provider[0].limit[0].account",
        6,
        "no key belongs to the account org: set the `account` of a [[provider.key]]",
    ),
    (
        "LIMIT\naccount = \"org\"\nconcurrent = 1\nKEY a sk-1\naccount = \"two\"\nKEY b sk-2\naccount = \"one\"",
        "provider[0].limit[0].account",
        5,
        "no key belongs to the account org: the known accounts are one, two",
    ),
    (
        "PROVIDER\nKEY a sk-1\naccount = \"org\"\n[[provider.key.limit]]\nconcurrent = 1\naccount = \"org\"",
        "provider[0].key[0].limit[0].account",
        11,
        "a limit of a key can't name an account",
    ),
    (
        "PROVIDER\nKEY a sk-1\n[[provider.key.limit]]\nmodel = \"m\"",
        "provider[0].key[0].limit[0]",
        8,
        "a limit without an amount",
    ),
];

/// Expands the abbreviations of the table.
fn written(short: &str) -> String {
    let url =
        |line: &str| line.strip_prefix("URL ").map(|url| with_provider("").replace("https://h/v1", url));
    let key = |line: &str| {
        let (id, secret) = line.strip_prefix("KEY ")?.split_once(' ')?;
        Some(format!("[[provider.key]]\nid = \"{id}\"\nsecret = \"{secret}\""))
    };
    let line = |line: &str| match line {
        "PROVIDER" => with_provider(""),
        "KEYED" => with_provider("keys_env = \"OPENAI\""),
        "LIMIT" => with_provider("[[provider.limit]]"),
        line => url(line).or_else(|| key(line)).unwrap_or_else(|| line.to_owned()),
    };
    short.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_toml_error_names_its_location() {
    for &(short, path, line, said) in WRONG {
        let text = written(short);
        let error = parse(&text).expect_err(short);
        let shown = error.to_string();
        assert!(shown.contains(said), "{text}\n{shown}");
        assert_eq!(error.location().path(), path, "{text}\n{shown}");
        assert_eq!(error.location().position().map_or(0, |(line, _)| line), line, "{text}\n{shown}");
        assert_is_clean(&error);
    }
}

#[test]
fn a_json_error_names_its_location() {
    for &(short, path, _, said) in WRONG {
        let Ok(value) = toml::from_str::<Value>(&written(short)) else { continue };
        let error = Loader::new().vars(vars()).parse(&format!("{value:#}"), Format::Json).expect_err(short);
        assert_eq!(error.location().path(), path, "{error}");
        assert_eq!(error.location().position().is_some(), path.is_empty() && !short.is_empty(), "{error}");
        assert!(error.to_string().contains(said.split(", expected").next().unwrap()), "{error}");
        assert_is_clean(&error);
    }
    let error = parse_json(r#"{"token": "sk-tkrmarker"#);
    assert!(error.to_string().starts_with("line 1, column 23: EOF while parsing"), "{error}");
}

fn parse_json(text: &str) -> ConfigError {
    Loader::new().vars(vars()).parse(text, Format::Json).unwrap_err()
}

/// Checks that neither the error nor its sources show a secret.
fn assert_is_clean(error: &ConfigError) {
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(part) = next {
        let shown = format!("{part} {part:?} {part:#?}");
        assert!(!shown.contains(MARKER), "{shown}");
        next = part.source();
    }
}

#[test]
fn a_file_may_be_part_of_a_larger_one() {
    #[derive(serde::Deserialize)]
    struct Larger {
        mine: u8,
        gateway: tower_key_rotation_gateway::config::ConfigFile,
    }
    let text = SAMPLE
        .replace("[chain]", "[gateway.chain]")
        .replace("[provider", "[gateway.provider")
        .replace("[[provider", "[[gateway.provider");
    let text = text.replace("listen =", "mine = 1\n[gateway]\nlisten =");
    let larger: Larger = toml::from_str(&text).unwrap();
    assert_eq!(larger.mine, 1);
    assert!(!format!("{:?}", larger.gateway).contains(MARKER));
    let config = Loader::new().vars(vars()).resolve(larger.gateway).unwrap();
    assert_eq!(config.providers().len(), 2);
}
