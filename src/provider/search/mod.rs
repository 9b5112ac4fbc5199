//! The search of a body for the names of models, piece by piece.
//!
//! A body may be larger than the memory that its request may take. So a search keeps nothing of it except the texts
//! and the places of the names.

mod behind;
mod form;
mod found;
mod json;
mod member;
mod nesting;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub(crate) use self::found::{Found, Name};

use self::form::FormSearch;
use self::json::JsonSearch;
use crate::body::Pieces;

/// The search of one body.
enum ModelSearch {
    Json(JsonSearch),
    Form(Box<FormSearch>),
    /// A form that does not say how its parts are separated.
    Unreadable,
}

// === impl ModelSearch ===

impl ModelSearch {
    /// Begins the search of a form, or of a JSON document if the content type is any other.
    fn new(content_type: Option<&[u8]>) -> Self {
        match content_type.filter(|content_type| form::is_form(content_type)) {
            Some(content_type) => {
                FormSearch::new(content_type).map_or(Self::Unreadable, |search| Self::Form(Box::new(search)))
            }
            None => Self::Json(JsonSearch::default()),
        }
    }

    /// Reads the next piece of the body. `is_last`: no other piece follows, so the search ends early if it can.
    fn push(&mut self, piece: &[u8], is_last: bool) {
        match self {
            Self::Json(search) => search.push(piece, is_last),
            Self::Form(search) => search.push(piece),
            Self::Unreadable => {}
        }
    }

    /// Returns the names that were found.
    fn finish(&mut self) -> Found {
        match self {
            Self::Json(search) => search.finish(),
            Self::Form(search) => search.finish(),
            Self::Unreadable => Found::of_form(Vec::new(), false),
        }
    }
}

/// Searches a body that is too large for memory. `None` if it can't be read.
pub(crate) async fn search_stored(content_type: Option<&[u8]>, body: &Pieces) -> Option<Found> {
    let mut search = ModelSearch::new(content_type);
    body.show(|data, is_last| search.push(data, is_last)).await.then(|| search.finish())
}

/// Searches pieces that are in memory.
pub(crate) fn search(content_type: Option<&[u8]>, pieces: &[Bytes]) -> Found {
    let mut search = ModelSearch::new(content_type);
    for (at, piece) in pieces.iter().enumerate() {
        search.push(piece, at + 1 == pieces.len());
    }
    search.finish()
}
