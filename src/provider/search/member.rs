//! The names of members of a JSON document.

/// Length of the longest text of the member's name, in which each letter is an escape.
pub(super) const LONGEST_KEY: usize = 6 * "model".len() + 2;

/// The name of a member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyName {
    /// `model`.
    Model,
    /// `model` in other letters. Servers written in Go read members in any case.
    OtherCase,
    Other,
}

/// Returns the name for which the text of a key stands.
pub(super) fn name_of(key: &[u8]) -> KeyName {
    if key == b"\"model\"" {
        return KeyName::Model;
    }
    let name = Some(key).filter(|key| key.len() <= LONGEST_KEY);
    match name.and_then(|key| serde_json::from_slice::<String>(key).ok()) {
        Some(name) if name == "model" => KeyName::Model,
        Some(name) if name.eq_ignore_ascii_case("model") => KeyName::OtherCase,
        _ => KeyName::Other,
    }
}
