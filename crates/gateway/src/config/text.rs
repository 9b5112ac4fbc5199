//! Checks of text that is shown in logs and on the status page.

/// Returns whether a text consists of characters that a terminal shows as they are.
pub(super) fn is_printable(text: &str) -> bool {
    text.chars()
        .all(|character| matches!(character, '\'' | '"' | '\\') || character.escape_debug().len() == 1)
}
