//! Schemas without combinations: `$ref`, `allOf`, `anyOf`, `oneOf` and lists of types become alternatives.

use serde_json::{Map, Value, json};

/// A schema whose combinations are resolved.
pub(super) type Flat = Map<String, Value>;

/// Maximum number of alternatives that are tried for one schema.
const ALTERNATIVES: usize = 64;

/// Maximum number of references that lead from one schema to the next without a value between them.
const REFERENCES: usize = 16;

const COMBINATIONS: [&str; 7] = ["$ref", "allOf", "anyOf", "oneOf", "if", "then", "else"];

/// Returns the schemas of which a value has to fit one, most preferred first.
pub(super) fn alternatives(root: &Value, schema: &Value) -> Vec<Flat> {
    expand(root, schema, REFERENCES)
}

/// Returns the schema that a reference names, if it is in this document.
pub(super) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    match root.pointer(&decoded(pointer)) {
        Some(schema) => Some(schema),
        None => anchored(root, pointer),
    }
}

/// Returns a number that a schema states. Gemini writes whole numbers as strings.
pub(super) fn number(schema: &Flat, name: &str) -> Option<f64> {
    let value = schema.get(name)?;
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// Returns a count that a schema states.
pub(super) fn count(schema: &Flat, name: &str) -> Option<usize> {
    number(schema, name).filter(|count| *count >= 0.0).map(|count| count as usize)
}

/// Returns the types that a schema allows, in small letters. Empty if it allows all.
pub(super) fn types(schema: &Flat) -> Vec<String> {
    let mut types: Vec<String> = match schema.get("type") {
        Some(Value::String(one)) => vec![one.to_lowercase()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_lowercase).collect(),
        _ => Vec::new(),
    };
    types.retain(|name| name != "type_unspecified");
    if schema.get("nullable") == Some(&Value::Bool(true)) && !types.is_empty() {
        types.push("null".to_owned());
    }
    types
}

/// Returns a pointer without percent-encoding.
fn decoded(pointer: &str) -> String {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn anchored<'a>(value: &'a Value, anchor: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) if map.get("$anchor").and_then(Value::as_str) == Some(anchor) => Some(value),
        Value::Object(map) => map.values().find_map(|value| anchored(value, anchor)),
        Value::Array(list) => list.iter().find_map(|value| anchored(value, anchor)),
        _ => None,
    }
}

fn expand(root: &Value, schema: &Value, references: usize) -> Vec<Flat> {
    let Some(map) = schema.as_object() else {
        return if *schema == Value::Bool(false) { Vec::new() } else { vec![Flat::new()] };
    };
    let mut base = map.clone();
    base.retain(|name, _| !COMBINATIONS.contains(&name.as_str()));
    let mut all = vec![base];
    if references == 0 {
        return all;
    }
    let each = |schema: &Value| expand(root, schema, references - 1);
    if let Some(target) = map.get("$ref").and_then(Value::as_str).and_then(|name| resolve(root, name)) {
        all = product(&all, &each(target));
    }
    for part in list(map, "allOf") {
        all = product(&all, &each(part));
    }
    for name in ["anyOf", "oneOf"] {
        if map.contains_key(name) {
            let branches: Vec<Flat> = list(map, name).iter().flat_map(each).collect();
            all = product(&all, &branches);
        }
    }
    match map.get("if") {
        Some(condition) => conditional(map, condition, &all, each),
        None => all,
    }
}

/// Returns the alternatives in which the condition holds, and then those in which it does not.
fn conditional(map: &Flat, condition: &Value, all: &[Flat], each: impl Fn(&Value) -> Vec<Flat>) -> Vec<Flat> {
    let any = Value::Bool(true);
    let met = each(&json!({"allOf": [condition, map.get("then").unwrap_or(&any)]}));
    let unmet = each(map.get("else").unwrap_or(&any));
    product(all, &[met, unmet].concat())
}

fn list<'a>(map: &'a Flat, name: &str) -> &'a [Value] {
    map.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn product(left: &[Flat], right: &[Flat]) -> Vec<Flat> {
    let pairs = left.iter().flat_map(|left| right.iter().map(move |right| merged(left, right)));
    pairs.take(ALTERNATIVES).collect()
}

/// Returns the schema of the values that fit both.
fn merged(left: &Flat, right: &Flat) -> Flat {
    let mut out = left.clone();
    for (name, new) in right {
        let value = match out.get(name) {
            None => new.clone(),
            Some(old) => both(name, old, new, left, right),
        };
        out.insert(name.clone(), value);
    }
    out
}

/// Returns the value of a keyword that two schemas have, for the values that fit both.
fn both(name: &str, old: &Value, new: &Value, left: &Flat, right: &Flat) -> Value {
    match (name, old, new) {
        ("properties" | "$defs" | "definitions", Value::Object(old), Value::Object(new)) => {
            let mut all = old.clone();
            for (name, schema) in new {
                let before = all.get(name).cloned();
                let schema = before.map_or_else(|| schema.clone(), |it| json!({"allOf": [it, schema]}));
                all.insert(name.clone(), schema);
            }
            all.into()
        }
        ("required", Value::Array(old), Value::Array(new)) => {
            let more = new.iter().filter(|name| !old.contains(name));
            old.iter().chain(more).cloned().collect()
        }
        ("enum", Value::Array(old), Value::Array(new)) => {
            old.iter().filter(|value| new.contains(value)).cloned().collect()
        }
        ("type", ..) => common_types(left, right),
        ("minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties", ..) => {
            larger(name, old, new, left, right, true)
        }
        ("maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties", ..) => {
            larger(name, old, new, left, right, false)
        }
        ("items" | "not", ..) if old != new => {
            let how = if name == "items" { "allOf" } else { "anyOf" };
            json!({how: [old, new]})
        }
        ("additionalProperties", Value::Bool(false), _) => old.clone(),
        _ => new.clone(),
    }
}

fn larger(name: &str, old: &Value, new: &Value, left: &Flat, right: &Flat, want: bool) -> Value {
    let is_larger = number(left, name) > number(right, name);
    if is_larger == want { old.clone() } else { new.clone() }
}

/// Returns the types that both schemas allow. An integer is a number.
fn common_types(left: &Flat, right: &Flat) -> Value {
    let right = types(right);
    let common = |name: &String| {
        let narrower = if name == "number" { "integer" } else { name.as_str() };
        let wider = if name == "integer" { "number" } else { name.as_str() };
        match right.iter().any(|it| it == name || it == wider) {
            true => Some(name.clone()),
            false => right.iter().find(|it| *it == narrower).cloned(),
        }
    };
    types(left).iter().filter_map(common).collect()
}
