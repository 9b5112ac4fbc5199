//! Restrictions: the models and endpoints that a key may be used for.

use crate::limits::ModelPattern;
use crate::wildcard;

/// The models and endpoints that a key may be used for. A default restriction allows everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Restriction {
    /// Empty: all models.
    pub(crate) models: Vec<ModelPattern>,
    pub(crate) except_models: Vec<ModelPattern>,
    /// Patterns of paths. Empty: all endpoints.
    pub(crate) endpoints: Vec<String>,
    pub(crate) except_endpoints: Vec<String>,
}

// === impl Restriction ===

impl Restriction {
    /// Returns whether the key may be used for a request to this path and model. A request that names no model is
    /// allowed whatever the models are, and so is an unknown path whatever the endpoints are.
    pub(crate) fn allows(&self, model: Option<&str>, path: Option<&str>) -> bool {
        let of_model = |model: &str| {
            let any = |patterns: &[ModelPattern]| patterns.iter().any(|pattern| pattern.matches(model));
            (self.models.is_empty() || any(&self.models)) && !any(&self.except_models)
        };
        let of_path = |path: &str| {
            let any = |patterns: &[String]| patterns.iter().any(|pattern| wildcard::covers(pattern, path));
            (self.endpoints.is_empty() || any(&self.endpoints)) && !any(&self.except_endpoints)
        };
        model.is_none_or(of_model) && path.is_none_or(of_path)
    }

    /// Returns whether the key may be used for everything.
    pub(crate) fn is_none(&self) -> bool {
        !self.is_of_models() && self.endpoints.is_empty() && self.except_endpoints.is_empty()
    }

    /// Returns whether the model of a request makes a difference.
    pub(crate) fn is_of_models(&self) -> bool {
        !self.models.is_empty() || !self.except_models.is_empty()
    }

    /// Returns a pattern of endpoints that matches no path.
    pub(crate) fn invalid_endpoint(&self) -> Option<&str> {
        let is_path = |pattern: &str| {
            let is_odd =
                |letter: char| matches!(letter, '?' | '#') || letter.is_whitespace() || letter.is_control();
            pattern.starts_with(['/', '*']) && !pattern.contains(is_odd)
        };
        let patterns = self.endpoints.iter().chain(&self.except_endpoints);
        patterns.map(String::as_str).find(|pattern| !is_path(pattern))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&'static str]) -> Vec<ModelPattern> {
        texts.iter().map(|text| ModelPattern::from(*text)).collect()
    }

    #[test]
    fn an_exception_counts_more_than_a_permission() {
        let restriction = Restriction {
            models: patterns(&["gpt-*"]),
            except_models: patterns(&["gpt-4*"]),
            endpoints: vec!["/v1/chat".into(), "*/responses".into()],
            except_endpoints: vec!["*/chat/batches*".into()],
        };
        for (model, path, expected) in [
            (Some("gpt-5"), Some("/v1/chat/completions"), true),
            (Some("gpt-4o"), Some("/v1/chat/completions"), false),
            (Some("o3"), Some("/v1/chat/completions"), false),
            (None, Some("/openai/v1/responses"), true),
            (Some("gpt-5"), Some("/v1/chat/batches/1"), false),
            (Some("gpt-5"), Some("/v1/chatter"), false),
            (None, None, true),
        ] {
            assert_eq!(restriction.allows(model, path), expected, "{model:?} {path:?}");
        }
        assert!(Restriction::default().allows(Some("any"), Some("/any")) && Restriction::default().is_none());
    }
}
