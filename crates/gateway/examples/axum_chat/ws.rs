//! `GET /api/chat/ws`: requests and the pieces of their replies as WebSocket messages.

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::{extract::State, response::Response};
use futures_util::stream::{self, StreamExt};
use http::header::{HOST, HeaderMap, ORIGIN};
use serde_json::json;

use crate::{app::App, errors::Problem, errors::Result, stream::Piece, stream::pieces};

pub(crate) async fn open(State(app): State<App>, head: HeaderMap, up: WebSocketUpgrade) -> Result<Response> {
    // A browser lets any page open a socket, so a page of another host is refused.
    let text = |name| head.get(name).and_then(|value| value.to_str().ok());
    if text(ORIGIN).is_some_and(|origin| origin.split_once("://").map(|(_, host)| host) != text(HOST)) {
        return Err(Problem::bad_request("only pages of this app may connect"));
    }
    Ok(up.on_upgrade(move |socket| serve(socket, app)))
}

async fn serve(mut socket: WebSocket, app: App) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(request) = message else { continue };
        let pieces = match serde_json::from_str(&request) {
            Ok(request) => pieces(app.clone(), request).await,
            Err(error) => Err(Problem::bad_request(error)),
        };
        let mut pieces = pieces.unwrap_or_else(|problem| stream::iter([Piece::Failed(problem)]).boxed());
        while let Some(piece) = pieces.next().await {
            let sent = socket.send(Message::Text(json!(piece).to_string().into())).await;
            let Ok(()) = sent else { return }; // the caller has gone
        }
    }
}
