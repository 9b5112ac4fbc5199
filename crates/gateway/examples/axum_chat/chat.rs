//! `POST /api/chat`: one reply as JSON.

use axum::response::{IntoResponse, Response};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower_key_rotation::Served;

use crate::{app::App, errors, errors::Problem, errors::Result};

#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
pub(crate) struct Prompt {
    /// As in OpenAI's API.
    messages: Value,
    model: Option<String>,
}

#[derive(Clone, Default, Serialize)]
pub(crate) struct Reply {
    pub(crate) text: String,
    provider: String,
    /// The id of the key, which is no secret.
    key: String,
    failed_attempts: usize,
}

pub(crate) async fn chat(State(app): State<App>, Json(prompt): Json<Prompt>) -> Result<Response> {
    // Equal prompts at the same time wait for the first of them, and cost one call.
    let entry = app.replies.entry(prompt.clone()).or_try_insert_with(ask(&app, &prompt)).await;
    let entry = entry.map_err(|problem| Problem::clone(&problem))?;
    let cache = if entry.is_fresh() { "miss" } else { "hit" };
    Ok(([("x-cache", cache)], Json(entry.into_value())).into_response())
}

async fn ask(app: &App, prompt: &Prompt) -> Result<Reply> {
    let response = prompt.send(app, false).await?;
    let reply = Reply::of(&response);
    let body = errors::json(response).await?;
    let text = body["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    Ok(Reply { text: text.to_owned(), ..reply })
}

impl Prompt {
    /// Sends the prompt in OpenAI's format, which every provider of the chain takes.
    pub(crate) async fn send(&self, app: &App, stream: bool) -> Result<Response> {
        let model = self.model.as_deref().unwrap_or("default"); // each route has a name for it
        let body = json!({ "model": model, "messages": self.messages, "stream": stream });
        app.providers.send("/v1/chat/completions", self.model.as_deref(), &body).await
    }
}

impl Reply {
    /// Returns a reply that has no text yet.
    pub(crate) fn of(response: &Response) -> Self {
        let Some(served) = response.extensions().get::<Served>() else { return Self::default() };
        let (provider, key) = (served.provider().to_owned(), served.key_id().to_string());
        Self { text: String::new(), provider, key, failed_attempts: served.attempts().len() }
    }
}
