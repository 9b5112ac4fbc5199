//! Tokens of GitHub as a pool, and rotation as the service of `octocrab`.

use std::sync::Arc;

use http::header::{HeaderValue, USER_AGENT};
use http::{Request, Uri};
use octocrab::service::middleware::base_uri::BaseUriLayer;
use octocrab::service::middleware::extra_headers::ExtraHeadersLayer;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use tower::{BoxError, ServiceExt};
use tower_key_rotation::classify::{Reason, Scope};
use tower_key_rotation::provider::{Origin, Rule, RuleError};
use tower_key_rotation::reqwest_client::ReqwestClient;
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{KeyPool, ModelId, Provider};

/// Returns GitHub as a provider, with the variables `GITHUB_TOKEN`, `GITHUB_TOKEN_1`, … for its tokens.
///
/// # Errors
///
/// Returns the first error of a rule.
pub fn github(origin: Origin) -> Result<Provider, RuleError> {
    // GitHub reports a used-up limit of the hour with 403 or 429; it is over at `x-ratelimit-reset`.
    let used_up = Rule::builder().name("limit of the hour").status(403).status(429);
    let used_up =
        used_up.header("x-ratelimit-remaining: 0").fault(Reason::QuotaExceeded, Scope::AccountModel);
    // A secondary limit is over after `retry-after`.
    let too_fast = Rule::builder().name("secondary limit").status(403).status(429);
    let too_fast = too_fast.header("retry-after").fault(Reason::RateLimited, Scope::Account);
    let provider = Provider::builder("github").origin(origin).env_name("GITHUB_TOKEN");
    Ok(provider.rule(used_up.build()?).rule(too_fast.build()?).build())
}

/// Returns a client whose requests are sent with the tokens of a pool.
///
/// # Errors
///
/// Returns the errors of the HTTP client's builder.
pub fn client(pool: KeyPool, base: Uri) -> Result<Octocrab, BoxError> {
    let client = ReqwestClient::new(reqwest::Client::builder())?;
    let rotation = KeyRotation::new(client, pool).map_request(with_resource);
    let agent = (USER_AGENT, HeaderValue::from_static("my-program"));
    let octocrab = OctocrabBuilder::new_empty()
        .with_service(rotation)
        .with_layer(&BaseUriLayer::new(base))
        .with_layer(&ExtraHeadersLayer::new(Arc::new(vec![agent])))
        .with_auth(AuthState::None)
        .build()?;
    Ok(octocrab)
}

/// Names the resource of GitHub's limits, which are counted apart, as limits of models are. The path tells it.
fn with_resource<B>(mut request: Request<B>) -> Request<B> {
    let resource = match request.uri().path() {
        "/graphql" => "graphql",
        "/search/code" => "code_search",
        path if path.starts_with("/search/") => "search",
        _ => "core",
    };
    request.extensions_mut().insert(ModelId::from(resource));
    request
}
