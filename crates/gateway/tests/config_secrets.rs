//! Secrets in a configuration: misplaced, malformed, or readable by others.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use tower_key_rotation::key::{InvalidName, InvalidSecret};
use tower_key_rotation_gateway::config::{Config, ConfigError, Format, Loader, Problem, Risk};

/// Texts that look like the keys of several providers.
const SECRETS: [&str; 6] = [
    "sk-proj-0123456789abcdefghij",
    "AIzaSyA0123456789abcdefghijklmnopqrstuv",
    "AKIAIOSFODNN7EXAMPLE",
    "0123456789abcdef0123456789abcdef",
    "gsk_a1b2c3d4",
    "aVeryLongPassphraseOfLettersOnly",
];

const PROVIDER: &str = "[[provider]]\nname = \"openai\"\nbase_url = \"https://h/v1\"\n";
const KEY: &str = "[[provider.key]]\nid = \"a\"\nsecret = \"sk-1\"\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Loader::new().vars([("OPENAI_API_KEY", "sk-found")]).parse(text, Format::Toml)
}

fn said(error: &ConfigError) -> String {
    let mut said = format!("{error} {error:?} {:#?}", error.problem());
    let mut source = error.source();
    while let Some(error) = source {
        said += &format!(" {error} {error:?}");
        source = error.source();
    }
    said
}

#[test]
fn no_error_shows_a_misplaced_secret() {
    for secret in SECRETS {
        for text in [
            format!("token = \"env:{secret}\"\n{PROVIDER}{KEY}"),
            format!("token = \"file:{secret}\"\n{PROVIDER}{KEY}"),
            format!("{PROVIDER}keys_env = \"{secret}\""),
            format!("{PROVIDER}keys_env = \"{secret}\"\n{KEY}account = \"\"\nweight = 0"),
            format!("{PROVIDER}dialect = \"{secret}\"\n{KEY}"),
            format!("{PROVIDER}selection = \"{secret}\"\n{KEY}"),
            format!("[chain]\norder = [\"{secret}\"]\n{PROVIDER}{KEY}"),
            format!("[chain]\norder = [\"openai\", \"openai\", \"{secret}\"]\n{PROVIDER}{KEY}"),
            format!("[chain]\nstart = \"{secret}\"\n{PROVIDER}{KEY}"),
            format!("{PROVIDER}{KEY}[provider.models]\n\"{secret}\" = \"\""),
            format!("{PROVIDER}{KEY}[[provider.limit]]\naccount = \"{secret}\"\nconcurrent = 1"),
            format!(
                "{PROVIDER}[[provider.limit]]\naccount = \"x\"\nconcurrent = 1\n{KEY}account = \"{secret}\""
            ),
            format!("{PROVIDER}{KEY}{secret} = 1"),
            format!("{PROVIDER}{KEY}[[provider.key]]\nsecret = \"env:{secret}\""),
            format!("{PROVIDER}{KEY}[[provider.key]]\nsecret = \"file:{secret}\""),
            format!("{PROVIDER}{KEY}[[provider.key]]\nid = \"{secret}\"\nsecret = \"{secret}\""),
            format!("{PROVIDER}{KEY}[[provider.key]]\naccount = \"{secret}\"\nsecret = \"{secret}\""),
            format!(
                "{PROVIDER}[[provider.key]]\nid = \"{secret}\"\nsecret = \"sk-1\"\n[[provider.key]]\nsecret = \"{secret}\""
            ),
        ] {
            let error = parse(&text).expect_err(&text);
            assert!(!said(&error).contains(secret), "{text}\n{error}");
        }
    }
}

#[test]
fn a_name_that_is_a_secret_is_refused() {
    for secret in SECRETS {
        let provider = format!(
            "[[provider]]\nname = \"{secret}\"\ndialect = \"compatible\"\nbase_url = \"https://h/v1\""
        );
        for text in [
            format!("{provider}\n[[provider.key]]\nid = \"a\"\nsecret = \"{secret}\""),
            format!("{PROVIDER}{KEY}[[caller]]\nname = \"my {secret}\"\ntoken = \"{secret}\""),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(matches!(error.problem(), Problem::SecretInName), "{error}");
            assert!(!said(&error).contains(secret), "{error}");
        }
    }
}

#[test]
fn a_name_unlike_a_secret_is_shown() {
    let error = parse(&format!("[chain]\norder = [\"antropic\"]\n{PROVIDER}{KEY}")).unwrap_err();
    assert!(
        error.to_string().contains("unknown provider antropic: the known providers are openai"),
        "{error}"
    );
    let error = parse(&format!("token = \"env:PROVIDER_OPENAI_BACKUP_KEYS\"\n{PROVIDER}{KEY}")).unwrap_err();
    assert!(error.to_string().contains("PROVIDER_OPENAI_BACKUP_KEYS is not set"), "{error}");
}

#[test]
fn a_malformed_reference_is_refused() {
    for text in
        ["ENV:X", "Env:X", "FILE:x", " env:X", "${X}", "$X", "{{X}}", "<key>", "%X%", "vault://x", "op://x"]
    {
        for text in [
            format!("{PROVIDER}[[provider.key]]\nsecret = \"{text}\""),
            format!("token = \"{text}\"\n{PROVIDER}{KEY}"),
        ] {
            let error = parse(&text).expect_err(&text);
            assert!(matches!(error.problem(), Problem::Reference), "{text}: {error}");
        }
    }
    assert!(parse(&format!("{PROVIDER}[[provider.key]]\nsecret = \"sk-a:b/c+d=\"")).is_ok());
}

#[test]
fn a_name_with_a_key_or_control_is_refused() {
    let with = |what: &str, name: &str| {
        parse(&format!("{PROVIDER}[[provider.key]]\n{what} = \"{name}\"\nsecret = \"sk-proj-Ab12Cd34Ef56\""))
    };
    for what in ["id", "account"] {
        for (name, why) in [
            ("sk-proj-Ab12Cd34Ef56", InvalidName::ShowsSecret),
            ("sk-proj-Ab12", InvalidName::ShowsSecret),
            ("team 12Cd34Ef", InvalidName::ShowsSecret),
            ("a\\u001b[31m", InvalidName::Character),
            ("a\\nb", InvalidName::Character),
            ("a\\u202eb", InvalidName::Character),
            ("a\\u0085b", InvalidName::Character),
        ] {
            let error = with(what, name).unwrap_err();
            assert!(
                matches!(error.problem(), Problem::KeyName(found) if *found == why),
                "{what} {name}: {error}"
            );
            assert!(error.location().path().ends_with(what), "{error}");
        }
        assert!(with(what, "Team Ä").is_ok());
    }
    for model in ["\"a\\u001b\" = \"b\"", "\"a\" = \"b\\n\""] {
        let error = parse(&format!("{PROVIDER}{KEY}[provider.models]\n{model}")).unwrap_err();
        assert!(matches!(error.problem(), Problem::Model), "{error}");
    }
}

#[test]
fn an_invalid_port_is_refused() {
    for base in
        ["http://127.0.0.1:99999/v1", "http://h:http/v1", "https://h:65536", "https://h:", "http://h:0/"]
    {
        let error =
            parse(&format!("[[provider]]\nname = \"openai\"\nbase_url = \"{base}\"\n{KEY}")).unwrap_err();
        assert!(error.to_string().contains("its port is not a number from 1 to 65535"), "{base}: {error}");
    }
}

#[test]
fn clear_text_to_a_public_host_warns() {
    let warnings = |base: &str| {
        let text = format!("[[provider]]\nname = \"openai\"\nbase_url = \"{base}\"\n{KEY}");
        parse(&text).unwrap().warnings().to_vec()
    };
    let [warning] = &warnings("http://api.example.com/v1")[..] else { panic!("one warning") };
    assert_eq!(warning.risk(), &Risk::ClearText { host: "api.example.com".into() });
    assert_eq!(
        warning.to_string(),
        "provider[0].base_url: keys are sent to api.example.com in clear text: write `https://`"
    );
    for base in ["https://api.example.com", "http://127.0.0.1:8080", "http://10.0.0.1", "http://vllm:8000/v1"]
    {
        assert!(warnings(base).is_empty(), "{base}");
    }
}

/// A folder that is deleted when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tkr-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
#[test]
fn a_world_readable_secret_warns() {
    let folder = Folder::new("modes");
    let loaded = |secret: &str, mode: u32| {
        let text = format!("{PROVIDER}[[provider.key]]\nid = \"a\"\nsecret = \"{secret}\"");
        let config = Loader::new().load(folder.file("gateway.toml", &text, mode)).unwrap();
        config.warnings().iter().map(|warning| warning.risk().clone()).collect::<Vec<_>>()
    };
    let (open, closed) = (folder.file("open", "sk-1\n", 0o644), folder.file("closed", "sk-1\n", 0o640));
    let config = folder.0.join("gateway.toml");
    let readable = |file: &PathBuf| vec![Risk::ReadableByOthers { file: file.clone() }];
    assert_eq!(loaded("file:open", 0o644), readable(&open));
    assert_eq!(loaded("file:closed", 0o644), []);
    assert_eq!(loaded("sk-1", 0o644), readable(&config), "a key in the file itself");
    assert_eq!(loaded("sk-1", 0o600), []);
    drop(closed);
}

#[test]
fn a_secret_file_that_is_too_long_is_refused() {
    let folder = Folder::new("long");
    folder.file("dump", &"x".repeat(5_000_000), 0o600);
    let text = format!("{PROVIDER}[[provider.key]]\nid = \"a\"\nsecret = \"file:dump\"");
    let error = Loader::new().directory(&folder.0).parse(&text, Format::Toml).unwrap_err();
    assert!(matches!(error.problem(), Problem::Secret(InvalidSecret::TooLong)), "{error}");
}

#[test]
fn the_state_replaces_no_file_of_the_configuration() {
    let folder = Folder::new("state");
    let (config, key, link) = (folder.0.join("gateway.toml"), folder.0.join("key"), folder.0.join("link"));
    folder.file("key", "sk-0123456789abcdef", 0o600);
    std::os::unix::fs::symlink(&key, &link).unwrap();
    let load = |state: &std::path::Path| {
        let table = "[[provider.key]]\nid = \"a\"\nsecret = \"file:key\"";
        let text = format!("state_file = \"{}\"\n{PROVIDER}{table}", state.display());
        folder.file("gateway.toml", &text, 0o600);
        Loader::new().load(&config)
    };
    for state in [&config, &key, &link] {
        let error = load(state).unwrap_err();
        assert!(matches!(error.problem(), Problem::StateFile), "{error}");
        assert!(error.to_string().contains(":1:14: state_file"), "{error}");
    }
    assert!(load(&folder.0.join("state.json")).is_ok());
}

#[test]
fn a_key_in_the_base_url_is_refused() {
    for secret in ["sk-proj-0123456789abcdefghij", "plain/with+marks"] {
        let url = format!("https://h/{}/v1", secret.replace('+', "%2B"));
        let text = format!(
            "[[provider]]\nname = \"openai\"\nbase_url = \"{url}\"\n[[provider.key]]\nsecret = \"{secret}\"\n"
        );
        let error = parse(&text).unwrap_err();
        assert!(matches!(error.problem(), Problem::Url { .. }), "{error}");
        assert!(!said(&error).contains(secret), "{error}");
    }
}
