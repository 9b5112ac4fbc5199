//! The responses for paths that no provider serves: status, metrics, unknown paths.

use axum::body::Body as OwnBody;
use bytes::Bytes;
use http::{Method, Response, StatusCode, request};
use http_body::Body;
use tower::BoxError;
use tower_key_rotation::KeyPool;

use crate::caller::Callers;
use crate::client::HttpClient;
use crate::config::{Config, ProviderSettings};
use crate::key_checks::checks_of;
use crate::options::Options;
use crate::paths;
use crate::prometheus;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::status::Status;

const METRICS: &str = "/metrics";

/// Returns the pools of a configuration.
pub(crate) fn pools(config: &Config) -> impl Iterator<Item = KeyPool> {
    config.providers().iter().map(|provider| provider.pool().clone())
}

/// Sets the status of the pools of a configuration.
pub(crate) fn configured(status: Status, config: &Config, callers: Callers, client: &HttpClient) -> Status {
    let status = status.chain(config.chain().order()).callers(callers);
    let checks = config.providers().iter().map(|provider| checks_of(config, provider, client));
    let status = checks.fold(status, Status::checks);
    let status = match config.status().required() {
        [] => status,
        required => status.required(required),
    };
    match config.status().operator_token() {
        Some(token) => status.operator_token(token.clone()),
        None => status,
    }
}

/// Returns the response for a path that no provider serves.
pub(crate) async fn respond<B>(
    (config, options, status): (&Config, &Options, &Status),
    head: &request::Parts,
    body: B,
    reply: Reply,
) -> Response<OwnBody>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: Into<BoxError>,
{
    match &options.metrics {
        Some(render) if head.uri.path() == METRICS => {
            let is_read = [Method::GET, Method::HEAD].contains(&head.method);
            if is_read {
                prometheus::metrics(config, status.recorder(), &**render)
            } else {
                reply.refuse(Refusal::ReadOnly)
            }
        }
        _ => {
            let found = status.respond(head, body).await;
            found.unwrap_or_else(|| unknown_path(config, head.uri.path(), reply))
        }
    }
}

fn unknown_path(config: &Config, path: &str, reply: Reply) -> Response<OwnBody> {
    let names: Vec<_> = config.providers().iter().map(|it| format!("/{}/", it.name())).collect();
    let meant = paths::meant(path, config.providers().iter().map(ProviderSettings::name));
    let meant = meant.map(|path| format!("did you mean {path}? ")).unwrap_or_default();
    let message = format!("unknown path: {meant}use /v1/ or {}", names.join(", "));
    reply.fail(StatusCode::NOT_FOUND, "unknown_path", &message)
}
