//! The search of JSON agrees with a parser, whatever the document and its pieces.

use std::fmt;

use bytes::Bytes;
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{Found, search};

/// The last value of the member `model`.
struct Last(Option<Value>);

impl<'de> Deserialize<'de> for Last {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Last;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Last, A::Error> {
                let mut last = None;
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if name == "model" {
                        last = Some(value);
                    }
                }
                Ok(Last(last))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

const TOKENS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"model\"",
    "\"mod\\u0065l\"",
    "\"a\"",
    "\"b\\\"\\n\"",
    "\"",
    "\\",
    "1",
    "-2.5e3",
    "null",
    "true",
    "nul",
    " ",
    "\n",
    "\u{1}",
    "{\"model\":",
    "\"model\":\"m\",",
    "\"x\":[1,{\"model\":\"n\"}],",
    "\"y\":{}}",
];

fn documents() -> impl Strategy<Value = String> {
    let token = proptest::sample::select(&TOKENS[..]);
    let sound = proptest::sample::select(&TOKENS[20..]);
    let parts = proptest::collection::vec(prop_oneof![1 => token, 3 => sound], 0..12);
    parts.prop_map(|parts| format!("{{{}", parts.concat()))
}

fn in_pieces(document: &str, cuts: &[usize]) -> Found {
    let mut cuts: Vec<_> =
        cuts.iter().map(|cut| cut % (document.len() + 1)).chain([0, document.len()]).collect();
    cuts.sort_unstable();
    let piece = |range: &[usize]| Bytes::copy_from_slice(&document.as_bytes()[range[0]..range[1]]);
    search(None, &cuts.windows(2).map(piece).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_search_agrees_with_a_parser(document in documents(), cuts in proptest::collection::vec(0..200_usize, 0..6)) {
        let found = in_pieces(&document, &[]);
        prop_assert_eq!(&in_pieces(&document, &cuts), &found, "{} cut at {:?}", document, cuts);
        let place = found.places.last().map(|place| {
            let at = |at: u64| usize::try_from(at).unwrap();
            &document[at(place.span.start)..at(place.span.end)]
        });
        match serde_json::from_str::<Last>(&document) {
            Ok(Last(last)) => {
                prop_assert!(found.is_whole, "{}", document);
                let named = place.map(|text| serde_json::from_str::<Value>(text).unwrap());
                prop_assert_eq!(named, last, "{}", document);
            }
            // A broken document names a model for sure only if nothing behind the name can name another.
            Err(_) if found.is_whole => {
                let span = found.places.last().map(|place| place.span.end).unwrap();
                let behind = &document[usize::try_from(span).unwrap()..];
                prop_assert!(!behind.contains("\"model\"") && !behind.contains("\\u"), "{}", document);
            }
            Err(_) => {}
        }
    }
}
