//! All that differs between providers.
//!
//! A [`Provider`] is a profile: where its keys may go, how they are stamped, where a request names its
//! model, and how its answers are to be read. Adding a provider is adding one file here; nobody outside
//! this module compares a provider's name.

mod auth;
mod model;

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use tower_service::Service;

pub use self::auth::{
    API_KEY, AuthScheme, CREDENTIAL_HEADERS, InvalidOrigin, Origin, QUERY_KEY, X_API_KEY, X_GOOG_API_KEY,
};
pub use self::model::ModelId;
use crate::classify::{Outcome, Verdict};

/// One LLM API. Cheap to clone.
#[derive(Clone)]
pub struct Provider(Arc<Profile>);

struct Profile {
    name: Cow<'static, str>,
    origins: Vec<Origin>,
    auth: AuthScheme,
}

/// The classifier that a [`Provider`] brings along.
#[derive(Clone, Debug)]
pub struct ProviderClassifier(Provider);

// === impl Provider ===

impl Provider {
    /// OpenAI.
    pub fn openai() -> Self {
        Self(Arc::new(Profile {
            name: Cow::Borrowed("openai"),
            origins: Vec::new(),
            auth: AuthScheme::Bearer,
        }))
    }

    /// The provider's name, as in logs and errors.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How a key is stamped.
    pub fn auth(&self) -> &AuthScheme {
        &self.0.auth
    }

    /// Prefixes of variables.
    pub fn env_prefixes(&self) -> &[&'static str] {
        &["OPENAI"]
    }

    /// temp
    pub fn with_origin(&self, origin: Origin) -> Self {
        Self(Arc::new(Profile {
            name: self.0.name.clone(),
            origins: vec![origin],
            auth: self.0.auth.clone(),
        }))
    }
    /// temp
    pub fn model_in_path(&self, _: &Uri) -> Option<ModelId> {
        None
    }
    /// temp
    pub fn model_in_body(&self, _: Option<&http::HeaderValue>, _: &[bytes::Bytes]) -> Option<ModelId> {
        None
    }
    /// temp
    pub fn errors_in_ok_bodies(&self) -> bool {
        false
    }

    /// Whether a key may be sent to `uri`.
    pub fn allows(&self, uri: &Uri) -> bool {
        self.0.origins.iter().any(|origin| origin.contains(uri))
    }

    /// The provider's own classifier.
    pub fn classifier(&self) -> ProviderClassifier {
        ProviderClassifier(self.clone())
    }

    fn classify(&self, _outcome: &Outcome) -> Verdict {
        Verdict::Success
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Profile { name, origins, auth } = &*self.0;
        f.debug_struct("Provider").field("name", name).field("origins", origins).field("auth", auth).finish()
    }
}

// === impl ProviderClassifier ===

impl Service<Outcome> for ProviderClassifier {
    type Response = Verdict;
    type Error = Infallible;
    type Future = Ready<Result<Verdict, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, outcome: Outcome) -> Self::Future {
        ready(Ok(self.0.classify(&outcome)))
    }
}
