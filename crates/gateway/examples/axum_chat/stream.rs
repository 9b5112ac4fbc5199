//! `POST /api/chat/stream`: a reply as server-sent events, piece by piece.

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::{Json, extract::State, response::IntoResponse};
use futures_util::stream::{self, BoxStream, StreamExt};
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::Value;
use tower_key_rotation::body::sse::Decoder;

use crate::chat::{ChatRequest, Reply, URL};
use crate::providers::Body;
use crate::{app::App, errors::Problem};

/// A piece of a reply: `{"event":"text","data":"Hel"}`. The last piece is `done` or `failed`.
#[derive(Serialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub(crate) enum Piece {
    Text(String),
    Done(Reply),
    Failed(Problem),
}

/// A reply that is being read.
struct Reading {
    app: App,
    request: ChatRequest,
    reply: Reply,
    body: Body,
    decoder: Decoder,
}

pub(crate) async fn chat(
    State(app): State<App>,
    Json(request): Json<ChatRequest>,
) -> Result<impl IntoResponse, Problem> {
    let events = pieces(app, request).await?.map(|piece| Event::default().json_data(piece));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Starts a reply. A caller that goes away drops the stream, which ends the call of the provider.
pub(crate) async fn pieces(app: App, request: ChatRequest) -> Result<BoxStream<'static, Piece>, Problem> {
    if let Some(reply) = app.replies.get(&request).await {
        return Ok(stream::iter([Piece::Text(reply.text.clone()), Piece::Done(reply)]).boxed());
    }
    let response = app.providers.send(URL, request.model.as_deref(), &request.body(true)).await?;
    let reply = Reply::new(response.extensions().get());
    let reading = Reading { app, request, reply, body: response.into_body(), decoder: Decoder::new() };
    Ok(stream::unfold(Some(reading), async |reading| Some(reading?.next().await)).boxed())
}

impl Reading {
    /// Returns the next piece, and the rest unless it was the last piece.
    async fn next(mut self) -> (Piece, Option<Self>) {
        loop {
            while let Ok(Some(event)) = self.decoder.next_event() {
                if let Some(text) = text_of(event.data()) {
                    self.reply.text.push_str(&text);
                    return (Piece::Text(text), Some(self));
                }
            }
            match self.body.frame().await {
                Some(Ok(frame)) => frame.into_data().into_iter().for_each(|data| self.decoder.push(data)),
                Some(Err(error)) => return (Piece::Failed(Problem::broken(error)), None),
                None => break, // the chain reports a stream that is cut as an error: this one is whole
            }
        }
        self.app.replies.insert(self.request, self.reply.clone()).await;
        (Piece::Done(self.reply), None)
    }
}

/// Returns the text of one event in OpenAI's format. `None` if it has none, such as `[DONE]`.
fn text_of(data: &[u8]) -> Option<String> {
    let event: Value = serde_json::from_slice(data).ok()?;
    event["choices"][0]["delta"]["content"].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
