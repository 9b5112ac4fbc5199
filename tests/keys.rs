//! Where keys come from, and that nobody sees them.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

use std::fmt::{Debug, Display};
use std::num::NonZeroU32;

use http::{HeaderMap, Uri};
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::key::{EnvKeys, EnvValue, InvalidSecret, KeyId, Secret, Tier};
use tower_key_rotation::pool::{BuildError, KeyPool};
use tower_key_rotation::provider::ModelId;
use tower_key_rotation::{ApiKey, Provider};

fn openai(vars: &[(&str, &str)]) -> EnvKeys {
    EnvKeys::in_vars(&Provider::openai(), vars.iter().copied())
}

fn labels(found: &EnvKeys) -> Vec<&str> {
    found.keys().iter().map(|key| key.label().unwrap()).collect()
}

fn pool(found: EnvKeys) -> Result<KeyPool, BuildError> {
    KeyPool::builder(Provider::openai()).keys_from(found).build()
}

/// The names of the keys of a pool, and which are backups.
fn tiers(pool: &KeyPool) -> Vec<(String, Tier)> {
    pool.snapshot().keys.into_iter().map(|key| (key.id.to_string(), key.tier)).collect()
}

// === discovery ===

#[test]
fn numbered_variables_are_found_in_the_order_of_their_numbers_with_gaps() {
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
fn a_list_is_split_at_commas_and_blanks_do_not_count() {
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
fn all_patterns_are_looked_for_at_once_and_of_the_same_secret_the_first_counts() {
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
fn an_invalid_key_is_reported_by_its_place_and_the_others_are_used() {
    let found = openai(&[("OPENAI_API_KEY", "sk MARKER"), ("OPENAI_API_KEYS", "sk-good,\"sk-MARKER\"")]);
    assert_eq!(labels(&found), ["OPENAI_API_KEYS#1"]);
    let invalid: Vec<_> = found.findings().iter().map(|finding| &finding.found).collect();
    assert_eq!(invalid[0], &EnvValue::Invalid(InvalidSecret::Character { position: 2 }));
    assert_eq!(invalid[1], &EnvValue::Invalid(InvalidSecret::Character { position: 0 }));
    hidden(&found);
    assert!(!found.to_string().contains("MARKER"), "{found}");
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
fn one_key_is_enough_and_none_is_an_error_that_names_the_variables() {
    assert!(pool(openai(&[("OPENAI_API_KEY", "sk-1")])).is_ok());

    let nothing = openai(&[("PATH", "/bin")]);
    let searched = "OPENAI_API_KEY, OPENAI_API_KEY_*, OPENAI_API_KEYS, PROVIDER_OPENAI_API_KEY, \
                     PROVIDER_OPENAI_BACKUP_KEYS";
    assert_eq!(nothing.to_string(), format!("nothing found in {searched}\n"));
    let error = pool(nothing).unwrap_err();
    assert!(matches!(&error, BuildError::NoKeys { provider, searched }
        if provider == "openai" && searched.iter().any(|name| name == "OPENAI_API_KEYS")));
    assert!(error.to_string().starts_with("no key for openai: set one of OPENAI_API_KEY, "), "{error}");

    let error = KeyPool::builder(Provider::openai()).build().unwrap_err();
    assert_eq!(error.to_string(), "no key for openai: add one with `key`, or `keys_from_env`");
}

#[test]
fn an_error_about_missing_keys_names_no_variable_that_holds_none() {
    let error = pool(openai(&[])).unwrap_err();
    assert!(!error.to_string().contains("_MODEL"), "{error}");
}

// === the builder ===

#[test]
fn a_key_is_named_by_its_label_or_else_by_a_fingerprint() {
    let keys = [ApiKey::new("sk-one").unwrap(), ApiKey::new("sk-two").unwrap().id("two")];
    let pool = KeyPool::builder(Provider::openai()).keys(keys).build().unwrap();
    let [(one, _), (two, _)] = tiers(&pool).try_into().unwrap();
    assert!(one.starts_with("key-") && one.len() == 14, "{one}");
    assert_eq!(two, "two");
}

#[test]
fn two_keys_with_one_name_or_one_secret_are_refused() {
    let key = |secret: &str, id: &str| ApiKey::new(secret).unwrap().id(id);
    let build = |keys: [ApiKey; 2]| KeyPool::builder(Provider::openai()).keys(keys).build().unwrap_err();
    let error = build([key("sk-1", "a"), key("sk-2", "a")]);
    assert_eq!(error.to_string(), "two keys are named a: give each a name of its own");
    let error = build([key("sk-MARKER", "a"), key("sk-MARKER", "b")]);
    assert_eq!(error.to_string(), "the keys a and b have the same secret: remove one");
    assert!(!format!("{error:?}").contains("MARKER"));
}

#[test]
fn a_name_that_shows_a_key_is_refused_and_not_said() {
    let key = |secret: &str| ApiKey::new(secret).unwrap();
    for (number, keys) in [
        (1, vec![key("sk-one").id("sk-one")]),
        (2, vec![key("sk-two").id("two"), key("sk-proj-Ab12Cd34Ef56").id("sk-proj-Ab12")]),
        (1, vec![key("sk-proj-Ab12Cd34Ef56").id("x 12Cd34Ef")]),
        (1, vec![key("sk-proj-Ab12Cd34Ef56").account("sk-proj-Ab12Cd34Ef56")]),
        (1, vec![key("sk-one").id("sk-two"), key("sk-two").id("two")]),
        (1, vec![key("sk-one").id("a\u{1b}[31m")]),
        (1, vec![key("sk-one").account("a\nb")]),
    ] {
        let builder = KeyPool::builder(Provider::openai()).keys(keys);
        let said = format!("{builder:?}");
        let error = builder.build().unwrap_err();
        assert!(matches!(error, BuildError::InvalidName { number: at, .. } if at == number), "{error}");
        for part in ["Ab12", "12Cd34Ef", "\u{1b}"] {
            assert!(!format!("{said} {error} {error:?}").contains(part), "{said} {error:?}");
        }
    }
}

#[test]
fn two_secrets_with_one_fingerprint_are_two_keys() {
    // Found by search: the first five bytes of their digests are alike.
    let found = openai(&[("OPENAI_API_KEYS", "sk-885753,sk-1485832")]);
    assert_eq!(found.keys().len(), 2, "{found}");

    let twins = ["sk-1668535", "sk-2341677"].map(|secret| ApiKey::new(secret).unwrap());
    let [one, two] = twins.clone();
    let build = |keys: [ApiKey; 2]| KeyPool::builder(Provider::openai()).keys(keys).build();
    assert_eq!(build([one, two.id("two")]).unwrap().snapshot().keys.len(), 2);
    assert!(matches!(build(twins), Err(BuildError::DuplicateId(_))), "the names are too short to differ");
}

// === secrets ===

/// Nothing that can be printed shows the marker.
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
fn no_format_of_anything_shows_a_secret() {
    let secret = Secret::new("sk-MARKER").unwrap();
    all_hidden(&secret);
    let key = ApiKey::from(secret).account("org").weight(NonZeroU32::MIN);
    hidden(&key);
    hidden(&key.clone().id("label").backup());
    all_hidden(&openai(&[("OPENAI_API_KEY", "sk-MARKER"), ("OPENAI_API_KEYS", "sk-MARKER,sk-MARKER2")]));

    let builder = KeyPool::builder(Provider::openai()).key(key);
    hidden(&builder);
    let pool = builder.build().unwrap();
    hidden(&pool);
    hidden(&pool.snapshot());

    let model = ModelId::from("chat");
    for scope in [Scope::Key, Scope::AccountModel] {
        let lease = pool.acquire(None).unwrap();
        hidden(&lease);
        all_hidden(lease.key_id());
        let uri = "https://elsewhere.example/v1?key=sk-MARKER";
        let refused = lease.apply_key(&mut Uri::from_static(uri), &mut HeaderMap::new()).unwrap_err();
        all_hidden(&refused);
        hidden(&lease.fault(&Fault::new(Reason::InvalidKey, scope), Some(&model)).unwrap());
        hidden(&pool.snapshot());
        if scope == Scope::Key {
            all_hidden(&pool.acquire(None).unwrap_err());
            pool.reset_all();
        }
    }
    all_hidden(&pool.reset(&KeyId::from("nobody")).unwrap_err());
    all_hidden(&ApiKey::new("sk-MARKER\r\n").unwrap_err());
    all_hidden(&ApiKey::new(" ").unwrap_err());
}

#[test]
fn gemini_keys_are_bearer_tokens_at_the_compatible_endpoint() {
    let pool = KeyPool::builder(Provider::gemini()).key(ApiKey::new("AIza-1").unwrap()).build().unwrap();
    for (path, header, value) in [
        ("v1beta/models/gemini-2.5-flash:generateContent", "x-goog-api-key", "AIza-1"),
        ("v1beta/openai/chat/completions", "authorization", "Bearer AIza-1"),
    ] {
        let mut uri: Uri = format!("https://generativelanguage.googleapis.com/{path}").parse().unwrap();
        let mut headers = HeaderMap::new();
        pool.acquire(None).unwrap().apply_key(&mut uri, &mut headers).unwrap();
        assert_eq!(headers.len(), 1, "{path}");
        assert_eq!(headers[header], value);
        assert!(headers[header].is_sensitive());
    }
}
