//! The model that a request names: may its caller use it, and its name for the access line and the trace.

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, request};
use tower_key_rotation::{ModelId, Provider, Served};

use crate::access_line::{AccessLine, RequestedModel};
use crate::caller::{Caller, likely_model, model_names};
use crate::config::{Config, ProviderSettings};
use crate::destination::Destination;
use crate::refusal::Refusal;
use crate::request_body::RequestBody;

/// The model that a request names, as far as it is known before there is a response.
pub(crate) enum Asked {
    Known(Option<ModelId>),
    /// The rotation layer mostly looks for the model too, so that the body need not be searched a second time.
    Unread {
        content_type: Option<HeaderValue>,
        body: Bytes,
    },
}

/// Returns the model for the access line and the trace. Refuses a model that the caller may not use.
pub(crate) fn read(
    (config, caller, is_traced): (&Config, Option<&Caller>, bool),
    head: &request::Parts,
    to: &Destination<'_>,
    body: &RequestBody,
) -> Result<Asked, Refusal> {
    let named = |it: &ProviderSettings| it.pool().provider().model_in_path(&head.uri);
    // All providers that a native path may lead to name the model at the same place.
    let in_path = || match to.provider.and_then(|to| config.provider(to.name())) {
        Some(provider) => named(provider),
        None => config.chain().order().iter().filter_map(|name| config.provider(name)).find_map(named),
    };
    if let Some(caller) = caller.filter(|caller| caller.limits_models()) {
        let in_path = in_path().or_else(|| in_any_path(head));
        let is_sure = is_plain(head.uri.path(), in_path.is_some());
        let names = body.bytes().filter(|_| is_sure).and_then(|body| model_names(head, in_path, body));
        let names = names.ok_or(Refusal::UnreadableModel)?;
        if names.iter().any(|name| !caller.may_ask(name)) {
            return Err(Refusal::Model);
        }
        return Ok(Asked::Known(names.first().and_then(|name| ModelId::new(name))));
    }
    if !is_traced && !AccessLine::is_written() {
        return Ok(Asked::Known(None));
    }
    Ok(match (in_path(), body.bytes()) {
        (None, Some(body)) => {
            Asked::Unread { content_type: head.headers.get(CONTENT_TYPE).cloned(), body: body.clone() }
        }
        (in_path, _) => Asked::Known(in_path),
    })
}

/// Returns the model in the path of a call, in the shape of any provider: servers that imitate several read several.
fn in_any_path(head: &request::Parts) -> Option<ModelId> {
    static SHAPES: LazyLock<Vec<Provider>> = LazyLock::new(|| {
        ["azure", "gemini", "bedrock", "cloudflare"].into_iter().filter_map(Provider::preset).collect()
    });
    let places = SHAPES.iter().filter(|_| head.method == Method::POST);
    places.filter_map(|provider| provider.model_in_path(&head.uri)).next()
}

/// Returns whether providers read a path as it is written. Some decode it before they look for a model: letters that are
/// percent-encoded, and a slash, unless it is in the name of a model.
fn is_plain(path: &str, names_model: bool) -> bool {
    let decoded = |code: &str| u8::from_str_radix(code.get(..2)?, 16).ok();
    path.split('%').skip(1).filter_map(decoded).all(|byte| {
        let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !is_unreserved && (byte != b'/' || names_model)
    })
}

/// Returns whether a response tells the model as its request names it.
fn tells_model<B>(response: &Response<B>, config: &Config) -> bool {
    let served = response.extensions().get::<Served>().filter(|served| served.model().is_some());
    let by = served.and_then(|served| config.provider(served.provider()));
    by.is_some_and(|provider| provider.models().next().is_none())
}

// === impl Asked ===

impl Asked {
    /// Adds the model to a response, for its access line, unless the response tells it.
    pub(crate) fn told<B>(self, mut response: Response<B>, config: &Config) -> Response<B> {
        let model = match self {
            Self::Known(model) => model,
            Self::Unread { .. } if tells_model(&response, config) => None,
            Self::Unread { content_type, body } => likely_model(content_type.as_ref(), &body),
        };
        if let Some(model) = model {
            response.extensions_mut().insert(RequestedModel(model));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_a_provider_reads_as_another_one_is_not_plain() {
        for (path, names_model, expected) in [
            ("/v1beta/models/m:generateContent", true, true),
            ("/model/anthropic.claude-v1%3A0/invoke", true, true),
            ("/model/arn%3Aaws%3Aprofile%2Fx/invoke", true, true),
            ("/v1beta/%6dodels/m:generateContent", false, false),
            ("/v1beta/models/%6D:generateContent", true, false),
            ("/v1beta/models%2fm:generateContent", false, false),
            ("/v1/chat/completions%", false, true),
        ] {
            assert_eq!(is_plain(path, names_model), expected, "{path}");
        }
    }
}
