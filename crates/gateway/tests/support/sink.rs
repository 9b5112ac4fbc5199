//! A receiver of alerts on a real socket.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tower_key_rotation_gateway::alert::Webhook;

/// The behaviour of the receiver for one request.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    Accept,
    Fail(u16),
    Hang,
    Slow,
}

/// A receiver on a real socket, which accepts requests after it has behaved as told.
pub(crate) struct Sink {
    pub(crate) url: String,
    pub(crate) next: Arc<Mutex<VecDeque<Behaviour>>>,
    accepted: mpsc::UnboundedReceiver<(HeaderMap, String)>,
}

impl Sink {
    pub(crate) async fn start(behaviour: impl IntoIterator<Item = Behaviour>) -> Self {
        let next = Arc::new(Mutex::new(behaviour.into_iter().collect::<VecDeque<_>>()));
        let (sender, accepted) = mpsc::unbounded_channel();
        let plan = Arc::clone(&next);
        let router = Router::new().fallback(move |request: Request| {
            let behaviour = plan.lock().unwrap().pop_front().unwrap_or(Behaviour::Accept);
            let sender = sender.clone();
            async move {
                match behaviour {
                    Behaviour::Hang => std::future::pending().await,
                    Behaviour::Fail(status) => StatusCode::from_u16(status).unwrap().into_response(),
                    Behaviour::Slow => {
                        ([("retry-after", "0")], StatusCode::TOO_MANY_REQUESTS).into_response()
                    }
                    Behaviour::Accept => {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        sender.send((head.headers, String::from_utf8(body.to_vec()).unwrap())).unwrap();
                        StatusCode::OK.into_response()
                    }
                }
            }
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { url, next, accepted }
    }

    pub(crate) fn webhook(&self) -> Webhook {
        Webhook::new("sink", self.url.parse().unwrap())
            .group_wait(Duration::from_millis(100))
            .timeout(Duration::from_millis(200))
            .backoff(Duration::from_millis(10), Duration::from_millis(40))
    }

    pub(crate) async fn message(&mut self) -> Value {
        serde_json::from_str(&self.raw().await.1).unwrap()
    }

    pub(crate) async fn raw(&mut self) -> (HeaderMap, String) {
        timeout(Duration::from_secs(10), self.accepted.recv()).await.expect("a message arrives").unwrap()
    }

    /// The summaries of the alerts of the next message.
    pub(crate) async fn alerts(&mut self) -> Vec<String> {
        let message = self.message().await;
        let alerts = message["alerts"].as_array().unwrap().iter();
        alerts
            .map(|it| format!("{} {}", it["state"].as_str().unwrap(), it["incident"].as_str().unwrap()))
            .collect()
    }

    pub(crate) fn has_more(&mut self) -> bool {
        self.accepted.try_recv().is_ok()
    }
}
