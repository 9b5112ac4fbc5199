//! The pool counts exactly the usage that the provider sent, however requests run and end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use proptest::prelude::*;
use support::{chat, pool};
use tokio::time::{advance, sleep, timeout};
use tower::{Layer, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::pool::{Consumption, PoolSnapshot};
use tower_key_rotation::{KeyPool, KeyRotationLayer};

const MODELS: [&str; 3] = ["m-0", "m-1", "m-2"];

/// The course of one request.
#[derive(Clone, Debug)]
struct Run {
    model: usize,
    streamed: bool,
    /// Time until the head comes, and time for which the caller waits for it, in milliseconds.
    head: [u64; 2],
    /// Number of frames, of four, that the caller reads. The usage is in the third.
    read: usize,
    input: u64,
    output: u64,
}

fn run() -> impl Strategy<Value = Run> {
    let head = [1..100_u64, 1..200_u64];
    (0..MODELS.len(), any::<bool>(), head, 0..=4_usize, 1..1_000_u64, 1..1_000_u64).prop_map(
        |(model, streamed, head, read, input, output)| Run { model, streamed, head, read, input, output },
    )
}

/// A response in four frames.
fn answer(run: &Run) -> Response<impl Body<Data = Bytes, Error = Infallible> + Send + Unpin + use<>> {
    let Run { input, output, .. } = run;
    let usage = format!(r#""usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}"#);
    let (kind, frames) = if run.streamed {
        let text = r#"data: {"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
        let last = format!("data: {{\"choices\":[],{usage}}}");
        (
            "text/event-stream",
            [text.to_owned(), text.to_owned(), last, "data: [DONE]".into()].map(|it| it + "\n\n"),
        )
    } else {
        ("application/json", [r#"{"choices":[],"#.into(), String::from(r#""id":"1","#), usage, "}".into()])
    };
    let frames = futures_util::stream::iter(frames.map(|frame| Ok(Frame::data(Bytes::from(frame)))));
    // The provider states limits, so that models are distinguished.
    Response::builder()
        .header("content-type", kind)
        .header("x-ratelimit-limit-requests", "1000000")
        .header("x-ratelimit-remaining-requests", "999999")
        .body(StreamBody::new(frames))
        .unwrap()
}

/// Sends the request, and returns the consumption that must be counted for it.
async fn send(pool: &KeyPool, run: &Run) -> Consumption {
    let (head, answer) = (run.head[0], Arc::new(Mutex::new(Some(answer(run)))));
    let client = service_fn(move |_: Request<ReplayBody>| {
        let answer = answer.lock().unwrap().take().unwrap();
        async move {
            sleep(Duration::from_millis(head)).await;
            Ok::<_, Infallible>(answer)
        }
    });
    let service = KeyRotationLayer::new(pool.clone()).layer(client);
    let call = service.oneshot(chat(MODELS[run.model]));
    let mut counted = Consumption::default();
    let Ok(response) = timeout(Duration::from_millis(run.head[1]), call).await else { return counted };
    counted.requests = 1;
    let mut body = response.unwrap().into_body();
    for _ in 0..run.read {
        body.frame().await.unwrap().unwrap();
        sleep(Duration::from_millis(3)).await;
    }
    // Usage that has passed is counted, even if the rest is never read.
    if run.read >= 3 {
        (counted.input_tokens, counted.output_tokens) = (run.input, run.output);
        counted.total_tokens = run.input + run.output;
    }
    counted
}

fn sum(all: impl IntoIterator<Item = Consumption>) -> Consumption {
    all.into_iter().fold(Consumption::default(), |mut sum, one| {
        sum.requests += one.requests;
        sum.input_tokens += one.input_tokens;
        sum.output_tokens += one.output_tokens;
        sum.total_tokens += one.total_tokens;
        sum
    })
}

fn totals(snapshot: &PoolSnapshot) -> [Consumption; 2] {
    let of_keys = snapshot.keys.iter().map(|key| key.usage.total);
    [sum(of_keys), sum(snapshot.models.iter().map(|model| model.usage.total))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counted_usage_equals_sent_usage(runs in prop::collection::vec(run(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let pool = pool(&["a", "b", "c"]);
            // Each model is known before usage of it is counted.
            let known = MODELS.iter().enumerate().map(|(model, _)| Run {
                model, streamed: false, head: [1, 9], read: 4, input: 1, output: 1,
            });
            let known: Vec<_> = known.collect();
            let first = join_all(known.iter().map(|run| send(&pool, run))).await;
            let rest = join_all(runs.iter().map(|run| send(&pool, run))).await;
            let sent = sum(first.into_iter().chain(rest));
            let snapshot = pool.snapshot();
            assert_eq!(totals(&snapshot), [sent; 2]);
            assert!(snapshot.keys.iter().all(|key| key.in_flight == 0));
        });
    }
}

#[tokio::test(start_paused = true)]
async fn periods_reset_and_the_total_stays() {
    let pool = pool(&["a"]);
    let run = Run { model: 0, streamed: false, head: [1, 9], read: 4, input: 5, output: 2 };
    let usage = || pool.snapshot().keys[0].usage;
    to_the_next(86_400_000).await;
    for (total, (wait, minute, day)) in (1..).zip([(0, 1, 1), (30, 2, 2), (40, 1, 3), (86_400, 1, 1)]) {
        advance(Duration::from_secs(wait)).await;
        send(&pool, &run).await;
        let usage = usage();
        let requests = [usage.minute, usage.day, usage.total].map(|it| (it.requests, it.total_tokens));
        assert_eq!(requests, [minute, day, total].map(|count| (count, 7 * count)), "{wait}");
    }
}

async fn to_the_next(length: u64) {
    let over = Timestamp::now().as_unix_ms() % length;
    advance(Duration::from_millis(length - over)).await;
}
