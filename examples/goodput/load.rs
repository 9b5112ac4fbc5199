//! Load whose requests are sent when they are due.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tower::{BoxError, ServiceExt};
use tower_key_rotation::Deadline;
use tower_key_rotation_sim::Dialect;

use crate::cases::Case;
use crate::provider::{ANSWER, InABox, Rotating};

/// Time that a request may take, from the moment at which it is due.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The outcome of a request. Times are measured from the start of the load.
pub(crate) struct UpstreamResponse {
    pub(crate) due: Duration,
    pub(crate) sent: Duration,
    pub(crate) done: Duration,
    /// Amount that the request takes from a limit of tokens.
    pub(crate) tokens: u32,
    pub(crate) result: Result<(), String>,
}

/// A request that is still to be sent.
struct Due {
    at: Duration,
    body: Bytes,
}

/// Sends every request that is due before `ends`, and then waits for the responses.
pub(crate) async fn run(
    case: &Case,
    provider: &InABox,
    began: Instant,
    ends: Duration,
    seed: u64,
) -> Result<Vec<UpstreamResponse>, BoxError> {
    let service = provider.rotating(case)?;
    let url = provider.url(case.dialect);
    let mut running = JoinSet::new();
    for due in schedule(case, provider.model(), ends, seed) {
        sleep_until(began + due.at).await;
        running.spawn(ask(service.clone(), url.clone(), due, began));
    }
    Ok(running.join_all().await)
}

/// Schedules exactly `case.rate` requests in each second, at random times.
fn schedule(case: &Case, model: &str, ends: Duration, seed: u64) -> Vec<Due> {
    let mut rng = Rng::with_seed(seed);
    let mut all = Vec::new();
    for second in 0..ends.as_secs() {
        let mut times: Vec<_> = (0..case.rate).map(|_| second as f64 + rng.f64()).collect();
        times.sort_by(f64::total_cmp);
        all.extend(
            times
                .into_iter()
                .map(|at| Due { at: Duration::from_secs_f64(at), body: prompt(case, model, &mut rng) }),
        );
    }
    all
}

/// Returns a request body of a random size within the case's range, at four bytes per token.
fn prompt(case: &Case, model: &str, rng: &mut Rng) -> Bytes {
    let (least, most) = (f64::from(case.prompt.0), f64::from(case.prompt.1));
    let tokens = least * (most / least).powf(rng.f64());
    let envelope = body(case.dialect, model, "").len();
    let text = "x".repeat((tokens as usize * 4).saturating_sub(envelope));
    body(case.dialect, model, &text).into()
}

fn body(dialect: Dialect, model: &str, text: &str) -> String {
    match dialect {
        Dialect::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": text}]}]}),
        _ => json!({"model": model, "messages": [{"role": "user", "content": text}]}),
    }
    .to_string()
}

async fn ask(service: Rotating, url: String, due: Due, began: Instant) -> UpstreamResponse {
    let Due { at, body } = due;
    let sent = Instant::now().saturating_duration_since(began);
    let tokens = (body.len() / 4) as u32 + ANSWER;
    let result = answered(service, url, body, began + at + PATIENCE).await;
    let done = Instant::now().saturating_duration_since(began);
    UpstreamResponse { due: at, sent, done, tokens, result: result.map_err(|error| error.to_string()) }
}

async fn answered(service: Rotating, url: String, body: Bytes, deadline: Instant) -> Result<(), BoxError> {
    let body = Full::<Bytes>::from(body);
    let mut request = Request::post(url).header("content-type", "application/json").body(body)?;
    request.extensions_mut().insert(Deadline::at(deadline));
    let (head, body) = service.oneshot(request).await?.into_parts();
    body.collect().await?;
    if head.status.is_success() { Ok(()) } else { Err(format!("status {}", head.status).into()) }
}
