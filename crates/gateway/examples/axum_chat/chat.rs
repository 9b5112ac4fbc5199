//! `POST /api/chat`: one reply as JSON.

use axum::response::{IntoResponse, Response};
use axum::{Json, extract::State};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower_key_rotation::Served;

use crate::{app::App, errors::Problem};

pub(crate) const URL: &str = "http://chain/v1/chat/completions";

/// A request of a caller. Without a model, any provider serves it.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
pub(crate) struct ChatRequest {
    /// As in OpenAI's API.
    messages: Value,
    pub(crate) model: Option<String>,
}

#[derive(Clone, Serialize)]
pub(crate) struct Reply {
    pub(crate) text: String,
    provider: Option<String>,
    /// The id of the key, which is no secret.
    key: Option<String>,
    failed_attempts: usize,
}

pub(crate) async fn chat(
    State(app): State<App>,
    Json(request): Json<ChatRequest>,
) -> Result<Response, Problem> {
    // Equal requests at the same time wait for the first of them, and cost one call.
    let entry = app.replies.entry(request.clone()).or_try_insert_with(ask(&app, &request)).await;
    let entry = entry.map_err(|problem| Problem::clone(&problem))?;
    let cache = if entry.is_fresh() { "miss" } else { "hit" };
    Ok(([("x-cache", cache)], Json(entry.into_value())).into_response())
}

async fn ask(app: &App, request: &ChatRequest) -> Result<Reply, Problem> {
    let response = app.providers.send(URL, request.model.as_deref(), &request.body(false)).await?;
    let reply = Reply::new(response.extensions().get());
    let body = response.into_body().collect().await.map_err(Problem::broken)?.to_bytes();
    let body: Value = serde_json::from_slice(&body).map_err(Problem::broken)?;
    let text = body["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    Ok(Reply { text: text.to_owned(), ..reply })
}

impl ChatRequest {
    /// Returns the body in OpenAI's format, which every provider of the chain takes.
    pub(crate) fn body(&self, stream: bool) -> Value {
        let model = self.model.as_deref().unwrap_or("default"); // each route has a name for it
        json!({ "model": model, "messages": self.messages, "stream": stream })
    }
}

impl Reply {
    /// Creates a reply that has no text yet.
    pub(crate) fn new(served: Option<&Served>) -> Self {
        let provider = served.map(|served| served.provider().to_owned());
        let key = served.map(|served| served.key_id().to_string());
        let failed_attempts = served.map_or(0, |served| served.attempts().len());
        Self { text: String::new(), provider, key, failed_attempts }
    }
}
