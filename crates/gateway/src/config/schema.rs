//! The schemas of values, for the JSON schema and the reference of the configuration.
//!
//! A field whose text has a meaning of its own names one of these types as its schema. The words come from the types of
//! the library, so the schema can't miss one.

use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, json_schema};
use tower_key_rotation::UnknownWord;

use crate::config::choices::{ALERT_FORMATS, ALERT_RULES, CLOUDS, VERDICTS};
use crate::config::secret::Reference;
use crate::config::several::{Several, Text};

/// A length of time.
pub(super) struct Length;

/// A word of a type of the library.
pub(super) struct Word<T>(PhantomData<T>);

/// The name of a cloud.
pub(super) struct CloudName;

/// The format of an alert.
pub(super) struct AlertFormat;

/// The incident of an alert.
pub(super) struct AlertRule;

/// The verdict of a rule.
pub(super) struct Verdict;

/// Implements [`JsonSchema`] for a type whose schema is written at each place of its use.
macro_rules! inline_schema {
    ($type:ty, $generator:ident => $schema:expr $(, $param:ident: $($bound:tt)+)?) => {
        impl $(<$param: $($bound)+>)? schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema($generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    };
}

inline_schema!(Length, _generator => json_schema!({
    "type": "string",
    "title": "length of time",
    "pattern": "^\\s*[0-9].*[a-zA-Zµ]\\s*$",
}));
inline_schema!(CloudName, _generator => one_of(CLOUDS));
inline_schema!(AlertFormat, _generator => one_of(ALERT_FORMATS));
inline_schema!(AlertRule, _generator => one_of(ALERT_RULES));
inline_schema!(Verdict, _generator => one_of(VERDICTS));
inline_schema!(Word<T>, _generator => one_of(words::<T>()), T: FromStr<Err = UnknownWord>);
inline_schema!(Reference, _generator => json_schema!({"type": "string", "title": "text or reference"}));
inline_schema!(Text, _generator => json_schema!({"type": ["string", "integer"], "title": "text"}));
inline_schema!(Several<T>, generator => {
    let one = generator.subschema_for::<T>();
    json_schema!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
}, T: JsonSchema);

pub(super) use inline_schema;

fn one_of(words: &[&str]) -> Schema {
    json_schema!({"type": "string", "enum": words})
}

/// Returns the words of a type. No type has the empty word.
fn words<T: FromStr<Err = UnknownWord>>() -> &'static [&'static str] {
    "".parse::<T>().map_or_else(|unknown| unknown.allowed(), |_| &[])
}
