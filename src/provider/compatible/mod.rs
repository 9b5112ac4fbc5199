//! Providers as data: those whose API is OpenAI's with deviations, and a few with an API of their own.
//!
//! A preset is a row in `presets.rs`; its deviations are a table of rules in one of the other files. Anything
//! that a table does not decide is classified by the rules that hold for every provider. The same word can
//! mean opposite things at two providers (`insufficient_quota` is money at OpenAI and a limit per minute at
//! DashScope), so two of them never share a table unless they run the same software.

mod asia;
mod clouds;
mod hosts;
mod labs;
mod openrouter;
mod presets;

use crate::provider::dialect::Preset;
use crate::provider::{anthropic, gemini, openai};

/// Iterates over all presets.
pub(super) fn all() -> impl Iterator<Item = &'static Preset> {
    [&openai::PRESET, &anthropic::PRESET, &gemini::PRESET, &gemini::VERTEX]
        .into_iter()
        .chain(presets::PRESETS.iter())
}

/// Finds a preset by its name or an alias. Case and all characters except letters and digits are ignored.
pub(super) fn find(name: &str) -> Option<&'static Preset> {
    let name = normal(name);
    all().find(|preset| {
        normal(preset.name) == name || preset.aliases.iter().any(|alias| normal(alias) == name)
    })
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
            for origin in preset.origins {
                origin.parse::<Origin>().unwrap_or_else(|_| panic!("{}: {origin}", preset.name));
            }
            assert!(Provider::preset(preset.name).is_some());
        }
    }
}
