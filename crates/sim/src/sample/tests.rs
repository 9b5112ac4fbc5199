use super::*;

/// Schemas, and what a value has to be: the schema itself is the check, through `fits`.
fn assert_fits(schema: Value) {
    let value = sample(&schema);
    assert!(super::check::fits(&schema, &schema, &value), "{schema} <- {value}");
    assert_eq!(value, sample(&schema), "the same schema gets the same value");
}

#[test]
fn bounds_of_numbers_hold() {
    for schema in [
        json!({"type": "integer", "minimum": 5, "maximum": 5}),
        json!({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2}),
        json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
        json!({"type": "integer", "minimum": 3, "multipleOf": 7}),
        json!({"type": "number", "minimum": 0.1, "multipleOf": 0.25}),
        json!({"type": "integer", "maximum": -3}),
        json!({"type": "number", "maximum": -3.5}),
        json!({"type": "number", "minimum": 2, "exclusiveMinimum": true, "maximum": 3}),
        json!({"type": "INTEGER", "minimum": "4"}),
    ] {
        assert_fits(schema);
    }
}

#[test]
fn a_number_without_bounds_is_whole() {
    // Tools whose schema says `number` often read a whole one: a line, a timeout in seconds.
    assert_eq!(sample(&json!({"type": "number"})), 1);
    assert_fits(json!({"oneOf": [{"type": "number"}, {"type": "integer"}]}));
}

#[test]
fn strings_have_their_length_and_pattern() {
    assert!(sample(&json!({"type": "string", "minLength": 40})).as_str().is_some_and(|it| it.len() >= 40));
    assert_eq!(sample(&json!({"type": "string", "maxLength": 1})), "f");
    assert_eq!(sample(&json!({"type": "string", "maxLength": 0})), "");
    assert_eq!(sample(&json!({"type": "string", "pattern": "^[A-Z]{2}-\\d{3}$"})), "AA-000");
    let long = sample(&json!({"type": "string", "pattern": "^[a-z]+$", "minLength": 30}));
    assert!(
        long.as_str().is_some_and(|it| it.len() >= 30 && it.bytes().all(|byte| byte.is_ascii_lowercase()))
    );
    assert_eq!(sample(&json!({"type": "string", "format": "uuid"})).as_str().map(str::len), Some(36));
}

#[test]
fn combinations_are_resolved() {
    for schema in [
        json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
        json!({"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 10}]}),
        json!({"oneOf": [{"type": "number"}, {"type": "integer"}]}),
        json!({"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                         {"properties": {"b": {"const": 2}}, "required": ["b"]}]}),
        json!({"allOf": [{"type": "number", "minimum": 2}, {"type": "integer", "maximum": 3, "minimum": 1}]}),
        json!({"type": "string", "not": {"enum": ["fox", "dog"]}}),
        json!({"type": "object", "properties": {"k": {"enum": ["x", "y"]}, "n": {"type": "integer"}},
               "required": ["k"], "if": {"properties": {"k": {"const": "x"}}}, "then": {"required": ["n"]}}),
        json!({"not": {"type": "string"}}),
        json!({"type": "integer", "not": {"minimum": 0}}),
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "dependentRequired": {"a": ["b"]}}),
        json!({"enum": ["red", 3, null], "type": ["integer", "null"]}),
    ] {
        assert_fits(schema);
    }
}

#[test]
fn recursive_schemas_end() {
    let node = json!({"type": "object", "additionalProperties": false, "required": ["value", "left", "children"],
        "properties": {"value": {"type": "integer"}, "left": {"anyOf": [{"$ref": "#/$defs/N"}, {"type": "null"}]},
                       "children": {"type": "array", "items": {"$ref": "#/$defs/N"}}}});
    assert_fits(json!({"$ref": "#/$defs/N", "$defs": {"N": node}}));
    assert_fits(json!({"type": "object", "properties": {"next": {"$ref": "#"}}}));
    assert!(!sample(&json!({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}})).is_object());
}

#[test]
fn arrays_have_their_items() {
    for schema in [
        json!({"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": true}),
        json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false}),
        json!({"type": "array", "maxItems": 0, "items": {"type": "string"}}),
        json!({"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 7}}),
        json!({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 3}),
    ] {
        assert_fits(schema);
    }
    assert_eq!(sample(&json!({"type": "array", "items": {"type": "integer"}})), json!([1]));
}
