//! The paths of the app.

use axum::routing::{get, post};
use axum::{Router, response::Html};
use tower_key_rotation_gateway::status;

use crate::{cache, chat, embeddings, providers::Providers, stream, ws};

/// The state that all requests share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) providers: Providers,
    pub(crate) replies: cache::Replies,
}

pub(crate) fn router(providers: Providers) -> Router {
    let status = status::router(providers.pools.clone(), &providers.events);
    Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/api/chat", post(chat::chat))
        .route("/api/chat/stream", post(stream::chat))
        .route("/api/chat/ws", get(ws::connect))
        .route("/api/embeddings", post(embeddings::embed))
        .with_state(App { providers, replies: cache::replies() })
        .nest_service("/status", status)
}
