//! Destinations: where the requests of one key go, and under which names and headers.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::provider::{BaseUrl, ModelNames, Unroutable};

/// The base URL, the headers, and the names of models of one key.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) base_url: Option<BaseUrl>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) names: ModelNames,
}

// === impl Destination ===

impl Destination {
    /// Directs a request to the base URL, if there is one. After an error the request has no URL any more.
    pub(crate) fn direct(&self, uri: &mut Uri, headers: &mut HeaderMap) -> Result<(), Unroutable> {
        self.base_url.as_ref().map_or(Ok(()), |base| base.direct(uri, headers))
    }

    /// Sets the headers of the key.
    pub(crate) fn set_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base_url, headers, names } = self;
        f.debug_struct("Destination")
            .field("base_url", base_url)
            .field("headers", &headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("names", &names.by_caller)
            .finish()
    }
}
