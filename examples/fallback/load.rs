//! A steady stream of requests. Every other request is streaming.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tower::{BoxError, ServiceExt};
use tower_key_rotation::Served;
use tower_key_rotation::body::ResponseBody;

use crate::providers::{Chain, Providers};
use crate::report::Figures;

/// The number of requests and their rate.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) requests: u32,
    pub(crate) per_second: u32,
}

/// The outcome of one request: the key that served it or the error, and its latency.
pub(crate) struct Answer {
    pub(crate) served: Result<Served, BoxError>,
    pub(crate) latency: Duration,
}

impl Load {
    /// Runs until every request has its response, and calls `watch` after each.
    pub(crate) async fn run(
        self,
        chain: &Chain,
        name: &'static str,
        providers: &Providers,
        watch: impl Fn(&Figures),
    ) -> Figures {
        let before = providers.calls();
        let mut figures = Figures::new(name);
        let mut ticks = interval(Duration::from_secs(1) / self.per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut sent, mut running) = (0, JoinSet::new());
        loop {
            tokio::select! {
                _ = ticks.tick(), if sent < self.requests => {
                    running.spawn(timed(chain.clone(), sent % 2 == 1));
                    sent += 1;
                }
                Some(answer) = running.join_next() => {
                    match answer {
                        Ok(answer) => figures.book(answer),
                        Err(panicked) => figures.fail(&panicked),
                    }
                    figures.called(before, providers.calls());
                    watch(&figures);
                }
                else => return figures,
            }
        }
    }
}

async fn timed(chain: Chain, stream: bool) -> Answer {
    let began = Instant::now();
    let served = ask(chain, stream).await;
    Answer { served, latency: Instant::now().saturating_duration_since(began) }
}

async fn ask(chain: Chain, stream: bool) -> Result<Served, BoxError> {
    let body = json!({
        "model": "gpt-4o-mini",
        "stream": stream,
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "Say hello."}],
    });
    // The route of each link replaces this URL.
    let request = Request::post("https://api.openai.com/v1/chat/completions")
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(body.to_string()))?;
    read(chain.oneshot(request).await?, stream).await
}

/// Reads a response to its end. A stream must have a proper end.
async fn read(
    response: Response<ResponseBody<ResponseBody<Incoming>>>,
    stream: bool,
) -> Result<Served, BoxError> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    if !head.status.is_success() {
        return Err(format!("status {}", head.status).into());
    }
    if stream && !body.trim_ascii_end().ends_with(b"data: [DONE]") {
        return Err("a stream that ended without [DONE]".into());
    }
    head.extensions.get::<Served>().cloned().ok_or_else(|| "an answer of nobody".into())
}
