//! The endpoints that depend on the request only.

use serde_json::json;

use super::{audio, chat, completions, embeddings, images, moderations, responses};
use crate::wire::input::ResponseInput;
use crate::wire::reply::Reply;
use crate::wire::route::Endpoint;

/// Returns the response. `None` for an endpoint that needs the objects of the account.
pub(super) fn respond(input: &ResponseInput<'_>) -> Option<Reply> {
    Some(match input.request.route.endpoint {
        Endpoint::Chat => chat::respond(input),
        Endpoint::Completions => completions::respond(input),
        Endpoint::Responses => responses::respond(input),
        Endpoint::Embeddings => embeddings::respond(input),
        Endpoint::Models => models(input),
        Endpoint::Model => Reply::json(http::StatusCode::OK, &model(input.model())),
        Endpoint::Images => images::respond(input),
        Endpoint::Speech => audio::speech(input),
        Endpoint::Transcription => audio::transcription(input),
        Endpoint::Moderations => moderations::respond(input),
        _ => return None,
    })
}

fn models(input: &ResponseInput<'_>) -> Reply {
    let data: Vec<_> = input.models.listed().iter().map(|id| model(id)).collect();
    Reply::json(http::StatusCode::OK, &json!({"object": "list", "data": data}))
}

fn model(id: &str) -> serde_json::Value {
    json!({"id": id, "object": "model", "created": 1_715_367_049, "owned_by": "system"})
}
