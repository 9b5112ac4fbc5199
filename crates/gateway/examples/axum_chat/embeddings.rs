//! `POST /api/embeddings`: embeddings with the keys that chats use, and under the same limits.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::{app::App, errors, errors::Result};

/// Vectors of two models can't be compared, so no other provider stands in: only keys are rotated.
pub(crate) async fn embed(State(app): State<App>, Json(it): Json<Value>) -> Result<Json<Value>> {
    let model = it["model"].as_str().unwrap_or("text-embedding-3-small");
    let body = json!({ "model": model, "input": it["input"] });
    errors::json(app.providers.send("/v1/embeddings", Some(model), &body).await?).await.map(Json)
}
