//! From the request of a caller to that of a cloud: path, query, members, headers.

use http::Method;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::uri::PathAndQuery;

use crate::body::ReplayBody;
use crate::cloud::call::Call;
use crate::cloud::messages::{BEDROCK, Message, VERTEX, VERTEX_COUNT, convert};
use crate::cloud::platform::{Cloud, Platform};
use crate::provider::{
    API_KEY, ModelId, NamedModel, Unroutable, X_API_KEY, encode_segment, has_dot_segment, is_parameter,
    search_stored,
};

/// Paths of Azure's older API that name the deployment.
const DEPLOYMENTS: [&str; 8] = [
    "/completions",
    "/chat/completions",
    "/embeddings",
    "/audio/transcriptions",
    "/audio/translations",
    "/audio/speech",
    "/images/generations",
    "/images/edits",
];

/// Parameter of the query by which Anthropic's SDKs mark betas. Vertex AI and Bedrock do not have it.
const BETA: &str = "beta";

/// Turns a request that is in a caller's dialect into the cloud's, and returns its body. The request is in no definite
/// state after an error.
pub(super) async fn rewrite(
    cloud: &Cloud,
    parts: &mut Parts,
    body: ReplayBody,
) -> Result<ReplayBody, Unroutable> {
    let from = parts.uri.path().to_owned();
    let (base, call) = Call::of(&from);
    if parts.method != Method::POST && !matches!(call, Call::OpenAi(_)) {
        return Err(Unroutable::NoEndpoint);
    }
    match &cloud.0 {
        Platform::Vertex => to_vertex(base, call, parts, body).await,
        Platform::Bedrock { .. } => to_bedrock(base, call, parts, body).await,
        Platform::Mantle { .. } => {
            let path = match call {
                Call::Messages => format!("{base}/anthropic/v1/messages"),
                Call::CountTokens => format!("{base}/anthropic/v1/messages/count_tokens"),
                Call::OpenAi(tail) => format!("{base}/v1{tail}"),
                Call::Google(_) | Call::Other => return Err(Unroutable::NoEndpoint),
            };
            set_path(parts, &path, "", None).map(|()| body)
        }
        Platform::Azure { api_version } => to_azure(api_version.as_deref(), base, call, parts, body).await,
    }
}

async fn to_vertex(
    base: &str,
    call: Call<'_>,
    parts: &mut Parts,
    body: ReplayBody,
) -> Result<ReplayBody, Unroutable> {
    let (path, body) = match call {
        Call::Messages => {
            let Message { model, streams, body } = convert(&VERTEX, parts, &body).await?;
            let method = if streams { "streamRawPredict" } else { "rawPredict" };
            let model = encode_segment(&model);
            (format!("{base}/publishers/anthropic/models/{model}:{method}"), body)
        }
        Call::CountTokens => {
            let body = convert(&VERTEX_COUNT, parts, &body).await?.body;
            (format!("{base}/publishers/anthropic/models/count-tokens:rawPredict"), body)
        }
        Call::Google(tail) => (format!("{base}/publishers/google{tail}"), body),
        Call::OpenAi(tail @ "/chat/completions") => (format!("{base}/endpoints/openapi{tail}"), body),
        Call::OpenAi(_) | Call::Other => return Err(Unroutable::NoEndpoint),
    };
    set_path(parts, &path, BETA, None).map(|()| body)
}

async fn to_bedrock(
    base: &str,
    call: Call<'_>,
    parts: &mut Parts,
    body: ReplayBody,
) -> Result<ReplayBody, Unroutable> {
    let (path, body) = match call {
        Call::Messages => {
            let Message { model, streams, body } = convert(&BEDROCK, parts, &body).await?;
            if streams && cfg!(not(feature = "eventstream")) {
                return Err(Unroutable::Streaming);
            }
            let method = if streams { "invoke-with-response-stream" } else { "invoke" };
            (format!("{base}/model/{}/{method}", encode_segment(&model)), body)
        }
        Call::OpenAi(tail @ ("/chat/completions" | "/responses")) => {
            (format!("{base}/openai/v1{tail}"), body)
        }
        _ => return Err(Unroutable::NoEndpoint),
    };
    set_path(parts, &path, BETA, None).map(|()| body)
}

async fn to_azure(
    version: Option<&str>,
    base: &str,
    call: Call<'_>,
    parts: &mut Parts,
    body: ReplayBody,
) -> Result<ReplayBody, Unroutable> {
    let path = match (call, version) {
        (Call::Messages, _) => format!("{base}/anthropic/v1/messages"),
        (Call::CountTokens, _) => format!("{base}/anthropic/v1/messages/count_tokens"),
        (Call::OpenAi(tail), None) => format!("{base}/openai/v1{tail}"),
        (Call::OpenAi(tail), Some(version)) => {
            let version = format!("api-version={}", encode_segment(version));
            let path = match DEPLOYMENTS.contains(&tail) {
                true => {
                    let model = model_of(parts, &body).await?;
                    format!("{base}/openai/deployments/{}{tail}", encode_segment(model.as_str()))
                }
                false => format!("{base}/openai{tail}"),
            };
            return set_path(parts, &path, "api-version", Some(&version)).map(|()| body);
        }
        (Call::Google(_) | Call::Other, _) => return Err(Unroutable::NoEndpoint),
    };
    if !matches!(call, Call::OpenAi(_))
        && let Some(key) = parts.headers.get(API_KEY).cloned()
    {
        // The endpoint of Claude takes the key of the resource in Anthropic's header.
        parts.headers.insert(X_API_KEY, key);
    }
    set_path(parts, &path, "", None).map(|()| body)
}

/// Returns the model that the body names. Waits for the end of a streamed body.
async fn model_of(parts: &Parts, body: &ReplayBody) -> Result<ModelId, Unroutable> {
    if let Some(model) = parts.extensions.get::<ModelId>() {
        return Ok(model.clone());
    }
    let pieces = body.pieces().await.ok_or(Unroutable::NotReplayable)?;
    let kind = parts.headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let found = search_stored(kind, &pieces).await.ok_or(Unroutable::NotReplayable)?;
    NamedModel::from(found).model.ok_or(Unroutable::NotFound)
}

/// Sets the path, and one parameter of the query in place of those that are named `name`.
pub(super) fn set_path(
    parts: &mut Parts,
    path: &str,
    name: &str,
    parameter: Option<&str>,
) -> Result<(), Unroutable> {
    if has_dot_segment(path) {
        return Err(Unroutable::Url);
    }
    let kept = parts.uri.query().unwrap_or_default().split('&');
    let kept = kept.filter(|pair| !pair.is_empty() && !is_parameter(pair, name)).chain(parameter);
    let query = kept.collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.path_and_query =
        Some(PathAndQuery::try_from([path, mark, &query].concat()).map_err(|_| Unroutable::Url)?);
    parts.uri = http::Uri::from_parts(uri).map_err(|_| Unroutable::Url)?;
    Ok(())
}
