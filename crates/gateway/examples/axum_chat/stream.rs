//! `POST /api/chat/stream`: a reply as server-sent events, piece by piece.

use async_stream::stream;
use axum::response::{IntoResponse, Response, sse::Event, sse::KeepAlive, sse::Sse};
use axum::{Json, extract::State};
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::Serialize;
use serde_json::Value;
use tower_key_rotation::body::sse::Decoder;

use crate::{app::App, chat::Prompt, chat::Reply, errors::Problem, errors::Result};

/// A piece of a reply: `{"event":"text","data":"Hel"}`. The last piece is `done` or `failed`.
#[derive(Serialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub(crate) enum Piece {
    Text(String),
    Done(Reply),
    Failed(Problem),
}

pub(crate) async fn chat(State(app): State<App>, Json(prompt): Json<Prompt>) -> Result<Response> {
    let events = pieces(app, prompt).await?.map(|piece| Event::default().json_data(piece));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// Starts a reply. A caller that goes away drops the stream, which ends the call of the provider.
pub(crate) async fn pieces(app: App, prompt: Prompt) -> Result<BoxStream<'static, Piece>> {
    if let Some(reply) = app.replies.get(&prompt).await {
        return Ok(stream::iter([Piece::Text(reply.text.clone()), Piece::Done(reply)]).boxed());
    }
    let response = prompt.send(&app, true).await?;
    let (mut reply, mut decoder) = (Reply::of(&response), Decoder::new());
    let mut body = response.into_body().into_data_stream();
    Ok(Box::pin(stream! {
        while let Some(data) = body.next().await {
            match data {
                Ok(data) => decoder.push(data),
                // The chain makes an error of a stream that is cut, so the other end is that of a whole reply.
                Err(error) => return yield Piece::Failed(Problem::broken(error)),
            }
            while let Ok(Some(event)) = decoder.next_event() {
                let event: Value = serde_json::from_slice(event.data()).unwrap_or_default(); // not JSON: [DONE]
                let text = event["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
                if !text.is_empty() {
                    reply.text.push_str(text);
                    yield Piece::Text(text.to_owned());
                }
            }
        }
        app.replies.insert(prompt, reply.clone()).await;
        yield Piece::Done(reply);
    }))
}
