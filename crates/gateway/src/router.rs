//! The gateway as an axum router.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::any;

use crate::config::Config;
use crate::gateway::Gateway;
use crate::options::Options;

/// Returns the gateway as a router, to serve alone or to mount in another app.
///
/// The paths are those of the [crate docs](crate), below the path at which the router is mounted.
///
/// The router keeps the checks of the gateway: a configured `token` is required of every caller, and without a token
/// a request must name the gateway in its `Host` header (`localhost`, a loopback address, or one of `hosts` in the
/// `[server]` table), so that a web page can't use the gateway through its reader's browser. Limits on connections
/// and requests are those of the app's server.
///
/// The app may add the request extensions of the layers: [`CallerName`](tower_key_rotation::event::CallerName), [`Session`](tower_key_rotation::Session),
/// [`Deadline`](tower_key_rotation::Deadline), [`ModelId`](tower_key_rotation::ModelId),
/// [`ProviderPin`](tower_key_rotation::ProviderPin) and [`Commit`](tower_key_rotation::fallback::Commit). Other
/// extensions are removed.
///
/// ```
/// use axum::Router;
/// use tower_key_rotation_gateway::config::{Format, Loader};
/// use tower_key_rotation_gateway::{Options, router};
///
/// let text = r#"
///     [[provider]]
///     name = "openai"
///     base_url = "https://api.openai.com/v1"
///     keys_env = "OPENAI"
/// "#;
/// let config = Loader::new().vars([("OPENAI_API_KEY", "sk-one")]).parse(text, Format::Toml)?;
/// let app: Router = Router::new().nest("/llm", router(config, Options::new()));
/// # Ok::<(), tower_key_rotation_gateway::config::ConfigError>(())
/// ```
pub fn router(config: Config, options: Options) -> Router {
    let gateway = Gateway::new(config, options);
    let handle = move |request: Request| {
        let response = gateway.handle(request, None);
        async move { response.await.map(Body::new) }
    };
    // A fallback alone would be lost in a router that is nested in a nested one.
    Router::new().route("/", any(handle.clone())).route("/{*path}", any(handle.clone())).fallback(handle)
}
