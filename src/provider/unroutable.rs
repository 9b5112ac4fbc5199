//! The reason for which a request has no place at a provider.

use tower::BoxError;

use crate::classify::transport::sources;

/// The reason for which a request can't be sent to a URL, or under another name of its model. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unroutable {
    /// The route is strict and does not know the model.
    #[error("the provider has no name for the model: add it to the route's models, or `\"*\"`")]
    NoModel,
    /// The model has another name there, and the request's body can't be read to its end and sent again.
    #[error("the body that names the model is too long to be rewritten: raise the replay cap")]
    NotReplayable,
    /// The model has another name there, and the request does not show the caller's name.
    #[error("the model has another name here, and is not named in the path, a JSON body or a form")]
    NotFound,
    /// The resulting URL would be invalid, or outside the base URL.
    #[error("the request's path makes no URL with the base URL, or would leave it with a dot segment")]
    Url,
    /// The [cloud](crate::cloud) does not have the API of the request's path.
    #[error("the cloud does not have the API of this path")]
    NoEndpoint,
    /// The [cloud](crate::cloud) streams in frames, which need the feature `eventstream` to be understood.
    #[error("the cloud streams in frames of its own: enable the feature `eventstream`, or don't stream")]
    Streaming,
}

// === impl Unroutable ===

impl Unroutable {
    /// Returns the first among an error and its sources.
    pub(crate) fn among(error: &BoxError) -> Option<Self> {
        sources(error).find_map(|error| error.downcast_ref().copied())
    }
}
