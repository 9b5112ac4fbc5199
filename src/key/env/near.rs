//! Names that are almost those of variables that are searched.

/// Ends of names that hold a key in other programs, without separators.
const ENDS: [&str; 8] = ["KEY", "KEYS", "TOKEN", "TOKENS", "SECRET", "SECRETKEY", "ACCESSTOKEN", "AUTHTOKEN"];

/// Last words of names that hold something about a key.
const ABOUT: [&str; 6] = ["FILE", "PATH", "URL", "ID", "NAME", "HEADER"];

/// Returns the variable that was probably meant, if a name begins with the prefix and names a key.
///
/// `OPENAI_KEY`, `OPENAI_API_KEY1`, `OPENAI_API_KEY_TEAM_A`, `openai_api_key` and `OpenAI-Key` mean
/// `OPENAI_API_KEY`.
pub(super) fn near(name: &str, prefix: &str) -> Option<String> {
    let plain = plain(name);
    let rest = plain.strip_prefix("PROVIDER").unwrap_or(&plain).strip_prefix(&*self::plain(prefix))?;
    let end = rest.trim_end_matches(|char: char| char.is_ascii_digit());
    let is_key = ENDS.contains(&end) || end.starts_with("APIKEY") || end.starts_with("APITOKEN");
    if !is_key || is_about(name) {
        return None;
    }
    let number = &rest[end.len()..];
    let is_list = end.ends_with('S');
    Some(match (is_list, number) {
        (true, _) => format!("{prefix}_API_KEYS"),
        (false, "") => format!("{prefix}_API_KEY"),
        (false, number) => format!("{prefix}_API_KEY_{number}"),
    })
}

fn is_about(name: &str) -> bool {
    let last = name.rsplit(['_', '-']).next().unwrap_or(name);
    ABOUT.iter().any(|about| last.eq_ignore_ascii_case(about))
}

/// Returns a name in upper case without separators.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_almost_one_is_found() {
        for (name, meant) in [
            ("OPENAI_KEY", "OPENAI_API_KEY"),
            ("OPENAI_API_KEY1", "OPENAI_API_KEY_1"),
            ("OPENAI_API_KEY_BACKUP", "OPENAI_API_KEY"),
            ("OPENAI_API_KEY_TEAM_A", "OPENAI_API_KEY"),
            ("OPENAI_API_KEY_PAID", "OPENAI_API_KEY"),
            ("openai_api_key", "OPENAI_API_KEY"),
            ("OpenAI-Api-Keys", "OPENAI_API_KEYS"),
            ("OPENAI_TOKEN", "OPENAI_API_KEY"),
            ("OPENAI_KEYS", "OPENAI_API_KEYS"),
            ("PROVIDER_OPENAI_KEY", "OPENAI_API_KEY"),
        ] {
            assert_eq!(near(name, "OPENAI").as_deref(), Some(meant), "{name}");
        }
    }

    #[test]
    fn another_setting_with_the_prefix_is_none() {
        for name in
            ["OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_MONKEY", "OPENAI", "OPENAI_API_KEY_FILE", "OPEN_KEY"]
        {
            assert_eq!(near(name, "OPENAI"), None, "{name}");
        }
        assert_eq!(near("AZURE_STORAGE_KEY", "AZURE"), None);
    }
}
