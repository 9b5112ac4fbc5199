//! Numbers within bounds.

use serde_json::Value;

use super::schema::{Flat, number};

/// Returns the `nth` number that fits the bounds of a schema: the least one if there is a lower bound, or else
/// the one nearest to 1.
pub(super) fn a_number(schema: &Flat, whole: bool, nth: usize) -> Value {
    let (low, low_open) = bound(schema, "minimum", "exclusiveMinimum");
    let (high, high_open) = bound(schema, "maximum", "exclusiveMaximum");
    let step = number(schema, "multipleOf").filter(|step| *step > 0.0);
    let nth = nth as f64;
    let Some(step) = step.or_else(|| whole.then_some(1.0)) else {
        return float(between(low, high, low_open || high_open, nth));
    };
    let step = if whole && step.fract() != 0.0 { 1.0 } else { step };
    let above = |low: f64| {
        let least = (low / step).ceil();
        if low_open && least * step <= low { least + 1.0 } else { least }
    };
    let below = |high: f64| {
        let most = (high / step).floor();
        if high_open && most * step >= high { most - 1.0 } else { most }
    };
    let multiple = match (low.map(above), high.map(below)) {
        (Some(least), Some(most)) => least + nth.min((most - least).max(0.0)),
        (Some(least), None) => least + nth,
        (None, Some(most)) => most.min(1.0) - nth,
        (None, None) => 1.0 + nth / 2.0,
    };
    let value = multiple * step;
    if value.fract() == 0.0 && value.abs() < 9e15 { Value::from(value as i64) } else { float(value) }
}

/// Returns a bound, and whether it is exclusive. OpenAPI's `exclusiveMinimum: true` applies to `minimum`.
fn bound(schema: &Flat, inclusive: &str, exclusive: &str) -> (Option<f64>, bool) {
    let upper = inclusive == "maximum";
    let (closed, open) = (number(schema, inclusive), number(schema, exclusive));
    let flagged = schema.get(exclusive) == Some(&Value::Bool(true));
    match (closed, open) {
        (Some(closed), Some(open)) if (closed < open) == upper && closed != open => (Some(closed), false),
        (_, Some(open)) => (Some(open), true),
        (closed, None) => (closed, flagged),
    }
}

fn between(low: Option<f64>, high: Option<f64>, open: bool, nth: f64) -> f64 {
    match (low, high) {
        (Some(low), Some(high)) if open || nth > 0.0 => low + (high - low) / (2.0 + nth),
        (Some(low), _) => low + nth + if open { 0.5 } else { 0.0 },
        (None, Some(high)) => high.min(1.5) - nth - if open { 0.5 } else { 0.0 },
        (None, None) => 1.0 + nth / 2.0,
    }
}

/// Returns a number. One without a fraction is written without a decimal point.
fn float(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { Value::from(value as i64) } else { Value::from(value) }
}
