//! The mark of a response that reports an error of this crate.

/// A response extension: this crate made the response, and no provider did.
///
/// [`Error::into_response`](crate::Error::into_response) adds it. A server whose callers read errors in another shape
/// than that of OpenAI's API can replace the body, and keep status and headers:
///
/// ```
/// use tower_key_rotation::{Error, OwnError};
///
/// # fn example(error: Error) -> Option<String> {
/// let mut response = error.into_response();
/// let own = response.extensions_mut().remove::<OwnError>()?;
/// Some(format!("{}: {}", own.code(), own.message()))
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnError {
    code: &'static str,
    message: String,
}

// === impl OwnError ===

impl OwnError {
    pub(super) const fn new(code: &'static str, message: String) -> Self {
        Self { code, message }
    }

    /// Returns the code for programs: `rate_limit_exceeded`. The table of
    /// [`Error::into_response`](crate::Error::into_response) lists all.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// Returns the sentence for people: the provider, the reason, and the next step. It contains no secret.
    pub fn message(&self) -> &str {
        &self.message
    }
}
