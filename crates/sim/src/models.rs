//! The models that a simulated provider has.

use crate::dialect::Dialect;

const OPENAI: &[&str] = &[
    "sim-large",
    "sim-small",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-nano",
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4.1-nano",
    "gpt-4o",
    "gpt-4o-mini",
    "o1",
    "o3",
    "o3-mini",
    "o4-mini",
    "gpt-4-turbo",
    "gpt-4",
    "gpt-3.5-turbo",
    "gpt-3.5-turbo-instruct",
    "text-embedding-3-small",
    "text-embedding-3-large",
    "text-embedding-ada-002",
    "whisper-1",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "tts-1",
    "tts-1-hd",
    "gpt-4o-mini-tts",
    "dall-e-2",
    "dall-e-3",
    "gpt-image-1",
    "gpt-realtime",
    "gpt-realtime-mini",
    "omni-moderation-latest",
    "text-moderation-latest",
];
const ANTHROPIC: &[&str] = &[
    "sim-large",
    "claude-sonnet-5-5",
    "claude-opus-4-5",
    "claude-opus-4-1",
    "claude-opus-4",
    "claude-sonnet-4-5",
    "claude-sonnet-4",
    "claude-haiku-4-5",
    "claude-3-7-sonnet",
    "claude-3-5-sonnet",
    "claude-3-5-haiku",
    "claude-3-haiku",
];
const GEMINI: &[&str] = &[
    "sim-large",
    "gemini-3-pro-preview",
    "gemini-2.5-pro",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-2.0-flash",
    "gemini-2.0-flash-lite",
    "gemini-live-2.5-flash",
    "gemma-3-27b-it",
    "gemini-embedding-001",
    "text-embedding-004",
];

/// The models of a provider.
#[derive(Clone, Debug)]
pub(crate) struct Models {
    listed: Vec<String>,
    only_listed: bool,
}

// === impl Models ===

impl Models {
    /// Returns the usual models of a provider. Every other name is served as well.
    pub(crate) fn of(dialect: Dialect) -> Self {
        let listed = match dialect {
            Dialect::OpenAi => OPENAI,
            Dialect::Anthropic => ANTHROPIC,
            Dialect::Gemini => GEMINI,
        };
        Self { listed: listed.iter().map(|id| (*id).to_owned()).collect(), only_listed: false }
    }

    pub(crate) fn add(&mut self, id: String) {
        if !self.listed.contains(&id) {
            self.listed.push(id);
        }
    }

    pub(crate) fn serve_listed_only(&mut self) {
        self.only_listed = true;
    }

    pub(crate) fn listed(&self) -> &[String] {
        &self.listed
    }

    /// Returns whether calls with this model are served.
    pub(crate) fn serves(&self, name: &str) -> bool {
        !self.only_listed || self.lists(name)
    }

    /// Returns whether the list has this model, under this name, as a snapshot with a date or as `-latest`, or
    /// as the base of a fine-tuned one.
    pub(crate) fn lists(&self, name: &str) -> bool {
        let name = name.trim_start_matches("models/");
        let base = name.strip_prefix("ft:").and_then(|rest| rest.split(':').next()).unwrap_or(name);
        self.listed.iter().any(|id| base.strip_prefix(id.as_str()).is_some_and(is_version))
    }
}

/// Returns whether this is what follows the name of a model in the name of one of its versions.
fn is_version(rest: &str) -> bool {
    let is_date = |date: &str| date.len() >= 3 && date.chars().all(|it| it.is_ascii_digit() || it == '-');
    rest.is_empty() || rest.strip_prefix('-').is_some_and(|rest| rest == "latest" || is_date(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_model_are_known() {
        let models = Models::of(Dialect::OpenAi);
        for name in ["gpt-4o", "gpt-4o-2024-11-20", "gpt-4-0613", "ft:gpt-4o-mini-2024-07-18:org::a"] {
            assert!(models.lists(name), "{name}");
        }
        for name in ["gpt-4o-fox", "claude-haiku-4-5", "", "gpt", "ft:unknown:org"] {
            assert!(!models.lists(name), "{name}");
        }
        assert!(Models::of(Dialect::Anthropic).lists("claude-sonnet-4-5-20250929"));
        assert!(Models::of(Dialect::Gemini).lists("models/gemini-2.5-flash"));
        assert!(models.serves("fox"));
    }
}
