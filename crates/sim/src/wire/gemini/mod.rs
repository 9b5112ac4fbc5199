//! Gemini's API, with its OpenAI-compatible endpoints. Gemini states no limits in headers.

mod batches;
mod caches;
pub(super) mod content;
mod embeddings;
pub(super) mod error;
mod files;
mod limit_error;
mod object;

use serde_json::json;

use super::input::ResponseInput;
use super::named::texts;
use super::object::Kind;
use super::reply::Reply;
use super::route::Endpoint;
use crate::script::Refusal;
use crate::store::Store;

/// Adds the headers that every response carries.
pub(super) fn add_headers(reply: Reply) -> Reply {
    reply.with("server", "scaffolding on HTTPServer2").with("server-timing", "gfet4t7; dur=799")
}

/// Returns the response to a call that passed all checks. `store` has the objects of its account.
pub(super) fn respond(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    for url in texts(&input.request.body, &["fileUri", "file_uri"]) {
        if let Some(at) = url.rfind(Kind::GeminiFile.prefix()) {
            Kind::GeminiFile.get(&url[at..], store)?;
        }
    }
    for cache in texts(&input.request.body, &["cachedContent", "cached_content"]) {
        Kind::Cache.get(cache, store)?;
    }
    match input.request.route.endpoint {
        Endpoint::CreateFile => files::upload(input, store),
        Endpoint::Files => Ok(object::all(Kind::GeminiFile, "files", store)),
        Endpoint::File => object::show(Kind::GeminiFile, input, store),
        Endpoint::DeleteFile => object::delete(Kind::GeminiFile, input, store),
        Endpoint::CreateCache => Ok(caches::create(input, store)),
        Endpoint::Caches => Ok(object::all(Kind::Cache, "cachedContents", store)),
        Endpoint::Cache => object::show(Kind::Cache, input, store),
        Endpoint::UpdateCache => caches::update(input, store),
        Endpoint::DeleteCache => object::delete(Kind::Cache, input, store),
        Endpoint::CreateBatch => batches::create(input, store),
        Endpoint::Batches => Ok(object::all(Kind::GeminiBatch, "operations", store)),
        Endpoint::Batch => object::show(Kind::GeminiBatch, input, store),
        Endpoint::CancelBatch => batches::cancel(input, store),
        Endpoint::DeleteBatch => object::delete(Kind::GeminiBatch, input, store),
        _ => Ok(content::respond(input)),
    }
}

/// Returns an error as the response.
pub(super) fn refuse(input: &ResponseInput<'_>, refusal: &Refusal) -> Reply {
    if *refusal == Refusal::ContentFilter {
        return add_headers(content::filtered(input));
    }
    let (status, value) = error::error(input, refusal);
    let wrapped = input.request.route.wraps_errors();
    let value = if wrapped { json!([value]) } else { value };
    add_headers(Reply::indented_json(status, &value)).with("content-type", "application/json; charset=UTF-8")
}
