//! The point at which a chain commits to a response.

use crate::text::words;

/// The point at which a response belongs to the caller, after which no other link is called.
///
/// Set for a chain with [`ProviderFallbackLayer::commit`](crate::fallback::ProviderFallbackLayer::commit). It
/// is also a request extension: a request that has one overrides the chain's setting.
///
/// ```
/// use tower_key_rotation::fallback::Commit;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(Commit::Complete);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Commit {
    /// At the head of the response.
    Head,
    /// At the first content of a stream. A successful JSON response that is not streamed is held back until it
    /// is complete, up to [a cap](crate::fallback::ProviderFallbackLayer::complete_cap), and has to parse. Any
    /// other response is committed to at its head.
    #[default]
    FirstContent,
    /// When the response is complete. Every successful response is held back, up to
    /// [the cap](crate::fallback::ProviderFallbackLayer::complete_cap), and checked: a stream has to have its
    /// terminator, and JSON has to parse.
    Complete,
}

words!(Commit {
    Head => "head",
    FirstContent => "first_content",
    Complete => "complete",
});
