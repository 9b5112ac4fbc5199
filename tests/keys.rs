//! The names of keys, and the absence of their secrets in every format.

use std::fmt::{Debug, Display};
use std::num::NonZeroU32;

use http::{HeaderMap, Uri};
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::key::{EnvKeys, KeyId, Secret, Tier};
use tower_key_rotation::pool::{BuildError, KeyPool};
use tower_key_rotation::provider::ModelId;
use tower_key_rotation::{ApiKey, Provider};

fn openai(vars: &[(&str, &str)]) -> EnvKeys {
    EnvKeys::in_vars(&Provider::openai(), vars.iter().copied())
}

/// Returns the names of a pool's keys, and whether each is a backup.
fn tiers(pool: &KeyPool) -> Vec<(String, Tier)> {
    pool.snapshot().keys.into_iter().map(|key| (key.id.to_string(), key.tier)).collect()
}

// === the builder ===

#[test]
fn a_key_without_an_id_has_a_fingerprint() {
    let keys = [ApiKey::new("sk-one").unwrap(), ApiKey::new("sk-two").unwrap().id("two")];
    let pool = KeyPool::builder(Provider::openai()).keys(keys).build().unwrap();
    let [(one, _), (two, _)] = tiers(&pool).try_into().unwrap();
    assert!(one.starts_with("key-") && one.len() == 14, "{one}");
    assert_eq!(two, "two");
}

#[test]
fn duplicate_names_and_secrets_are_refused() {
    let key = |secret: &str, id: &str| ApiKey::new(secret).unwrap().id(id);
    let build = |keys: [ApiKey; 2]| KeyPool::builder(Provider::openai()).keys(keys).build().unwrap_err();
    let error = build([key("sk-1", "a"), key("sk-2", "a")]);
    assert_eq!(error.to_string(), "two keys are named a: give each a name of its own");
    let error = build([key("sk-MARKER", "a"), key("sk-MARKER", "b")]);
    assert_eq!(error.to_string(), "the keys a and b have the same secret: remove one");
    assert!(!format!("{error:?}").contains("MARKER"));
}

#[test]
fn a_name_that_shows_a_key_is_refused() {
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
fn equal_fingerprints_are_distinguished() {
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
        hidden(&lease.fail(&Fault::new(Reason::InvalidKey, scope), Some(&model)).unwrap());
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
