//! Keys in environment variables: the ones that are found, their names, and the reports about the others.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

use std::fmt::{Debug, Display};

use tower_key_rotation::Provider;
use tower_key_rotation::key::{EnvFault, EnvKeys, EnvValue, InvalidSecret, Tier};
use tower_key_rotation::pool::{BuildError, KeyPool};

fn openai(vars: &[(&str, &str)]) -> EnvKeys {
    EnvKeys::in_vars(&Provider::openai(), vars.iter().copied())
}

fn labels(found: &EnvKeys) -> Vec<&str> {
    found.keys().iter().map(|key| key.declared_id().unwrap().as_str()).collect()
}

fn pool(found: EnvKeys) -> Result<KeyPool, BuildError> {
    KeyPool::builder(Provider::openai()).keys_from(found).build()
}

/// Returns the names of a pool's keys, and whether each is a backup.
fn tiers(pool: &KeyPool) -> Vec<(String, Tier)> {
    pool.snapshot().keys.into_iter().map(|key| (key.id.to_string(), key.tier)).collect()
}

/// Checks that nothing that can be printed shows the marker.
fn hidden(thing: &(impl Debug + ?Sized)) {
    for text in [format!("{thing:?}"), format!("{thing:#?}")] {
        assert!(!text.contains("MARKER"), "{text}");
    }
}

fn all_hidden(thing: &(impl Debug + Display)) {
    hidden(thing);
    assert!(!thing.to_string().contains("MARKER"), "{thing}");
    assert!(!format!("{thing:#}").contains("MARKER"), "{thing:#}");
}

#[test]
fn numbered_variables_may_have_gaps() {
    let found = openai(&[
        ("OPENAI_API_KEY_10", "sk-10"),
        ("OPENAI_API_KEY_2", "sk-2"),
        ("OPENAI_API_KEY", "sk-0"),
        ("OPENAI_API_KEY_07", "sk-7"),
        ("OPENAI_API_KEY_FILE", "/run/secrets/openai"),
        ("OPENAI_API_KEY_", "sk-none"),
        ("OPENAI_API_KEY_-1", "sk-none"),
        ("OPENAI_API_KEY_99999999999999999999", "sk-none"),
        ("XOPENAI_API_KEY", "sk-none"),
        ("OPENAI_API_KEY2", "sk-none"),
    ]);
    let expected = ["OPENAI_API_KEY", "OPENAI_API_KEY_2", "OPENAI_API_KEY_07", "OPENAI_API_KEY_10"];
    assert_eq!(labels(&found), expected);
}

#[test]
fn a_list_is_split_at_commas() {
    let found = openai(&[("OPENAI_API_KEYS", " sk-1, sk-2 ,,\tsk-1,sk-3\n")]);
    assert_eq!(labels(&found), ["OPENAI_API_KEYS#1", "OPENAI_API_KEYS#2", "OPENAI_API_KEYS#4"]);
    assert_eq!(
        found.to_string(),
        "OPENAI_API_KEYS#3: the same key as OPENAI_API_KEYS#1\nOPENAI_API_KEYS: 3 keys\n"
    );
}

#[test]
fn a_primary_key_its_backups_and_a_model_are_found() {
    let found = openai(&[
        ("PROVIDER_OPENAI_API_KEY", "sk-main"),
        ("PROVIDER_OPENAI_BACKUP_KEYS", "sk-b1,sk-b2"),
        ("PROVIDER_OPENAI_MODEL", " gpt-5-mini "),
    ]);
    assert_eq!(found.model(), Some("gpt-5-mini"));
    let expected = [
        ("PROVIDER_OPENAI_API_KEY", Tier::Primary),
        ("PROVIDER_OPENAI_BACKUP_KEYS#1", Tier::Backup),
        ("PROVIDER_OPENAI_BACKUP_KEYS#2", Tier::Backup),
    ];
    let expected = expected.map(|(name, tier)| (name.to_owned(), tier));
    assert_eq!(tiers(&pool(found).unwrap()), expected);
}

#[test]
fn all_name_patterns_are_searched() {
    let found = openai(&[
        ("OPENAI_API_KEY", "sk-same"),
        ("OPENAI_API_KEY_1", "sk-other"),
        ("OPENAI_API_KEYS", "sk-same,sk-list"),
        ("PROVIDER_OPENAI_API_KEY", "sk-other"),
        ("PROVIDER_OPENAI_BACKUP_KEYS", "sk-list,sk-backup"),
    ]);
    let expected =
        ["OPENAI_API_KEY", "OPENAI_API_KEY_1", "OPENAI_API_KEYS#2", "PROVIDER_OPENAI_BACKUP_KEYS#2"];
    assert_eq!(labels(&found), expected);
    assert_eq!(
        found.to_string(),
        "OPENAI_API_KEY: 1 key\n\
         OPENAI_API_KEY_1: 1 key\n\
         OPENAI_API_KEYS#1: the same key as OPENAI_API_KEY\n\
         OPENAI_API_KEYS: 1 key\n\
         PROVIDER_OPENAI_API_KEY: the same key as OPENAI_API_KEY_1\n\
         PROVIDER_OPENAI_BACKUP_KEYS#1: the same key as OPENAI_API_KEYS#2\n\
         PROVIDER_OPENAI_BACKUP_KEYS: 1 key\n"
    );
    assert_eq!(pool(found).unwrap().snapshot().keys.len(), 4);
}

#[test]
fn an_empty_variable_is_reported_and_is_no_key() {
    let found = openai(&[
        ("OPENAI_API_KEY", ""),
        ("OPENAI_API_KEY_1", "  \t"),
        ("OPENAI_API_KEYS", " , ,"),
        ("PROVIDER_OPENAI_MODEL", " "),
    ]);
    assert!(found.keys().is_empty() && found.model().is_none());
    assert!(found.findings().iter().all(|finding| finding.found == EnvValue::Empty));
    assert_eq!(found.findings().len(), 4);
}

#[test]
fn an_invalid_key_is_reported_by_its_place() {
    let found = openai(&[("OPENAI_API_KEY", "sk\u{7f}MARKER"), ("OPENAI_API_KEYS", "sk-good,\"sk-MARKER\"")]);
    assert_eq!(labels(&found), ["OPENAI_API_KEYS#1"]);
    let invalid: Vec<_> = found.findings().iter().map(|finding| &finding.found).collect();
    assert_eq!(invalid[0], &EnvValue::Invalid(InvalidSecret::Character { position: 2 }));
    assert_eq!(invalid[1], &EnvValue::Faulty(EnvFault::Quotes));
    hidden(&found);
    assert!(!found.to_string().contains("MARKER"), "{found}");
}

#[test]
fn keys_are_split_at_every_separator_in_every_variable() {
    for value in ["sk-a,sk-b", "sk-a;sk-b", "sk-a sk-b", "sk-a\nsk-b\n", "sk-a\r\nsk-b\r\n", "\tsk-a , ;sk-b"]
    {
        for name in ["OPENAI_API_KEY", "OPENAI_API_KEYS", "OPENAI_API_KEY_3", "PROVIDER_OPENAI_API_KEY"] {
            let found = openai(&[(name, value)]);
            assert_eq!(labels(&found), [format!("{name}#1"), format!("{name}#2")], "{value:?}");
        }
    }
    assert_eq!(labels(&openai(&[("OPENAI_API_KEY", " sk-a\n")])), ["OPENAI_API_KEY"]);
}

#[test]
fn an_error_explains_a_malformed_value() {
    for (value, fault, said) in [
        ("\"sk-MARKER\"", EnvFault::Quotes, "OPENAI_API_KEY has quotation marks in it"),
        ("'sk-MARKER,sk-b'", EnvFault::Quotes, "OPENAI_API_KEY has quotation marks in it"),
        ("\u{201c}sk-MARKER\u{201d}", EnvFault::Quotes, "OPENAI_API_KEY has quotation marks in it"),
        ("\u{feff}sk-MARKER", EnvFault::ByteOrderMark, "OPENAI_API_KEY begins with a byte order mark"),
        ("Bearer sk-MARKER", EnvFault::Header, "OPENAI_API_KEY has a part of a header in it"),
        ("sk-MARKER, bearer sk-b", EnvFault::Header, "OPENAI_API_KEY has a part of a header in it"),
        ("Authorization: Bearer sk-MARKER", EnvFault::Header, "OPENAI_API_KEY has a part of a header"),
        ("x-api-key:sk-MARKER", EnvFault::Header, "OPENAI_API_KEY has a part of a header in it"),
        ("OPENAI_API_KEY=sk-MARKER", EnvFault::Assignment, "OPENAI_API_KEY has the name of a variable in it"),
        ("export KEY=sk-MARKER", EnvFault::Assignment, "OPENAI_API_KEY has the name of a variable in it"),
        ("sk-MARKER # team a", EnvFault::Comment, "OPENAI_API_KEY has a comment in it"),
        ("# team a\nsk-MARKER\n", EnvFault::Comment, "OPENAI_API_KEY has a comment in it"),
        ("[\"sk-MARKER\"]", EnvFault::Json, "OPENAI_API_KEY is JSON: separate the keys by commas"),
        ("{\"key\": \"sk-MARKER\"}", EnvFault::Json, "OPENAI_API_KEY is JSON"),
        ("sk-MARKER\u{fffd}", EnvFault::NotUnicode, "OPENAI_API_KEY is not valid UTF-8"),
    ] {
        let found = openai(&[("OPENAI_API_KEY", value)]);
        assert_eq!(found.findings()[0].found, EnvValue::Faulty(fault), "{value:?}");
        let error = pool(found).unwrap_err();
        all_hidden(&error);
        let error = error.to_string();
        assert!(error.starts_with(&format!("no key for openai: {said}")), "{error}");
        assert!(error.ends_with("PROVIDER_OPENAI_BACKUP_KEYS"), "{error}");
    }
    let error = pool(openai(&[("OPENAI_API_KEY", "sk-\u{1b}MARKER")])).unwrap_err();
    all_hidden(&error);
    assert!(error.to_string().contains("OPENAI_API_KEY: the key has a blank, a quotation mark"), "{error}");
}

#[test]
fn special_characters_within_a_key_are_allowed() {
    for key in ["AKIA==", "sk-a=b", "a:b", "user:pass", "sk-a#b", "id.secret=", "0f0f:aGk="] {
        let found = openai(&[("OPENAI_API_KEY", key)]);
        assert_eq!(found.findings()[0].found, EnvValue::Keys(1), "{key}");
    }
}

#[test]
fn a_similar_name_is_reported() {
    for (name, meant) in [
        ("OPENAI_KEY", "OPENAI_API_KEY"),
        ("OPENAI_API_KEY1", "OPENAI_API_KEY_1"),
        ("OPENAI_API_KEY_TEAM_A", "OPENAI_API_KEY"),
        ("openai_api_key", "OPENAI_API_KEY"),
        ("OPENAI_TOKEN", "OPENAI_API_KEY"),
    ] {
        let error = pool(openai(&[(name, "sk-MARKER"), ("OPENAI_BASE_URL", "https://x")])).unwrap_err();
        all_hidden(&error);
        let said = format!("no key for openai: {name} is set but not read: rename it to {meant}. Searched: ");
        assert!(error.to_string().starts_with(&said), "{error}");
    }
    for other in ["OPENAI_API_KEY_FILE", "OPENAI_API_KEY_PATH", "OPENAI_API_KEY_URL", "OPENAI_API_KEY_ID"] {
        assert!(openai(&[(other, "/run/secrets/openai")]).findings().is_empty(), "{other}");
    }
    let found = openai(&[("OPENAI_API_KEY", "sk-a"), ("OPENAI_API_KEY_BACKUP", "sk-b")]);
    assert_eq!(labels(&found), ["OPENAI_API_KEY"]);
    assert!(found.to_string().contains("OPENAI_API_KEY_BACKUP is set but not read"), "{found}");
}

#[test]
fn a_placeholder_is_a_warning() {
    for value in ["your-api-key-here", "sk-xxx", "<KEY>", "${OPENAI_API_KEY}", "changeme"] {
        let found = openai(&[("OPENAI_API_KEY", value)]);
        assert_eq!(found.findings()[0].found, EnvValue::Placeholder, "{value}");
        assert!(found.findings()[0].is_warning());
        assert_eq!(labels(&found), ["OPENAI_API_KEY"], "it may be meant");
        assert!(!found.to_string().contains(value), "{found}");
    }
    let blanks = openai(&[("OPENAI_API_KEY", "<your key here>")]);
    assert!(blanks.keys().is_empty());
    assert_eq!(blanks.findings()[0].found, EnvValue::Placeholder);
    assert_eq!(openai(&[("OPENAI_API_KEY", "sk-proj-Ab12Cd34")]).findings().len(), 1);
}

#[test]
fn a_foreign_prefix_is_a_warning() {
    let foreign = |provider: &Provider, name: &str, value: &str| {
        let found = EnvKeys::in_vars(provider, [(name, value)]);
        assert_eq!(found.keys().len(), 1);
        assert!(!format!("{found} {found:?}").contains("Ab12"), "{found}");
        found.findings().iter().find_map(|finding| match finding.found {
            EnvValue::Foreign(owner) => Some(owner),
            _ => None,
        })
    };
    let preset = |name: &str| Provider::preset(name).unwrap();
    assert_eq!(foreign(&Provider::openai(), "OPENAI_API_KEY", "sk-ant-api03-Ab12"), Some("anthropic"));
    assert_eq!(foreign(&Provider::anthropic(), "ANTHROPIC_API_KEY", "sk-proj-Ab12"), Some("openai"));
    assert_eq!(foreign(&preset("deepseek"), "DEEPSEEK_API_KEY", "sk-or-v1-Ab12"), Some("openrouter"));
    assert_eq!(foreign(&preset("groq"), "GROQ_API_KEY", "gsk_Ab12"), None);
    assert_eq!(foreign(&preset("deepseek"), "DEEPSEEK_API_KEY", "sk-Ab12"), None);
    assert_eq!(foreign(&preset("vertex"), "VERTEX_API_KEY", "AIzaAb12"), None, "shared by two presets");
    assert_eq!(foreign(&preset("litellm"), "LITELLM_API_KEY", "sk-ant-Ab12"), None, "a relay takes any key");
}

#[test]
fn the_providers_own_name_is_searched_first() {
    let huggingface = Provider::preset("huggingface").unwrap();
    let vars = [("HF_API_KEY", "hf_b"), ("HF_TOKEN", "hf_a"), ("HF_TOKEN_2", "hf_c")];
    let found = EnvKeys::in_vars(&huggingface, vars);
    assert_eq!(labels(&found), ["HF_TOKEN", "HF_TOKEN_2", "HF_API_KEY"]);
    assert_eq!(found.searched()[..2], ["HF_TOKEN", "HF_TOKEN_*"]);
}

#[test]
fn two_prefixes_are_one_provider() {
    let vars = [
        ("GOOGLE_API_KEY", "AIza-1"),
        ("GEMINI_API_KEY_3", "AIza-3"),
        ("GEMINI_API_KEY", "AIza-1"),
        ("GOOGLE_API_KEYS", "AIza-4"),
        ("PROVIDER_GEMINI_MODEL", "gemini-flash"),
        ("PROVIDER_GOOGLE_MODEL", "gemini-pro"),
    ];
    let found = EnvKeys::with_prefixes(["GEMINI", "GOOGLE"], vars);
    assert_eq!(labels(&found), ["GEMINI_API_KEY", "GEMINI_API_KEY_3", "GOOGLE_API_KEYS#1"]);
    assert_eq!(found.model(), Some("gemini-flash"));
    assert!(found.to_string().contains("GOOGLE_API_KEY: the same key as GEMINI_API_KEY\n"), "{found}");
}

#[test]
fn without_a_key_the_error_names_variables() {
    assert!(pool(openai(&[("OPENAI_API_KEY", "sk-1")])).is_ok());

    let nothing = openai(&[("PATH", "/bin")]);
    let searched = "OPENAI_API_KEY, OPENAI_API_KEY_*, OPENAI_API_KEYS, PROVIDER_OPENAI_API_KEY, \
                     PROVIDER_OPENAI_BACKUP_KEYS";
    assert_eq!(nothing.to_string(), format!("nothing found in {searched}\n"));
    let error = pool(nothing).unwrap_err();
    assert!(matches!(&error, BuildError::NoKeys { provider, searched, .. }
        if provider == "openai" && searched.iter().any(|name| name == "OPENAI_API_KEYS")));
    assert!(error.to_string().starts_with("no key for openai: set one of OPENAI_API_KEY, "), "{error}");

    let error = KeyPool::builder(Provider::openai()).build().unwrap_err();
    assert_eq!(error.to_string(), "no key for openai: add one with `key`, or `keys_from_env`");
}

#[test]
fn an_error_names_no_model_variables() {
    let error = pool(openai(&[])).unwrap_err();
    assert!(!error.to_string().contains("_MODEL"), "{error}");
}
