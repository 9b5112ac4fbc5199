//! The parts of a response that a rule sees beside its error.

use http::{HeaderMap, StatusCode};

/// A response and its request, as far as rules see them beside the parsed error.
#[derive(Clone, Copy, Debug)]
pub(in crate::provider) struct Seen<'a> {
    /// Status of the response, whatever an error inside it claims.
    pub(in crate::provider) status: StatusCode,
    pub(in crate::provider) headers: &'a HeaderMap,
    /// Path of the request; `None` if it is not known.
    pub(in crate::provider) path: Option<&'a str>,
    /// The part of the body that was read.
    pub(in crate::provider) body: &'a [u8],
    /// Whether the response is an error, by its status or by its body.
    pub(in crate::provider) is_error: bool,
}
