//! English words of refusals, by topic.
//!
//! To teach the crate a new way of saying something, add a word to a group or a row to a table. Words are in
//! lower case; a match ends at word boundaries, and a plural `s` may follow.

#[rustfmt::skip]
mod access;
#[rustfmt::skip]
mod limits;
#[rustfmt::skip]
mod request;

use crate::classify::meaning::topic::Row;

/// The tables of the language.
pub(super) const TABLES: [&[Row]; 3] = [limits::TABLE, access::TABLE, request::TABLE];
