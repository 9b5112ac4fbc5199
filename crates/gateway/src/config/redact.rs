//! Redaction of configuration values in errors.
//!
//! A secret put in a wrong place, such as the name of a provider or of a variable, must not be shown by the
//! error that reports it.

use std::borrow::Cow;

/// Replacement for a value that may be a secret.
const WITHHELD: &str = "[withheld]";

/// Length in characters from which names are not shown (20), since keys have 20 characters or more.
const LONGEST: usize = 20;

/// Prefixes of keys of some kinds.
const PREFIXES: [&str; 12] =
    ["sk-", "sk_", "pk-", "AIza", "AKIA", "gsk_", "xai-", "ghp_", "github_pat_", "pplx-", "nvapi-", "eyJ"];

/// Returns a name chosen by the operator, or the replacement if it may be a secret.
pub(super) fn redacted(name: &str) -> Cow<'_, str> {
    if name.len() < LONGEST && !looks_like_key(name) { name.into() } else { WITHHELD.into() }
}

/// Returns the name of a variable, or the replacement if it may be a secret. A long name is shown if it
/// consists of words.
pub(super) fn redacted_variable(name: &str) -> Cow<'_, str> {
    let is_word = |word: &str| {
        let upper = word.bytes().all(|byte| byte.is_ascii_uppercase());
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        word.len() < LONGEST && (upper || digits)
    };
    if name.split('_').all(is_word) && !looks_like_key(name) { name.into() } else { redacted(name) }
}

/// Returns the path of a file, or the replacement if a part of it may be a secret.
pub(super) fn redacted_path(path: &std::path::Path) -> Cow<'_, str> {
    let text = path.to_string_lossy();
    let mut parts = text.split(['/', '\\']);
    if parts.any(|part| part.len() >= 64 || looks_like_key(part)) { WITHHELD.into() } else { text }
}

/// Returns whether a text looks like a key: it has a key's prefix, or a run of mixed characters.
pub(super) fn looks_like_key(text: &str) -> bool {
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
    fn possible_secrets_are_withheld() {
        for text in [
            "sk-1",
            "AIzaSyA0123456789abcdefghijklmnopqrstuv",
            "a1b2c3d4e5f60718",
            "aB3dE5gH",
            "0123456789012345678901",
            "correct-horse-battery-staple",
        ] {
            assert_eq!(redacted(text), WITHHELD, "{text}");
        }
        assert_eq!(redacted_variable("AKIAIOSFODNN7EXAMPLE"), WITHHELD);
        assert_eq!(redacted_variable("abcdefghijklmnopqrstuvwx"), WITHHELD);
        assert_eq!(redacted_path("/run/secrets/sk-proj-1".as_ref()), WITHHELD);
    }

    #[test]
    fn names_are_shown() {
        for text in ["openai", "azure-eu-2", "team_a", "org-1", "gpt-4o", "", "together.ai"] {
            assert_eq!(redacted(text), text);
        }
        for text in ["PROVIDER_OPENAI_BACKUP_KEYS", "OPENAI_API_KEY_12", "TEAM_A_KEY", "my_key"] {
            assert_eq!(redacted_variable(text), text);
        }
        assert_eq!(redacted_path("/run/secrets/openai_api_key".as_ref()), "/run/secrets/openai_api_key");
    }
}
