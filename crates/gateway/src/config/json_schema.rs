//! The JSON schema of a configuration file, from the types that it is read into.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::config::file::ConfigFile;

/// Returns the JSON schema (draft 7) of a configuration file, for editors that complete and check TOML or JSON.
///
/// The program prints it: `key-rotation-gateway schema`. It describes the shape of a file; a [`Loader`] checks more.
///
/// [`Loader`]: crate::config::Loader
///
/// ```
/// let schema = tower_key_rotation_gateway::config::json_schema();
/// let deadline = &schema["definitions"]["ChainTable"]["properties"]["deadline"];
/// assert_eq!(deadline["examples"][0], "10m");
/// ```
pub fn json_schema() -> Value {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<ConfigFile>();
    let mut schema = Value::from(schema);
    tidy(&mut schema);
    if let Value::Object(root) = &mut schema {
        root.insert("title".into(), "Configuration of key-rotation-gateway".into());
        root.remove("description");
    }
    schema
}

/// Removes `null`, which no file contains, and splits descriptions, at all depths.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(schema) => {
            schema.values_mut().for_each(tidy);
            without_null(schema);
            if let Some(Value::String(text)) = schema.get("description") {
                let text = text.clone();
                describe(schema, &text);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Removes `null` from the types, the words and the alternatives of a schema.
fn without_null(schema: &mut Map<String, Value>) {
    for name in ["type", "enum", "anyOf"] {
        let Some(Value::Array(list)) = schema.get_mut(name) else { continue };
        list.retain(|it| !it.is_null() && it != "null" && it["type"] != "null");
        if name == "enum" || list.len() != 1 {
            continue;
        }
        match list.pop() {
            // A draft 7 validator ignores all that stands beside a reference.
            Some(only) if only.get("$ref").is_some() => {
                schema.remove(name);
                schema.insert("allOf".into(), vec![only].into());
            }
            Some(Value::Object(only)) => {
                schema.remove(name);
                schema.extend(only);
            }
            Some(only) => drop(schema.insert(name.into(), only)),
            None => {}
        }
    }
}

/// Makes the last paragraph of a description, `Default: …. Example: …`, members of the schema.
fn describe(schema: &mut Map<String, Value>, text: &str) {
    let text = text.split("\n\n").map(|it| it.replace('\n', " ")).collect::<Vec<_>>();
    let is_last = |it: &&String| it.starts_with("Default: ") || it.starts_with("Example: ");
    let last = text.last().filter(is_last);
    let meaning = text[..text.len() - usize::from(last.is_some())].join(" ");
    schema.insert("description".into(), meaning.into());
    let Some(last) = last else { return };
    let (default, example) = match last.split_once("Example: ") {
        Some((before, example)) => (before, Some(example)),
        None => (last.as_str(), None),
    };
    if let Some(default) = default.strip_prefix("Default: ").map(|it| it.trim().trim_end_matches('.')) {
        schema.insert("x-default".into(), default.into());
        if let Some(value) = in_toml(default) {
            schema.insert("default".into(), value);
        }
    }
    if let Some(example) = example {
        schema.insert("x-example".into(), example.into());
        schema.extend(in_toml(example).map(|value| ("examples".into(), vec![value].into())));
    }
}

/// Returns the value that a text between backquotes stands for in TOML, if it is nothing else.
fn in_toml(text: &str) -> Option<Value> {
    let code = text.strip_prefix('`')?.strip_suffix('`')?;
    toml::from_str::<Map<String, Value>>(&format!("it = {code}")).ok()?.remove("it")
}
