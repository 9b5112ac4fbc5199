//! The model that a request names: may its caller use it, and its name for the access line and the trace.

use http::{Response, request};
use tower_key_rotation::ModelId;

use crate::access_line::{AccessLine, RequestedModel};
use crate::caller::{Caller, likely_model, model_names};
use crate::config::{Config, ProviderSettings};
use crate::destination::Destination;
use crate::refusal::Refusal;
use crate::request_body::RequestBody;

/// Returns the model for the access line and the trace, if there is one. Refuses a model that the caller may not use.
pub(crate) fn read(
    (config, caller): (&Config, Option<&Caller>),
    is_traced: bool,
    head: &request::Parts,
    to: &Destination<'_>,
    body: &RequestBody,
) -> Result<Option<ModelId>, Refusal> {
    let named = |it: &ProviderSettings| it.pool().provider().model_in_path(&head.uri);
    // All providers that a native path may lead to name the model at the same place.
    let in_path = || match to.provider.and_then(|to| config.provider(to.name())) {
        Some(provider) => named(provider),
        None => config.chain().order().iter().filter_map(|name| config.provider(name)).find_map(named),
    };
    if let Some(caller) = caller.filter(|caller| caller.limits_models()) {
        let names = body.bytes().and_then(|body| model_names(head, in_path(), body));
        let names = names.ok_or(Refusal::UnreadableModel)?;
        if names.iter().any(|name| !caller.may_ask(name)) {
            return Err(Refusal::Model);
        }
        return Ok(names.first().and_then(|name| ModelId::new(name)));
    }
    if !is_traced && !AccessLine::is_written() {
        return Ok(None);
    }
    Ok(in_path().or_else(|| likely_model(head, body.bytes()?)))
}

/// Adds the model to a response, for its access line.
pub(crate) fn told<B>(mut response: Response<B>, model: Option<ModelId>) -> Response<B> {
    if let Some(model) = model {
        response.extensions_mut().insert(RequestedModel(model));
    }
    response
}
