//! Parts of a JSON document that holds counts, read leniently: a provider may write another type in their place.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A token count. Cohere writes counts as `58.0`.
#[derive(Clone, Copy, Deserialize)]
#[serde(from = "f64")]
pub(super) struct Count(Option<u64>);

/// A value, or anything else.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Lenient<T> {
    Known(T),
    Other(IgnoredAny),
}

impl<T> Lenient<T> {
    pub(super) const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(known) => Some(known),
            Self::Other(_) => None,
        }
    }
}

impl From<f64> for Count {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked right before")]
    fn from(count: f64) -> Self {
        Self((0.0..9e15).contains(&count).then_some(count as u64))
    }
}

/// Returns the number of a count that is present and within range.
pub(super) fn number(count: Option<Count>) -> Option<u64> {
    count.and_then(|Count(count)| count)
}
