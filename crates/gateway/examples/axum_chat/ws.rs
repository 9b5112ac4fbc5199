//! `GET /api/chat/ws`: requests and the pieces of their replies as WebSocket messages.

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::{extract::State, response::Response};
use futures_util::stream::{self, StreamExt};
use http::header::{HOST, HeaderMap, ORIGIN};

use crate::stream::{Piece, pieces};
use crate::{app::App, errors::Problem};

pub(crate) async fn connect(
    State(app): State<App>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    if is_foreign(&headers) {
        return Err(Problem::bad_request("only pages of this app may connect"));
    }
    Ok(upgrade.on_upgrade(move |socket| serve(socket, app)))
}

async fn serve(mut socket: WebSocket, app: App) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(request) = message else { continue };
        if reply(&mut socket, &app, &request).await.is_err() {
            return; // the caller has gone
        }
    }
}

async fn reply(socket: &mut WebSocket, app: &App, request: &str) -> Result<(), axum::Error> {
    let pieces = match serde_json::from_str(request) {
        Ok(request) => pieces(app.clone(), request).await,
        Err(error) => Err(Problem::bad_request(error)),
    };
    let mut pieces = pieces.unwrap_or_else(|problem| stream::iter([Piece::Failed(problem)]).boxed());
    while let Some(piece) = pieces.next().await {
        let piece = serde_json::to_string(&piece).map_err(axum::Error::new)?;
        socket.send(Message::Text(piece.into())).await?;
    }
    Ok(())
}

/// Returns whether a browser opens the socket for a page of another host, which it allows any page to do.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(ORIGIN) else { return false };
    origin.split_once("://").map(|(_, host)| host) != text(HOST)
}
