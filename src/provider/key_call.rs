//! The free call that proves a key, as data of the presets. The calls of clouds are in `cloud/check.rs`.

use http::Uri;
use http::uri::{Authority, Scheme};

/// A call that costs nothing, and that a provider serves with a valid key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyCall {
    /// The path, with a leading slash.
    pub(crate) path: &'static str,
    /// Whether the path begins at the origin. Otherwise it follows the base URL.
    pub(crate) is_at_origin: bool,
    /// Whether a success proves that the key is valid.
    pub(crate) proof: Proof,
}

/// Whether a success proves that a key is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The provider's documentation requires a key for the call.
    Key,
    /// The provider serves every caller.
    Nothing,
    /// The same call without a key tells.
    Unknown,
}

/// An extension of a request: it is the call of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckCall {
    /// The path is that of the preset. A cloud has a call of its own in its place.
    Preset,
    /// The path is the operator's. It is called as it is.
    Operator,
}

/// An extension of a request: the host to which a cloud directs the call of a check, beside those of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckHost(pub(crate) Authority);

// === impl CheckHost ===

impl CheckHost {
    /// Returns whether this is the host of a URL, over TLS.
    pub(crate) fn is_of(&self, uri: &Uri) -> bool {
        uri.scheme() == Some(&Scheme::HTTPS) && uri.authority() == Some(&self.0)
    }
}

// === impl KeyCall ===

impl KeyCall {
    /// The list of models, which most providers refuse without a key, and some do not.
    pub(in crate::provider) const MODELS: Self = Self::new("/models", Proof::Unknown);

    /// Creates a call below the base URL.
    pub(in crate::provider) const fn new(path: &'static str, proof: Proof) -> Self {
        Self { path, is_at_origin: false, proof }
    }

    /// Creates a call whose path begins at the origin, whatever the path of the base URL.
    pub(in crate::provider) const fn at_origin(path: &'static str, proof: Proof) -> Self {
        Self { path, is_at_origin: true, proof }
    }
}
