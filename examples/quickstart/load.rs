//! A steady stream of requests. Every other request is streaming.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tower::{BoxError, Service, ServiceExt};
use tower_key_rotation::key::KeyId;
use tower_key_rotation::{Error, Served};

/// The number of requests, their rate, and how many run at a time.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) requests: u32,
    pub(crate) per_second: u32,
    pub(crate) at_most: usize,
    pub(crate) show: bool,
}

/// The URL and the model of the requests.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) model: String,
}

/// The outcomes of all requests.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    pub(crate) rotations: u64,
    pub(crate) by_key: HashMap<KeyId, u64>,
    pub(crate) latencies: Vec<Duration>,
    pub(crate) last_error: Option<String>,
}

struct UpstreamResponse {
    served: Result<Served, String>,
    rotations: usize,
    latency: Duration,
}

impl Load {
    pub(crate) async fn run<S, B>(self, service: S, target: &Target) -> Outcome
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Error> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let bar = self.progress_bar();
        let places = Arc::new(Semaphore::new(self.at_most));
        let mut ticks = interval(Duration::from_secs(1) / self.per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut running = JoinSet::new();
        for number in 0..self.requests {
            ticks.tick().await;
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let (service, target) = (service.clone(), target.clone());
            running.spawn(async move {
                let answer = ask(service, &target, number % 2 == 1).await;
                drop(place);
                answer
            });
        }
        let mut outcome = Outcome::default();
        while let Some(answer) = running.join_next().await {
            bar.inc(1);
            match answer {
                Ok(answer) => outcome.book(answer),
                Err(panicked) => outcome.fail(panicked.to_string()),
            }
        }
        bar.finish_and_clear();
        outcome
    }

    fn progress_bar(self) -> ProgressBar {
        if !self.show {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} requests, {elapsed}");
        ProgressBar::new(self.requests.into())
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }
}

async fn ask<S, B>(service: S, target: &Target, stream: bool) -> UpstreamResponse
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Error>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let began = Instant::now();
    let body = json!({
        "model": target.model,
        "stream": stream,
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "Say hello."}],
    });
    let request = Request::post(&target.url).header("content-type", "application/json");
    let answered = match request.body(Full::from(body.to_string())) {
        Ok(request) => service.oneshot(request).await,
        Err(error) => {
            return UpstreamResponse {
                served: Err(error.to_string()),
                rotations: 0,
                latency: Duration::ZERO,
            };
        }
    };
    let (served, rotations) = match answered {
        Ok(response) => read(response, stream).await,
        Err(Error::AllKeysFailed(failed)) => (Err(failed.to_string()), failed.attempts().len()),
        Err(error) => (Err(error.to_string()), 0),
    };
    UpstreamResponse { served, rotations, latency: Instant::now().saturating_duration_since(began) }
}

/// Reads a response to its end. A stream must have a proper end.
async fn read<B>(response: Response<B>, stream: bool) -> (Result<Served, String>, usize)
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (head, body) = response.into_parts();
    let served = head.extensions.get::<Served>().cloned();
    let rotations = served.as_ref().map_or(0, |served| served.attempts().len());
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return (Err(error.into().to_string()), rotations),
    };
    let complete = !stream || body.trim_ascii_end().ends_with(b"[DONE]");
    let result = match served {
        Some(served) if head.status.is_success() && complete => Ok(served),
        _ => Err(format!("status {}, complete: {complete}", head.status)),
    };
    (result, rotations)
}

impl Outcome {
    fn book(&mut self, answer: UpstreamResponse) {
        self.rotations += answer.rotations as u64;
        self.latencies.push(answer.latency);
        match answer.served {
            Ok(served) => {
                self.ok += 1;
                *self.by_key.entry(served.key_id().clone()).or_default() += 1;
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: String) {
        self.failed += 1;
        self.last_error = Some(error);
    }
}
