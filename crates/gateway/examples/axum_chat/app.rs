//! The paths of the app, and the state that all requests share.

use axum::routing::{get, post};
use axum::{Router, response::Html};
use moka::future::Cache;
use tokio::time::Duration;
use tower_key_rotation_gateway::status;

use crate::chat::{self, Prompt, Reply};
use crate::{embeddings, providers::Providers, stream, ws};

#[derive(Clone)]
pub(crate) struct App {
    pub(crate) providers: Providers,
    /// Whole replies. One that is here costs no request.
    pub(crate) replies: Cache<Prompt, Reply>,
}

pub(crate) fn router(providers: Providers) -> Router {
    let replies = Cache::builder().max_capacity(1000).time_to_live(Duration::from_secs(600)).build();
    Router::new()
        .nest_service("/status", status::router(providers.pools.clone(), &providers.events))
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/api/chat", post(chat::chat))
        .route("/api/chat/stream", post(stream::chat))
        .route("/api/chat/ws", get(ws::open))
        .route("/api/embeddings", post(embeddings::embed))
        .with_state(App { providers, replies })
}
