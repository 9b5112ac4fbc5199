//! Decides whether a value fits a schema. Formats and patterns are not checked.

use serde_json::{Map, Value};

use super::schema::{Flat, count, number, resolve, types};

/// Maximum number of schemas that lead to one another without a value between them.
const REFERENCES: usize = 16;

/// Returns whether `value` fits `schema`. References are looked up in `root`.
pub(super) fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    fits_in(root, schema, value, REFERENCES)
}

fn fits_in(root: &Value, schema: &Value, value: &Value, references: usize) -> bool {
    let Some(schema) = schema.as_object() else { return *schema != Value::Bool(false) };
    let Some(references) = references.checked_sub(1) else { return true };
    let all = |name: &str| schema.get(name).and_then(Value::as_array);
    let fits = |schema: &Value| fits_in(root, schema, value, references);
    let referred = schema.get("$ref").and_then(Value::as_str).and_then(|name| resolve(root, name));
    let same = |listed: &&Value| equal(listed, value);
    has_type(schema, value)
        && schema.get("const").is_none_or(|it| same(&it))
        && all("enum").is_none_or(|listed| listed.iter().any(|it| same(&it)))
        && referred.is_none_or(fits)
        && all("allOf").is_none_or(|all| all.iter().all(fits))
        && all("anyOf").is_none_or(|all| all.iter().any(fits))
        && all("oneOf").is_none_or(|all| all.iter().filter(|it| fits(it)).count() == 1)
        && schema.get("not").is_none_or(|not| !fits(not))
        && condition(schema).is_none_or(|(when, met, unmet)| if fits(when) { fits(met) } else { fits(unmet) })
        && match value {
            Value::Number(it) => is_number_within(schema, it.as_f64().unwrap_or_default()),
            Value::String(it) => is_count_within(schema, "minLength", "maxLength", it.chars().count()),
            Value::Array(it) => is_array_within(root, schema, it),
            Value::Object(it) => is_object_within(root, schema, it),
            Value::Null | Value::Bool(_) => true,
        }
}

/// Returns `if`, `then` and `else`.
fn condition(schema: &Flat) -> Option<(&Value, &Value, &Value)> {
    let part = |name: &str| schema.get(name).unwrap_or(&Value::Bool(true));
    schema.get("if").map(|when| (when, part("then"), part("else")))
}

/// Returns whether two values are the same; `1` and `1.0` are.
fn equal(left: &Value, right: &Value) -> bool {
    left == right || (left.is_number() && left.as_f64() == right.as_f64())
}

fn has_type(schema: &Flat, value: &Value) -> bool {
    let types = types(schema);
    let is = |name: &String| match name.as_str() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        _ => false,
    };
    types.is_empty() || types.iter().any(is)
}

fn is_number_within(schema: &Flat, value: f64) -> bool {
    let flag = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    let above = |low: f64| if flag("exclusiveMinimum") { value > low } else { value >= low };
    let below = |high: f64| if flag("exclusiveMaximum") { value < high } else { value <= high };
    let multiple = |step: f64| {
        let times = value / step;
        (times - times.round()).abs() < 1e-9
    };
    number(schema, "minimum").is_none_or(above)
        && number(schema, "maximum").is_none_or(below)
        && number(schema, "exclusiveMinimum").is_none_or(|low| value > low)
        && number(schema, "exclusiveMaximum").is_none_or(|high| value < high)
        && number(schema, "multipleOf").is_none_or(multiple)
}

fn is_count_within(schema: &Flat, least: &str, most: &str, value: usize) -> bool {
    count(schema, least).is_none_or(|least| value >= least)
        && count(schema, most).is_none_or(|most| value <= most)
}

fn is_array_within(root: &Value, schema: &Flat, value: &[Value]) -> bool {
    let items = schema.get("items");
    let fixed = schema.get("prefixItems").or_else(|| items.filter(|items| items.is_array()));
    let fixed = fixed.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let rest = items.filter(|items| !items.is_array());
    let rest = if rest == items { rest } else { schema.get("additionalItems") };
    let any = Value::Bool(true);
    let item = |at: usize| fixed.get(at).or(rest).unwrap_or(&any);
    let unique = schema.get("uniqueItems") != Some(&any)
        || value.iter().enumerate().all(|(at, item)| !value.iter().take(at).any(|other| equal(other, item)));
    let contained = schema.get("contains").map(|it| value.iter().filter(|item| fits(root, it, item)).count());
    is_count_within(schema, "minItems", "maxItems", value.len())
        && unique
        && value.iter().enumerate().all(|(at, value)| fits(root, item(at), value))
        && contained.is_none_or(|found| {
            found >= count(schema, "minContains").unwrap_or(1)
                && count(schema, "maxContains").is_none_or(|most| found <= most)
        })
}

fn is_object_within(root: &Value, schema: &Flat, value: &Map<String, Value>) -> bool {
    let object = |name: &str| schema.get(name).and_then(Value::as_object);
    let present = |names: Option<&Value>| {
        let names = names.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        names.into_iter().all(|name| value.contains_key(name))
    };
    let patterned = object("patternProperties").is_some();
    let property = |name: &String| match object("properties").and_then(|all| all.get(name)) {
        Some(schema) => Some(schema),
        None if patterned => None,
        None => schema.get("additionalProperties"),
    };
    let dependent = object("dependentRequired").into_iter().flatten();
    is_count_within(schema, "minProperties", "maxProperties", value.len())
        && present(schema.get("required"))
        && dependent.into_iter().all(|(name, names)| !value.contains_key(name) || present(Some(names)))
        && value.iter().all(|(name, value)| property(name).is_none_or(|schema| fits(root, schema, value)))
        && object("propertyNames").is_none_or(|names| {
            let names = Value::from(names.clone());
            value.keys().all(|name| fits(root, &names, &name.as_str().into()))
        })
}
