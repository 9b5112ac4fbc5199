//! Strict limits that are not declared, over real sockets and on the real clock.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/strict.rs"]
mod strict;
mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use strict::{Reported, Stated, Strict};
use support::secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tower::{Layer, ServiceExt};
use tower_key_rotation::{ApiKey, Deadline, KeyPool, KeyRotationLayer, Provider};

const KEYS: [&str; 3] = ["a", "b", "c"];
const PER_SECOND: u32 = 50;
const OFFERED: u32 = 120;
const SECONDS: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_limits_are_found_over_sockets() {
    for stated in [Stated::Truth, Stated::Nothing, Stated::Seconds] {
        check(stated, Reported::Nothing).await;
    }
    check(Stated::Nothing, Reported::PlentyAlways).await;
}

async fn check(stated: Stated, reported: Reported) {
    let upstream = Arc::new(Strict::new(PER_SECOND, stated, reported));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let accepting = tokio::spawn(accept(listener, Arc::clone(&upstream)));
    let served = offer(&origin).await;
    accepting.abort();
    let (all, (calls, refused)) = (OFFERED * SECONDS, upstream.calls());
    let wasted = refused as f64 / f64::from(all);
    let seen = format!("{stated:?} {reported:?}: {served} of {all} served, {refused} of {calls} refused");
    assert!(served * 100 >= all * 99 && wasted <= 0.3, "{seen}");
}

/// Returns how many requests were served.
async fn offer(origin: &str) -> u32 {
    let provider = Provider::openai().with_origin(origin.parse().unwrap());
    let keys = KEYS.map(|label| ApiKey::new(secret(label)).unwrap().id(label));
    let pool = KeyPool::builder(provider).keys(keys).build().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let service = KeyRotationLayer::new(pool).wait_for_key(true).layer(client);
    let (mut rng, mut running, began) = (Rng::with_seed(1), JoinSet::new(), Instant::now());
    for number in 0..OFFERED * SECONDS {
        let due = began + Duration::from_secs_f64(f64::from(number / OFFERED) + rng.f64());
        let (service, url) = (service.clone(), format!("{origin}/v1/chat/completions"));
        running.spawn(async move {
            sleep_until(due).await;
            let body = Full::from(r#"{"model":"m","messages":[]}"#);
            let mut request: Request<Full<Bytes>> = Request::post(url).body(body).unwrap();
            request.extensions_mut().insert(Deadline::at(due + PATIENCE));
            let Ok(response) = service.oneshot(request).await else { return 0 };
            let served = response.status().is_success();
            u32::from(response.into_body().collect().await.is_ok() && served)
        });
    }
    running.join_all().await.into_iter().sum()
}

// === the upstream ===

async fn accept(listener: TcpListener, upstream: Arc<Strict>) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(socket, Arc::clone(&upstream)));
    }
}

/// Serves one connection. Each response takes 20 to 60 ms.
async fn serve(mut socket: TcpStream, upstream: Arc<Strict>) {
    let mut received = Vec::new();
    while let Some(head) = read_request(&mut socket, &mut received).await {
        let key = head.lines().find(|line| line.starts_with("authorization:")).unwrap();
        let response = upstream.respond(key);
        sleep_until(Instant::now() + Duration::from_millis(fastrand::u64(20..60))).await;
        if socket.write_all(&on_the_wire(response).await).await.is_err() {
            return;
        }
    }
}

/// Returns the head of the next request, in lower case; `None` if the client has left.
async fn read_request(socket: &mut TcpStream, received: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let whole = end + 4 + length.map_or(0, |length| length.trim().parse().unwrap());
            if received.len() >= whole {
                received.drain(..whole);
                return Some(head);
            }
        }
        if socket.read_buf(received).await.ok()? == 0 {
            return None;
        }
    }
}

async fn on_the_wire(response: Response<Full<Bytes>>) -> Vec<u8> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut text = format!("HTTP/1.1 {}\r\ncontent-length: {}\r\n", parts.status, body.len());
    for (name, value) in &parts.headers {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    [text.as_bytes(), b"\r\n", &body].concat()
}
