//! Values that fit a JSON schema.
//!
//! The values are deterministic and small. Schemas of JSON Schema and of OpenAPI are read alike: types may be in
//! capitals, `nullable` adds null, and numbers may be written as strings.

mod build;
mod check;
mod number;
mod pattern;
mod schema;
mod text;

use serde_json::{Value, json};

use self::build::Builder;

/// Returns a value that fits `schema`. A schema that nothing fits gets a value of its type.
///
/// A schema that is missing (null) counts as that of any object.
pub(crate) fn sample(schema: &Value) -> Value {
    if schema.is_null() {
        return json!({});
    }
    Builder::new(schema).value(schema)
}

#[cfg(test)]
mod tests;
