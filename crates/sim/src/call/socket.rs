//! A WebSocket after its handshake.

use futures_util::{SinkExt, StreamExt};
use http::{Response, response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::body::SimBody;
use super::in_flight::InFlight;
use crate::wire::SocketSession;

/// A request extension: whether the server of the connection is stopped.
#[derive(Clone)]
pub(crate) struct Stopped(pub(crate) watch::Receiver<bool>);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Returns the response to a handshake, and starts the task of the WebSocket. The call counts as in flight until the
/// WebSocket ends.
pub(super) fn open(
    head: response::Parts,
    on_upgrade: Option<OnUpgrade>,
    stopped: Option<Stopped>,
    session: SocketSession,
    in_flight: InFlight,
) -> Response<SimBody> {
    if let Some(on_upgrade) = on_upgrade {
        let _task = tokio::spawn(async move {
            let _in_flight = in_flight;
            let Ok(connection) = on_upgrade.await else { return };
            let mut socket =
                WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, None).await;
            tokio::select! {
                // The client decides whether the end of a connection is an error.
                _ = converse(&mut socket, session) => {}
                () = stops(stopped) => drop(socket.close(Some(going_away())).await),
            }
        });
    }
    Response::from_parts(head, SimBody::empty())
}

async fn converse(socket: &mut Socket, mut session: SocketSession) -> Result<(), Error> {
    for event in session.begin() {
        socket.send(Message::text(event.to_string())).await?;
    }
    while let Some(message) = socket.next().await {
        let message = message?;
        let text = match &message {
            Message::Text(text) => text.as_str(),
            Message::Binary(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            _ => continue,
        };
        match session.answer(text) {
            Some(events) => {
                for event in events {
                    socket.send(Message::text(event.to_string())).await?;
                }
            }
            None => socket.send(message).await?,
        }
    }
    Ok(())
}

async fn stops(stopped: Option<Stopped>) {
    match stopped {
        // An error means that the sender, and so the server, is gone.
        Some(Stopped(mut stopped)) => drop(stopped.wait_for(|stopped| *stopped).await),
        None => std::future::pending().await,
    }
}

fn going_away() -> CloseFrame {
    CloseFrame { code: CloseCode::Away, reason: "the server stops".into() }
}
