//! `POST /api/embeddings`: embeddings with the keys that chats use, and under the same limits.

use axum::{Json, extract::State};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{app::App, errors::Problem};

#[derive(Deserialize)]
pub(crate) struct EmbeddingRequest {
    /// A text, or a list of texts.
    input: Value,
    model: Option<String>,
}

/// Vectors of two models can't be compared, so no other provider stands in: only keys are rotated.
pub(crate) async fn embed(
    State(app): State<App>,
    Json(request): Json<EmbeddingRequest>,
) -> Result<Json<Value>, Problem> {
    let model = request.model.as_deref().unwrap_or("text-embedding-3-small");
    let body = json!({ "model": model, "input": request.input });
    let response = app.providers.send("http://chain/v1/embeddings", Some(model), &body).await?;
    let body = response.into_body().collect().await.map_err(Problem::broken)?.to_bytes();
    Ok(Json(serde_json::from_slice(&body).map_err(Problem::broken)?))
}
