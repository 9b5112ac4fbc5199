//! The words of settings, as configuration files write them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use tower_key_rotation::UnknownWord;
use tower_key_rotation::classify::{Reason, Scope};
use tower_key_rotation::fallback::{Commit, ContextLength, Start};
use tower_key_rotation::key::Tier;
use tower_key_rotation::pool::Selection;
use tower_key_rotation::provider::Dimension;

/// Checks that each accepted word parses into a value that is written as that word, and returns the words.
fn words<T>() -> &'static [&'static str]
where
    T: FromStr<Err = UnknownWord> + Display + Debug,
{
    for wrong in ["", " ", "sk-secret", "IN_ORDER", "head "] {
        let error = wrong.parse::<T>().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let words = "sk-secret".parse::<T>().unwrap_err().allowed();
    for word in words {
        assert_eq!(word.parse::<T>().unwrap().to_string(), *word);
    }
    words
}

#[test]
fn each_word_is_read_as_it_is_written() {
    assert_eq!(
        words::<Selection>(),
        ["round_robin", "in_order", "random", "least_in_flight", "most_remaining"]
    );
    assert_eq!(words::<Start>(), ["ordered", "round_robin"]);
    assert_eq!(words::<Commit>(), ["head", "first_content", "complete"]);
    assert_eq!(words::<ContextLength>(), ["fall_over", "deliver"]);
    assert_eq!(words::<Tier>(), ["primary", "backup"]);
    assert_eq!(words::<Dimension>().len(), 6);
    assert_eq!(words::<Reason>().len(), 10);
    assert_eq!(words::<Scope>().len(), 7);
}

#[test]
fn words_are_those_of_serde() {
    for tier in [Tier::Primary, Tier::Backup] {
        assert_eq!(serde_json::to_value(tier).unwrap(), tier.as_str());
    }
    for word in words::<Reason>() {
        assert_eq!(serde_json::to_value(word.parse::<Reason>().unwrap()).unwrap(), *word);
    }
    for word in words::<Scope>() {
        assert_eq!(serde_json::to_value(word.parse::<Scope>().unwrap()).unwrap(), *word);
    }
    for word in words::<Dimension>() {
        assert_eq!(serde_json::to_value(word.parse::<Dimension>().unwrap()).unwrap(), *word);
    }
}
