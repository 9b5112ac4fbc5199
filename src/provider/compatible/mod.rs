//! Providers as data: those whose API is OpenAI's with deviations, and a few with an API of their own.
//!
//! A preset is a row in a file of `presets`; its deviations are a table of rules in one of the other files. Anything
//! that a table does not decide is classified by the rules that hold for every provider. The same word can
//! mean opposite things at two providers (`insufficient_quota` is money at OpenAI and a limit per minute at
//! DashScope), so two of them never share a table unless they run the same software.

mod asia;
mod clouds;
mod hosts;
mod labs;
mod openrouter;
mod presets;

use crate::provider::preset::Preset;
use crate::provider::{anthropic, gemini, openai};

/// Iterates over all presets.
pub(super) fn all() -> impl Iterator<Item = &'static Preset> {
    let own = [
        &openai::PRESET,
        &openai::CODEX,
        &anthropic::PRESET,
        &gemini::PRESET,
        &gemini::VERTEX,
        &gemini::CODE_ASSIST,
    ];
    own.into_iter().chain(presets::all())
}

/// Finds a preset by its name or an alias. Case and all characters except letters and digits are ignored.
pub(super) fn find(name: &str) -> Option<&'static Preset> {
    let name = normal(name);
    all().find(|preset| {
        normal(preset.name) == name || preset.aliases.iter().any(|alias| normal(alias) == name)
    })
}

/// Returns the preset whose keys begin as this one does, if it is not `of`. The longest beginning counts.
///
/// Returns `None` if `of` has no fixed host: a relay may take the keys of those behind it.
pub(super) fn owner(of: &Preset, key: &str) -> Option<&'static Preset> {
    of.base_url.filter(|_| of.needs_key)?;
    let length = |preset: &Preset| {
        preset.key_starts.iter().filter(|start| key.starts_with(**start)).map(|start| start.len()).max()
    };
    let (longest, owner) =
        all().filter_map(|preset| Some((length(preset)?, preset))).max_by_key(|it| it.0)?;
    (length(of).unwrap_or_default() < longest).then_some(owner)
}

fn normal(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Origin, Provider};

    #[test]
    fn every_name_and_alias_finds_its_own_preset() {
        for preset in all() {
            for name in std::iter::once(&preset.name).chain(preset.aliases) {
                assert_eq!(find(name).unwrap().name, preset.name, "{name}");
            }
        }
        assert!(find("").is_none());
    }

    #[test]
    fn every_origin_is_one() {
        for preset in all() {
            for origin in preset.origins() {
                origin.parse::<Origin>().unwrap_or_else(|_| panic!("{}: {origin}", preset.name));
            }
            assert!(Provider::preset(preset.name).is_some());
        }
    }
}
