//! Writes declarations on one line.

use quote::ToTokens;
use syn::{Attribute, Meta};

/// Returns the text of a part of the source, with the usual spaces.
pub(crate) fn tokens(part: &impl ToTokens) -> String {
    let mut text = part.to_token_stream().to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    for (from, to) in [
        (" ::", "::"),
        (":: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" :", ":"),
        (" ;", ";"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (",)", ")"),
        ("[ ", "["),
        (" ]", "]"),
        ("& ", "&"),
        (",>", ">"),
        ("->(", "-> ("),
        ("=(", "= ("),
        ("+(", "+ ("),
        (",(", ", ("),
        (":(", ": ("),
    ] {
        text = text.replace(from, to);
    }
    text.trim_end_matches(',').to_owned()
}

/// Returns the attributes that a user of the item has to know: `[Clone, Debug, non_exhaustive, feature = "x"]`.
pub(crate) fn notes(attributes: &[Attribute]) -> String {
    let notes: Vec<_> = attributes.iter().filter_map(|attribute| note(&attribute.meta)).collect();
    if notes.is_empty() { String::new() } else { format!(" [{}]", notes.join(", ")) }
}

fn note(meta: &Meta) -> Option<String> {
    match meta {
        Meta::List(list) if list.path.is_ident("derive") || list.path.is_ident("cfg") => {
            Some(tokens(&list.tokens))
        }
        Meta::Path(path) if path.is_ident("non_exhaustive") => Some("non_exhaustive".to_owned()),
        _ => None,
    }
}
