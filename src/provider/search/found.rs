//! The names of models that a search has found.

use std::ops::Range;

use crate::provider::model::ModelId;

/// Maximum length of the JSON text of a name: each byte may be written as `\u0000`, between two quotes.
pub(super) const LONGEST_VALUE: usize = 6 * ModelId::MAX_LEN + 2;

/// Maximum number of names that are found in one body (256). A body with more can't be read.
pub(super) const MOST: usize = 256;

/// The values of all members or fields `model` of a body, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) places: Vec<Place>,
    /// Whether the body was read as far as it can name a model.
    pub(crate) is_whole: bool,
    is_form: bool,
}

/// The place of one value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The bytes of the body that are its text: a JSON value, or the trimmed text of a field.
    pub(crate) span: Range<u64>,
    /// The text. `None`: it is longer than any name, or no text at all.
    text: Option<Vec<u8>>,
    is_text: bool,
}

/// The name that a value gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Model(ModelId),
    /// The value `null`, which counts as an absent member.
    Null,
    /// A value that is no valid name.
    None,
}

// === impl Found ===

impl Found {
    pub(super) const fn of_json(places: Vec<Place>, is_whole: bool) -> Self {
        Self { places, is_whole, is_form: false }
    }

    pub(super) const fn of_form(places: Vec<Place>, is_whole: bool) -> Self {
        Self { places, is_whole, is_form: true }
    }

    /// Returns the name that counts: the last one.
    pub(crate) fn last(&self) -> Option<Name> {
        Some(self.name_of(self.places.last()?))
    }

    /// Returns whether a reader of the body that takes another value finds another name.
    pub(crate) fn is_ambiguous(&self) -> bool {
        // Servers differ in which of two fields of a form counts.
        self.is_form && self.places.iter().any(|place| Some(self.name_of(place)) != self.last())
    }

    /// Returns the places of values that are text, and the last name among them.
    pub(crate) fn texts(&self) -> (Vec<Range<u64>>, Option<ModelId>) {
        let texts = self.places.iter().filter(|place| place.is_text);
        let name = texts.clone().next_back().and_then(|place| match self.name_of(place) {
            Name::Model(model) => Some(model),
            Name::Null | Name::None => None,
        });
        (texts.map(|place| place.span.clone()).collect(), name)
    }

    fn name_of(&self, place: &Place) -> Name {
        let Some(text) = &place.text else { return Name::None };
        let named = |name: &str| ModelId::new(name).map_or(Name::None, Name::Model);
        if self.is_form {
            return std::str::from_utf8(text).map_or(Name::None, named);
        }
        let plain = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
        if let Some(Ok(plain)) = plain.filter(|text| !text.contains(&b'\\')).map(std::str::from_utf8) {
            return named(plain);
        }
        match serde_json::from_slice::<Option<String>>(text) {
            Ok(None) => Name::Null,
            Ok(Some(name)) => named(&name),
            Err(_) => Name::None,
        }
    }
}

// === impl Place ===

impl Place {
    /// Creates the place of a value with its text.
    pub(super) fn new(span: Range<u64>, text: Vec<u8>, is_text: bool) -> Self {
        let text = Some(text).filter(|text| text.len() <= LONGEST_VALUE);
        Self { span, text, is_text }
    }
}
