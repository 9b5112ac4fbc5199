//! What of a configuration may be in an error.
//!
//! A secret that was put in a wrong place, a provider's name or the name of a variable, must not be shown by
//! the error that says so.

use std::borrow::Cow;

/// In place of what may be a secret.
const WITHHELD: &str = "[withheld]";

/// Longer names are not shown: keys have 20 characters or more.
const LONGEST: usize = 20;

/// What keys of some kinds begin with.
const PREFIXES: [&str; 12] =
    ["sk-", "sk_", "pk-", "AIza", "AKIA", "gsk_", "xai-", "ghp_", "github_pat_", "pplx-", "nvapi-", "eyJ"];

/// A name of the operator's choice, if it can't be a secret.
pub(super) fn shown(name: &str) -> Cow<'_, str> {
    if name.len() < LONGEST && !has_shape(name) { name.into() } else { WITHHELD.into() }
}

/// The name of a variable, if it can't be a secret. It may be long if it consists of words.
pub(super) fn shown_variable(name: &str) -> Cow<'_, str> {
    let is_word = |word: &str| {
        let upper = word.bytes().all(|byte| byte.is_ascii_uppercase());
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        word.len() < LONGEST && (upper || digits)
    };
    if name.split('_').all(is_word) && !has_shape(name) { name.into() } else { shown(name) }
}

/// The path of a file, if none of its parts can be a secret.
pub(super) fn shown_path(path: &std::path::Path) -> Cow<'_, str> {
    let text = path.to_string_lossy();
    let mut parts = text.split(['/', '\\']);
    if parts.any(|part| part.len() >= 64 || has_shape(part)) { WITHHELD.into() } else { text }
}

/// Whether a text looks like a key: begins as one, or has a run of mixed characters.
pub(super) fn has_shape(text: &str) -> bool {
    let mixed = |run: &str| {
        let has = |kind: fn(&u8) -> bool| run.as_bytes().iter().any(kind);
        let (digit, lower, upper) =
            (has(u8::is_ascii_digit), has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase));
        let kinds = usize::from(digit) + usize::from(lower) + usize::from(upper);
        run.len() >= LONGEST || (run.len() >= 12 && digit && kinds > 1) || (run.len() >= 8 && kinds > 2)
    };
    let mut runs = text.split(|character: char| !character.is_ascii_alphanumeric());
    PREFIXES.iter().any(|prefix| text.starts_with(prefix)) || runs.any(mixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_withheld() {
        for text in [
            "sk-1",
            "AIzaSyA0123456789abcdefghijklmnopqrstuv",
            "a1b2c3d4e5f60718",
            "aB3dE5gH",
            "0123456789012345678901",
            "correct-horse-battery-staple",
        ] {
            assert_eq!(shown(text), WITHHELD, "{text}");
        }
        assert_eq!(shown_variable("AKIAIOSFODNN7EXAMPLE"), WITHHELD);
        assert_eq!(shown_variable("abcdefghijklmnopqrstuvwx"), WITHHELD);
        assert_eq!(shown_path("/run/secrets/sk-proj-1".as_ref()), WITHHELD);
    }

    #[test]
    fn names_are_shown() {
        for text in ["openai", "azure-eu-2", "team_a", "org-1", "gpt-4o", "", "together.ai"] {
            assert_eq!(shown(text), text);
        }
        for text in ["PROVIDER_OPENAI_BACKUP_KEYS", "OPENAI_API_KEY_12", "TEAM_A_KEY", "my_key"] {
            assert_eq!(shown_variable(text), text);
        }
        assert_eq!(shown_path("/run/secrets/openai_api_key".as_ref()), "/run/secrets/openai_api_key");
    }
}
