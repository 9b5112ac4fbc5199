//! Gauges of the state of keys, which a pool sets when it is asked to.

use std::sync::Arc;

use metrics::{SharedString, Unit, describe_gauge, gauge};

use crate::key::{AccountId, KeyId};

const KEYS: &str = "tower_key_rotation_keys";
const KEY_STATE: &str = "tower_key_rotation_key_state";
const QUOTA_LEFT: &str = "tower_key_rotation_quota_remaining_ratio";
const USABLE: &str = "tower_key_rotation_usable_keys";

pub(super) fn describe() {
    describe_gauge!(KEYS, Unit::Count, "Keys in each state.");
    describe_gauge!(KEY_STATE, "1 for the state a key is in, 0 for the others.");
    describe_gauge!(QUOTA_LEFT, "The share of a quota that is left.");
    describe_gauge!(USABLE, Unit::Count, "Keys that a request for the model could use.");
}

/// Sets the number of keys of a provider in a state.
pub(crate) fn keys(provider: &str, state: &'static str, keys: usize) {
    gauge!(KEYS, "provider" => provider.to_owned(), "state" => state).set(keys as f64);
}

/// Sets whether a key is in a state.
pub(crate) fn key_state(provider: &str, key: &KeyId, state: &'static str, is_in: bool) {
    gauge!(KEY_STATE, "provider" => provider.to_owned(), "key" => key.to_string(), "state" => state)
        .set(f64::from(u8::from(is_in)));
}

/// Sets the number of keys that a request could use.
pub(super) fn usable(provider: &str, model: SharedString, keys: usize) {
    gauge!(USABLE, "provider" => provider.to_owned(), "model" => model).set(keys as f64);
}

/// Sets the share of a quota that is left.
pub(super) fn set_left(owner: &[(&'static str, SharedString); 4], model: SharedString, left: f64) {
    let with_model = [&owner[..], &[("model", model)]].concat();
    gauge!(QUOTA_LEFT, &with_model).set(left.max(0.0));
}

/// Returns the labels for the owner and the dimension of a quota.
pub(super) fn owner(
    provider: &Arc<str>,
    key: Option<&KeyId>,
    account: Option<&AccountId>,
    dimension: &'static str,
) -> [(&'static str, SharedString); 4] {
    [
        ("provider", SharedString::from(Arc::clone(provider))),
        ("key", named(key)),
        ("account", named(account)),
        ("dimension", SharedString::const_str(dimension)),
    ]
}

/// Returns the label of a name; empty without one.
fn named(name: Option<&impl ToString>) -> SharedString {
    name.map_or_else(SharedString::default, |name| name.to_string().into())
}
