//! Members of a request's body, by their names.

use serde_json::Value;

/// Returns the texts of the members with these names, at any depth.
pub(super) fn texts<'a>(value: &'a Value, names: &[&str]) -> Vec<&'a str> {
    match value {
        Value::Array(items) => items.iter().flat_map(|item| texts(item, names)).collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(text) if names.contains(&name.as_str()) => vec![text.as_str()],
                value => texts(value, names),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Returns a field by either of its names. Gemini reads both.
pub(super) fn either<'a>(value: &'a Value, camel: &str, snake: &str) -> &'a Value {
    if value[camel].is_null() { &value[snake] } else { &value[camel] }
}
