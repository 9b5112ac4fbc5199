//! The reference of the configuration, as Markdown.

use std::fmt::Write as _;

use serde_json::Value;

use crate::config::json_schema::json_schema;

/// Beginning of the page.
const HEAD: &str = "\
Every key of the gateway's configuration file.

This page is made from the types that the file is read into: `key-rotation-gateway schema --markdown` prints it, and
`key-rotation-gateway schema` prints the same as a JSON schema for editors. A file is TOML or JSON; the examples are TOML.

- A **length of time** is written as `500ms`, `60s` or `1m30s`, is above zero, and at most a day.
- A **reference** is `\"env:NAME\"` for an environment variable or `\"file:PATH\"` for the content of a file, relative to the
  configuration file. Any other text is the value itself. Secrets belong in references.
- `key-rotation-gateway check --config FILE` finds every mistake in a file. A running gateway loads a changed file again,
  and a file with a mistake changes nothing.
";

/// Returns the reference of the configuration as a page in Markdown: each key with its type, default, meaning and an
/// example.
///
/// ```
/// let page = tower_key_rotation_gateway::config::reference();
/// assert!(page.contains("| `deadline` | length of time | no limit | Maximum time from a request to the commit"));
/// ```
pub fn reference() -> String {
    let schema = json_schema();
    let mut page = Page { definitions: &schema["definitions"], text: HEAD.to_owned() };
    page.section("Keys outside tables", "These stand at the beginning of the file.", &schema, "");
    page.text
}

/// The page so far.
struct Page<'a> {
    definitions: &'a Value,
    text: String,
}

/// A table within a table.
struct Inner<'a> {
    name: &'a str,
    /// Names of the tables around it and its own, with dots between them.
    path: String,
    /// Whether a file may have several.
    is_list: bool,
    meaning: &'a str,
    schema: &'a Value,
    /// Whether the key may hold something else than the table, and has a row of its own.
    has_row: bool,
}

// === impl Page ===

impl<'a> Page<'a> {
    /// Writes the keys of a table, and then the tables within it.
    fn section(&mut self, title: &str, meaning: &str, table: &'a Value, path: &str) {
        let Some(properties) = table["properties"].as_object() else { return };
        let _never_fails = write!(self.text, "\n## {title}\n\n{meaning}\n");
        self.text.push_str("\n| key | type | default | meaning | example |\n|---|---|---|---|---|\n");
        let inner = |(name, schema): (&'a String, &'a Value)| self.inner(path, name, schema);
        let tables: Vec<_> = properties.iter().filter_map(inner).collect();
        for (name, schema) in properties {
            if !tables.iter().any(|inner| inner.name == name && !inner.has_row) {
                self.row(name, schema);
            }
        }
        for inner in tables {
            self.section(&inner.title(), inner.meaning, inner.schema, &inner.path);
        }
    }

    fn row(&mut self, name: &str, schema: &Value) {
        let text = |name: &str| schema[name].as_str().unwrap_or_default().replace('|', "\\|");
        let kind = self.kind(schema);
        let default =
            Some(text("x-default")).filter(|it| !it.is_empty()).unwrap_or_else(|| "must be set".to_owned());
        let (meaning, example) = (text("description"), text("x-example"));
        let _never_fails = writeln!(self.text, "| `{name}` | {kind} | {default} | {meaning} | {example} |");
    }

    /// Returns the table that a key holds, if it holds one.
    fn inner(&self, path: &str, name: &'a str, schema: &'a Value) -> Option<Inner<'a>> {
        let path = [path, name].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(".");
        let meaning = schema["description"].as_str().unwrap_or_default();
        let one = self.definition(schema);
        let (found, is_list) = match one {
            Some(table) => (table, false),
            None => (self.definition(&schema["items"])?, true),
        };
        let has_row = schema.get("x-example").is_some();
        Some(Inner { name, path, is_list, meaning, schema: found, has_row })
    }

    /// Returns the definition that a schema refers to, directly or as one of its alternatives.
    fn definition(&self, schema: &'a Value) -> Option<&'a Value> {
        if let Some(name) = schema["$ref"].as_str() {
            return self.definitions.get(name.trim_start_matches("#/definitions/"));
        }
        let alternatives = ["allOf", "anyOf"].into_iter().filter_map(|name| schema[name].as_array());
        alternatives.flatten().find_map(|schema| self.definition(schema))
    }

    /// Returns the type of a value in words.
    fn kind(&self, schema: &Value) -> String {
        if let Some(title) = schema["title"].as_str() {
            return title.to_owned();
        }
        if let Some(words) = schema["enum"].as_array() {
            return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        }
        if let Some(alternatives) = schema["anyOf"].as_array() {
            return alternatives.iter().map(|it| self.kind(it)).collect::<Vec<_>>().join(", or ");
        }
        match schema["type"].as_str() {
            Some("array") => format!("list of: {}", self.kind(&schema["items"])),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("integer") => "whole number".to_owned(),
            Some("object") => format!("table of: {}", self.kind(&schema["additionalProperties"])),
            Some("string") => "text".to_owned(),
            Some(other) => other.to_owned(),
            None => "table".to_owned(),
        }
    }
}

// === impl Inner ===

impl Inner<'_> {
    fn title(&self) -> String {
        if self.is_list { format!("`[[{}]]`", self.path) } else { format!("`[{}]`", self.path) }
    }
}
