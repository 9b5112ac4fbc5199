//! The head of a request as a provider gets it.

use http::header::{CONTENT_ENCODING, HeaderName};
use http::{HeaderValue, request};
use tower_key_rotation::Session;
use tower_key_rotation::fallback::Commit;

use crate::config::{Config, ProviderSettings};
use crate::destination::Destination;
use crate::extensions;
use crate::headers;
use crate::provider::ProviderService;
use crate::refusal::Refusal;

/// Header that sets when the response of a request is committed to: `complete`, `first-content` or `head`.
const COMMIT: HeaderName = HeaderName::from_static("x-commit");

/// Returns the commit that a header asks for, in the words of the configuration, with `-` or `_` between them.
fn commit(value: &HeaderValue) -> Result<Commit, Refusal> {
    let word = value.to_str().map(|word| word.replace('-', "_"));
    word.ok().and_then(|word| word.parse().ok()).ok_or(Refusal::Commit)
}

/// Returns whether a limit is declared for some model of the providers that may get the request.
fn limits_models(config: &Config, to: Option<&ProviderService>) -> bool {
    let mut chain = config.chain().order().iter().filter_map(|name| config.provider(name));
    to.map_or_else(|| chain.any(ProviderSettings::limits_models), ProviderService::limits_models)
}

/// Turns the head of a request into the one that is passed on, without the parts that are not for a provider.
pub(crate) fn head(config: &Config, head: &mut request::Parts, to: &Destination<'_>) -> Result<(), Refusal> {
    let encodings = head.headers.get_all(CONTENT_ENCODING).iter();
    if encodings.into_iter().any(|it| !it.as_bytes().eq_ignore_ascii_case(b"identity"))
        && limits_models(config, to.provider)
    {
        return Err(Refusal::Encoded);
    }
    if let Some(provider) = to.provider {
        head.uri = provider.url(&head.uri.path()[to.prefix..], head.uri.query())?;
    }
    let commit = head.headers.remove(COMMIT).map(|value| commit(&value)).transpose()?;
    let session = config.affinity_header().and_then(|name| head.headers.remove(name));
    headers::to_provider(&mut head.headers);
    head.version = http::Version::HTTP_11;
    head.extensions = extensions::for_layers(&mut head.extensions);
    if let Some(name) = session {
        head.extensions.insert(Session::new(name));
    }
    if let Some(commit) = commit {
        head.extensions.insert(commit);
    }
    Ok(())
}
