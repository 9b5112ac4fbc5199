//! Builds a value of each type.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::check::fits;
use super::number::a_number;
use super::schema::{Flat, alternatives, count, types};
use super::text::a_string;

/// Depth from which optional properties and elements are left out, so that recursive schemas end.
const SHALLOW: usize = 4;

/// Depth at which values end in any case.
const DEEPEST: usize = 64;

/// Maximum number of values that are built for one sample.
const VALUES: usize = 50_000;

/// Number of different values that are tried for one schema.
const TRIES: usize = 6;

/// Maximum number of elements of an array that a schema can ask for.
const MOST_ITEMS: usize = 10_000;

/// Builds one sample.
pub(super) struct Builder<'a> {
    root: &'a Value,
    values_left: Cell<usize>,
}

// === impl Builder ===

impl<'a> Builder<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, values_left: Cell::new(VALUES) }
    }

    /// Returns a value that fits `schema`.
    pub(super) fn value(&self, schema: &Value) -> Value {
        self.at_depth(schema, 0, 0)
    }

    /// Returns the first value that fits, of all alternatives and tries. `nth` makes values differ.
    fn at_depth(&self, schema: &Value, depth: usize, nth: usize) -> Value {
        let left = self.values_left.get();
        if depth > DEEPEST || left == 0 {
            return Value::Null;
        }
        self.values_left.set(left - 1);
        let mut all = alternatives(self.root, schema);
        if depth >= SHALLOW {
            all.sort_by_key(is_nested);
        }
        let mut first = None;
        for attempt in nth..nth + TRIES {
            for flat in &all {
                for value in self.candidates(flat, depth, attempt) {
                    if fits(self.root, schema, &value) {
                        return value;
                    }
                    first.get_or_insert(value);
                }
            }
        }
        first.unwrap_or_default()
    }

    fn candidates(&self, schema: &Flat, depth: usize, nth: usize) -> Vec<Value> {
        if let Some(value) = schema.get("const") {
            return vec![value.clone()];
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            let (before, after) = values.split_at(nth % values.len().max(1));
            return after.iter().chain(before).cloned().collect();
        }
        let mut types = types(schema);
        if types.is_empty() {
            let others = ["string", "integer", "boolean", "null", "array", "object"];
            types.extend([implied_type(schema)].into_iter().chain(others).map(str::to_owned));
        }
        if depth >= SHALLOW {
            types.sort_by_key(|name| matches!(name.as_str(), "object" | "array"));
        }
        let mut all: Vec<Value> = types.iter().map(|name| self.of_type(name, schema, depth, nth)).collect();
        let negative =
            all.iter().filter_map(Value::as_i64).map(|number| Value::from(-number)).collect::<Vec<_>>();
        all.extend(negative);
        all
    }

    fn of_type(&self, name: &str, schema: &Flat, depth: usize, nth: usize) -> Value {
        match name {
            "object" => self.object(schema, depth, nth),
            "array" => self.array(schema, depth, nth),
            "integer" => a_number(schema, true, nth),
            "number" => a_number(schema, false, nth),
            "boolean" => Value::Bool(nth.is_multiple_of(2)),
            "null" => Value::Null,
            _ => a_string(schema, nth).into(),
        }
    }

    /// Returns an object with all properties near the root, and with the required ones only further down.
    fn object(&self, schema: &Flat, depth: usize, nth: usize) -> Value {
        let none = Map::new();
        let object = |name: &str| schema.get(name).and_then(Value::as_object).unwrap_or(&none);
        let properties = object("properties");
        let mut required = required(schema);
        for (name, others) in object("dependentRequired") {
            if properties.contains_key(name) || required.contains(name) {
                required.extend(names(Some(others)));
                required.dedup();
            }
        }
        let most = count(schema, "maxProperties").unwrap_or(usize::MAX);
        let mut out = Map::new();
        for name in required.iter().chain(properties.keys().filter(|name| !required.contains(name))) {
            let needed = required.contains(name);
            let never = properties.get(name) == Some(&Value::Bool(false));
            if !needed && (never || depth >= SHALLOW || out.len() >= most) {
                continue;
            }
            let schema = properties.get(name).or_else(|| schema.get("additionalProperties"));
            out.insert(name.clone(), self.at_depth(schema.unwrap_or(&Value::Bool(true)), depth + 1, nth));
        }
        self.more_properties(schema, depth, &mut out);
        out.into()
    }

    /// Adds properties of the schema's choice until there are enough: at least one for a map.
    fn more_properties(&self, schema: &Flat, depth: usize, out: &mut Map<String, Value>) {
        let extra = schema.get("additionalProperties").filter(|extra| extra.is_object());
        let is_map = extra.is_some() && !schema.contains_key("properties") && depth < SHALLOW;
        let least = count(schema, "minProperties").unwrap_or_else(|| is_map.into()).min(MOST_ITEMS);
        let most = count(schema, "maxProperties").unwrap_or(usize::MAX);
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let (names, value) = match patterns.and_then(|all| all.iter().next()) {
            Some((pattern, schema)) if extra.is_none() => {
                (Flat::from_iter([("pattern".to_owned(), pattern.clone().into())]), schema)
            }
            _ => {
                let names = schema.get("propertyNames").and_then(Value::as_object);
                (names.cloned().unwrap_or_default(), extra.unwrap_or(&Value::Bool(true)))
            }
        };
        let names = Value::from(names);
        for nth in 0..least.min(most).saturating_mul(2) {
            if out.len() >= least.min(most) {
                return;
            }
            if let Value::String(name) = self.name(&names, nth) {
                out.insert(name, self.at_depth(value, depth + 1, nth));
            }
        }
    }

    fn name(&self, schema: &Value, nth: usize) -> Value {
        let mut schema = schema.clone();
        schema["type"] = "string".into();
        self.at_depth(&schema, DEEPEST, nth)
    }

    fn array(&self, schema: &Flat, depth: usize, nth: usize) -> Value {
        let any = Value::Bool(true);
        let items = schema.get("items");
        let fixed = schema.get("prefixItems").or_else(|| items.filter(|items| items.is_array()));
        let fixed = fixed.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let rest = items.filter(|items| !items.is_array()).unwrap_or(&any);
        let contained = schema.get("contains");
        let wanted = if contained.is_some() { count(schema, "minContains").unwrap_or(1) } else { 0 };
        let usual =
            if depth < SHALLOW && *rest != Value::Bool(false) { fixed.len().max(1) } else { fixed.len() };
        let least = count(schema, "minItems").unwrap_or(usual).max(wanted).min(MOST_ITEMS);
        let least = if depth < SHALLOW { least.max(usual) } else { least };
        let length = least.min(count(schema, "maxItems").unwrap_or(usize::MAX));
        let mut out: Vec<Value> = Vec::with_capacity(length);
        for at in 0..length {
            let item = fixed.get(at).unwrap_or(rest);
            let both = contained.filter(|_| at >= length - wanted.min(length));
            let both = both.map(|contained| serde_json::json!({"allOf": [item, contained]}));
            let item = both.as_ref().unwrap_or(item);
            let different = if schema.get("uniqueItems") == Some(&Value::Bool(true)) { at } else { 0 };
            out.push(self.at_depth(item, depth + 1, nth + different));
        }
        out.into()
    }
}

/// Returns the names of the properties that an object must have.
fn required(schema: &Flat) -> Vec<String> {
    names(schema.get("required")).collect()
}

fn names(list: Option<&Value>) -> impl Iterator<Item = String> {
    let listed = list.and_then(Value::as_array).into_iter().flatten();
    listed.filter_map(Value::as_str).map(str::to_owned)
}

/// Returns whether a value of this schema may contain others.
fn is_nested(schema: &Flat) -> bool {
    let types = types(schema);
    let flat = |name: &String| !matches!(name.as_str(), "object" | "array");
    !schema.contains_key("const") && !schema.contains_key("enum") && !types.iter().any(flat)
}

/// Returns the type that the keywords of a schema without `type` are about.
fn implied_type(schema: &Flat) -> &'static str {
    let has = |names: &[&str]| names.iter().any(|name| schema.contains_key(*name));
    if has(&["properties", "required", "additionalProperties", "patternProperties", "minProperties"]) {
        "object"
    } else if has(&["items", "prefixItems", "minItems", "contains"]) {
        "array"
    } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        "number"
    } else {
        "string"
    }
}
