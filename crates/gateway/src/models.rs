//! The list of models of the whole chain.
//!
//! Clients fill their menus from `GET /v1/models`. A chain serves the models of all its providers, under the names that
//! callers may use: the names in `[provider.models]`, and the provider's own names unless `"*"` replaces all names.

use std::collections::HashSet;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request, Response, StatusCode, request};
use http_body_util::{BodyExt, Collected, Either, Limited};
use serde_json::{Value, json};
use tower::Service;
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::{Error, ProviderPin};

use crate::config::{Config, ModelList, ProviderSettings};
use crate::response::{self, GatewayBody};
use crate::upstream::{Chain, ChainBody};

/// Path of the list.
const PATH: &str = "/v1/models";

/// Maximum size of the list of one provider (8 MiB).
const LARGEST: usize = 8 * 1024 * 1024;

/// The response of a provider that has no list, or the error without a response.
type Failed = Box<Result<Response<ChainBody>, Error>>;

/// Returns whether a request asks for a list that is not that of the first provider as it is.
pub(crate) fn is_list(head: &request::Parts, config: &Config) -> bool {
    head.method == Method::GET && head.uri.path().trim_end_matches('/') == PATH && {
        let (first, mut others) = config.chain_providers();
        others.next().is_some() || first.models().next().is_some()
    }
}

/// Returns the list that the `models` setting asks for. Fails with the error of the first provider if none has a list.
pub(crate) async fn list(
    chain: &Chain,
    config: &Config,
    head: &request::Parts,
) -> Result<Response<GatewayBody>, Failed> {
    let chosen = config.chain().order().iter().filter(|name| match config.chain().models() {
        ModelList::Union => true,
        ModelList::Of(provider) => provider == *name,
    });
    let providers: Vec<_> = chosen.filter_map(|name| config.provider(name)).collect();
    let lists = join_all(providers.iter().map(|provider| of(chain.clone(), head, provider))).await;
    let (mut models, mut seen, mut failed) = (Vec::new(), HashSet::new(), None);
    for list in lists {
        match list {
            Ok(list) => models.extend(list.into_iter().filter(|model| seen.insert(model["id"].to_string()))),
            Err(failure) => failed = failed.or(Some(failure)),
        }
    }
    match failed {
        Some(failed) if models.is_empty() => Err(failed),
        _ => {
            let list = json!({"object": "list", "data": models});
            Ok(response::as_json(StatusCode::OK, &list).map(Either::Right))
        }
    }
}

/// Returns the models of one provider, under the names that callers may use.
async fn of(
    mut chain: Chain,
    head: &request::Parts,
    provider: &ProviderSettings,
) -> Result<Vec<Value>, Failed> {
    let mut models: Vec<_> = provider
        .models()
        .filter(|(caller, _)| *caller != ProviderSettings::ANY_MODEL)
        .map(
            |(caller, _)| json!({"id": caller, "object": "model", "created": 0, "owned_by": provider.name()}),
        )
        .collect();
    if provider.models().any(|(caller, _)| caller == ProviderSettings::ANY_MODEL) {
        return Ok(models);
    }
    let mut request = Request::from_parts(head.clone(), ReplayBody::empty());
    request.extensions_mut().insert(ProviderPin::to(provider.name()));
    let response = match chain.call(request).await {
        Ok(response) if response.status().is_success() => response,
        _ if !models.is_empty() => return Ok(models),
        failed => return Err(Box::new(failed)),
    };
    let whole = Limited::new(response.into_body(), LARGEST).collect().await;
    let document = whole.map(Collected::to_bytes).unwrap_or_default();
    models.extend(entries(&document, provider.name()));
    Ok(models)
}

/// Returns the entries of a list in the shape of OpenAI's API.
fn entries(document: &Bytes, provider: &str) -> Vec<Value> {
    let Ok(Value::Object(mut list)) = serde_json::from_slice(document) else { return Vec::new() };
    let Some(Value::Array(mut entries)) = list.remove("data") else { return Vec::new() };
    entries.retain(|entry| entry["id"].is_string());
    for entry in &mut entries {
        if let Value::Object(entry) = entry {
            entry.entry("object").or_insert_with(|| "model".into());
            entry.entry("created").or_insert_with(|| 0.into());
            entry.entry("owned_by").or_insert_with(|| provider.into());
        }
    }
    entries
}
