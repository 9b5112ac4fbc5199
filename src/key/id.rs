//! Names of keys and accounts, which may appear in logs.

use std::sync::Arc;

use crate::scrub::names_secret;
use crate::text::name;

name! {
    /// The name of a key: the operator's label, or a short keyed fingerprint of its secret.
    ///
    /// Appears in logs, events, errors and snapshots. Set it with [`ApiKey::id`](crate::ApiKey::id).
    KeyId, from = Arc::from
}

name! {
    /// The name of an account, the unit for which a provider counts limits: an organisation, a project, a
    /// workspace.
    ///
    /// Appears in logs, events, errors and snapshots. Set it with
    /// [`ApiKey::account`](crate::ApiKey::account).
    AccountId, from = Arc::from
}

/// The reason why a name of a key or account must not be shown. Never contains the name itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// The name has a control character, or an invisible character that changes how text is read.
    #[error("it has a control or an invisible character")]
    Character,
    /// The name contains the key, or a part that distinguishes the key from others.
    #[error("it shows the key, or a part of it")]
    ShowsSecret,
}

/// Checks whether a name, of a key with this secret, may appear in logs.
pub(crate) fn check_name(name: &str, secret: &str) -> Result<(), InvalidName> {
    if has_unprintable(name) {
        return Err(InvalidName::Character);
    }
    if names_secret(name, secret) { Err(InvalidName::ShowsSecret) } else { Ok(()) }
}

/// Returns whether a text has characters that a terminal interprets or does not show.
fn has_unprintable(text: &str) -> bool {
    let changes_reading = |character: char| matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    text.chars().any(|character| character.is_control() || changes_reading(character))
}
