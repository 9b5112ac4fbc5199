//! The point at which a response belongs to the caller.

/// When an answer belongs to the caller, so that nothing is asked for elsewhere any more.
///
/// Also a request extension: a request that has one is committed to so, whatever the chain's own setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Commit {
    /// At its head.
    Head,
    /// At the first content of a stream. A successful JSON response that is not streamed is held back until it
    /// is complete, up to [a cap](crate::fallback::ProviderFallbackLayer::complete_cap), and has to parse. Any other
    /// response is committed to at its head.
    #[default]
    FirstContent,
    /// When it is complete. Every successful response is held back, up to
    /// [the cap](crate::fallback::ProviderFallbackLayer::complete_cap), and checked: a stream has to have its terminator,
    /// and JSON has to parse.
    Complete,
}
