//! Callers that send nothing, stop in the middle, or do not read.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use support::raw::{self, exchange, open, rest, status};
use support::{Gateway, chat, header, text};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, interval, timeout};

const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The preface of HTTP/2 and an empty SETTINGS frame.
const HTTP_2: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

const FIRST: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"brown\"}}]}\n\n";

/// A gateway to one provider.
async fn gateway(server: &str, upstream: SocketAddr) -> Gateway {
    let provider = format!(
        "[[provider]]\nname = \"any\"\ndialect = \"compatible\"\nbase_url = \"http://{upstream}/v1\"\n\
         [[provider.key]]\nid = \"a\"\nsecret = \"sk-1\"\n"
    );
    Gateway::at(&format!("[server]\n{server}\n{provider}")).await
}

async fn health(gateway: &Gateway) -> String {
    exchange(gateway.address, "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let (upstream, _seen) = support::echo().await;
    let gateway = gateway("head_timeout = \"200ms\"", upstream).await;
    let request = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let half = "POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-";
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n", PREFACE, HTTP_2, half, request] {
        let began = Instant::now();
        let got = rest(open(gateway.address, beginning).await).await;
        assert_eq!(got.contains("usable_keys"), beginning == request, "{beginning:?}: {got}");
        assert!(
            Instant::now().saturating_duration_since(began) >= Duration::from_millis(200),
            "{beginning:?}"
        );
    }
}

/// A provider that speaks HTTP/1.0, where the connection's end is the body's end.
#[tokio::test]
async fn a_truncated_stream_is_truncated_for_the_caller() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = gateway("", listener.local_addr().unwrap()).await;
    let provider = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await.unwrap();
        let head = "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        stream.write_all([head, FIRST].concat().as_bytes()).await.unwrap();
    };
    let body = r#"{"model":"m","stream":true}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (got, ()) = tokio::join!(exchange(gateway.address, &request), provider);
    assert!(got.starts_with("HTTP/1.1 200") && got.contains("brown"), "{got}");
    assert!(got.contains("transfer-encoding: chunked") && !got.ends_with("0\r\n\r\n"), "{got}");
}

/// A caller that speaks HTTP/1.0, as proxies may.
#[tokio::test]
async fn a_truncated_stream_resets_a_connection_of_http10() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    for (end, is_whole) in [("", false), ("data: [DONE]\n\n", true)] {
        let events = [FIRST, end].concat();
        let upstream = raw::upstream(format!("{head}{:x}\r\n{events}\r\n0\r\n\r\n", events.len()).leak());
        let gateway = gateway("", upstream.await).await;
        let request = "POST /v1/chat/completions HTTP/1.0\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}";
        let (mut stream, mut got) = (open(gateway.address, request).await, Vec::new());
        let ended = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut got).await;
        assert!(got.ends_with(events.as_bytes()), "the last event arrives");
        assert_eq!(ended.is_ok(), is_whole, "{ended:?}");
    }
}

/// Writes `text` repeatedly and slowly, until writing fails.
async fn drip(mut stream: TcpStream, text: &str) {
    let mut tick = interval(Duration::from_millis(20));
    let dripping = async {
        while stream.write_all(text.as_bytes()).await.is_ok() {
            tick.tick().await;
        }
    };
    timeout(Duration::from_secs(20), dripping).await.expect("the connection is closed");
}

#[tokio::test]
async fn a_dripping_head_or_body_times_out() {
    let (upstream, _seen) = support::echo().await;
    let gateway = gateway("head_timeout = \"200ms\"\nbody_timeout = \"200ms\"", upstream).await;
    drip(open(gateway.address, "GET /health HTTP/1.1\r\n").await, "x: y\r\n").await;
    let pings = "\0\0\x08\x06\0\0\0\0\0pingping";
    drip(open(gateway.address, HTTP_2).await, pings).await;
    for length in ["content-length: 100000", "content-length: 10000000"] {
        let head = format!("POST /v1/x HTTP/1.1\r\nhost: localhost\r\n{length}\r\n\r\n");
        drip(open(gateway.address, &head).await, " ").await;
    }
    let chunked = "POST /v1/x HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    drip(open(gateway.address, chunked).await, "1\r\n \r\n").await;
}

#[tokio::test]
async fn a_stalled_body_is_a_408() {
    let upstream = support::reader().await;
    let gateway = gateway("body_timeout = \"100ms\"", upstream).await;
    for head in ["content-length: 100", "content-length: 1000000", "transfer-encoding: chunked"] {
        // More requests in a row than open a breaker.
        for _ in 0..8 {
            let text = format!("POST /v1/x HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n5\r\n{{}}   \r\n");
            let response = exchange(gateway.address, &text).await;
            assert_eq!(status(&response), 408, "{head}: {response}");
            assert!(response.contains("request_timeout"), "{response}");
        }
    }
    assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
    let status = text(gateway.send(Request::get("/api/key-status").body(Body::empty()).unwrap()).await).await;
    assert!(status.contains("\"in_flight\":0") && status.contains("\"state\":\"available\""), "{status}");
}

#[tokio::test]
async fn idle_connections_make_room() {
    let (upstream, _seen) = support::echo().await;
    let gateway = gateway("max_connections = 200", upstream).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(open(gateway.address, "").await);
    }
    let served = async {
        for _ in 0..20 {
            assert_eq!(status(&health(&gateway).await), 200);
            assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
        }
    };
    timeout(Duration::from_secs(10), served).await.expect("callers are not kept out");
}

#[tokio::test]
async fn a_connection_in_use_makes_no_room() {
    let (upstream, _given_up) = support::endless(FIRST).await;
    let gateway = gateway("max_connections = 2", upstream).await;
    let request = "POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}";
    let first = open(gateway.address, request).await;
    let mut second = open(gateway.address, request).await;
    for stream in [&first, &second] {
        stream.readable().await.unwrap();
    }
    let mut waiting = Box::pin(health(&gateway));
    timeout(Duration::from_millis(300), &mut waiting).await.expect_err("there is no room");
    second.write_all(b" ").await.unwrap();
    drop(first);
    assert_eq!(status(&timeout(Duration::from_secs(10), waiting).await.unwrap()), 200);
    second.write_all(b" ").await.unwrap();
}

#[tokio::test]
async fn requests_above_the_maximum_are_refused() {
    let (upstream, _given_up) = support::endless(FIRST).await;
    let gateway = gateway("max_requests = 2", upstream).await;
    let running = [gateway.send(chat("")).await, gateway.send(chat("")).await];
    let refused = gateway.send(chat("")).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&refused, "retry-after"), "1");
    assert!(text(refused).await.contains("gateway_busy"));
    drop(running);
    let served = async {
        while gateway.send(chat("")).await.status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), served).await.expect("what has ended does not count");
}

#[tokio::test]
async fn a_caller_that_does_not_read_is_closed() {
    let (upstream, mut given_up) = raw::flood().await;
    let gateway = gateway("write_timeout = \"200ms\"", upstream).await;
    let request = "POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}";
    let _unread = open(gateway.address, request).await;
    timeout(Duration::from_secs(20), given_up.recv()).await.expect("the provider's stream is closed");
}

#[tokio::test]
async fn a_stream_of_http2_that_is_not_read_is_given_up() {
    let (upstream, mut given_up) = raw::flood().await;
    let gateway = gateway("write_timeout = \"200ms\"\nmax_requests = 1", upstream).await;
    // The caller takes no data of any stream: it has a window of zero.
    let settings = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
    let mut caller = open(gateway.address, settings).await;
    // `GET http://localhost/v1/x`, in HPACK.
    let head = b"\x82\x86\x41\x09localhost\x44\x05/v1/x";
    let frame = [&[0, 0, head.len() as u8, 1, 5, 0, 0, 0, 1][..], head].concat();
    caller.write_all(&frame).await.unwrap();
    timeout(Duration::from_secs(20), given_up.recv()).await.expect("the provider's stream is closed");
    assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK, "its place is free again");
}

#[tokio::test]
async fn a_stop_closes_idle_connections() {
    let (upstream, _seen) = support::echo().await;
    let gateway = gateway("", upstream).await;
    let mut idle = Vec::new();
    for beginning in ["", "PRI * HTTP/2.0\r\n", PREFACE, HTTP_2, "POST /v1/x HTTP/1.1\r\n"] {
        idle.push(open(gateway.address, beginning).await);
    }
    // Connections are accepted in order, so a later one shows that all of these were accepted.
    assert_eq!(status(&health(&gateway).await), 200);
    timeout(Duration::from_secs(10), gateway.stop()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_has_a_timeout() {
    let (upstream, _given_up) = support::endless(FIRST).await;
    let gateway = gateway("shutdown_timeout = \"200ms\"", upstream).await;
    let response = gateway.send(chat("")).await;
    let stopped = timeout(Duration::from_secs(10), gateway.stop()).await.unwrap();
    assert_eq!(stopped.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    drop(response);
}

#[tokio::test]
async fn a_refusal_reaches_a_sending_caller() {
    let limited = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n";
    let gateway = gateway("", raw::upstream(limited).await).await;
    let post = async |host: &str, body: &str| {
        let length = body.len();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        exchange(gateway.address, &(head + body)).await
    };
    let first = post("localhost", r#"{"model":"m"}"#).await;
    assert_eq!(status(&first), 429);
    let long = format!(r#"{{"model":"m","messages":["{}"]}}"#, "x".repeat(8 << 20));
    assert_eq!(status(&post("localhost", &long).await), 429, "no key is usable");
    assert_eq!(status(&post("elsewhere.example", &long).await), 403, "another host");
}

#[tokio::test]
async fn a_false_length_does_not_split_a_response() {
    let both = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\
                transfer-encoding: chunked\r\n\r\n9\r\n{\"a\":\"b\"}\r\n0\r\n\r\n";
    let gateway = gateway("", raw::upstream(both).await).await;
    let request =
        "POST /v1/x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    let response = exchange(gateway.address, request).await;
    assert_eq!(status(&response), 200, "{response}");
    assert!(response.contains("content-length: 9\r\n"), "{response}");
}

#[tokio::test]
async fn a_path_that_leaves_the_base_is_refused() {
    let (upstream, seen) = support::echo().await;
    let gateway = gateway("", upstream).await;
    for path in ["/v1/../admin", "/v1/%2e%2e/admin", "/v1/..%2fadmin", "/v1/..;/admin", "/any/../admin"] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        let response = exchange(gateway.address, &request).await;
        assert_eq!(status(&response), 400, "{path}: {response}");
    }
    assert!(seen.lock().unwrap().is_empty(), "nothing was sent");
}

/// A reset of a stream discards what is not written yet, and another task writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_data_of_a_broken_stream_arrive_over_http2() {
    let upstream = raw::upstream(concat!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        "3b\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one\"}}]}\n\n\r\n",
        "3c\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"last\"}}]}\n\n\r\n0\r\n\r\n",
    ));
    let gateway = gateway("[chain.breaker]\nenabled = false", upstream.await).await;
    for run in 0..100 {
        let mut caller = open(gateway.address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
        let head = b"\x82\x86\x41\x09localhost\x44\x05/v1/x";
        let frame = [&[0, 0, head.len() as u8, 1, 5, 0, 0, 0, 1][..], head].concat();
        caller.write_all(&frame).await.unwrap();
        let (mut got, mut piece) = (Vec::new(), [0; 4096]);
        while !has_reset(&got) {
            let read = tokio::io::AsyncReadExt::read(&mut caller, &mut piece);
            let read = timeout(Duration::from_secs(20), read).await.expect("the stream is reset").unwrap();
            assert!(read > 0, "{run}: {}", String::from_utf8_lossy(&got));
            got.extend_from_slice(&piece[..read]);
        }
        assert!(String::from_utf8_lossy(&got).contains("last"), "{run}: {}", String::from_utf8_lossy(&got));
    }
}

/// Returns whether frames of HTTP/2 have one of type 3 among them, RST_STREAM.
fn has_reset(mut frames: &[u8]) -> bool {
    while let [high, middle, low, kind, ..] = *frames {
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if kind == 3 {
            return true;
        }
        frames = frames.get(9 + length..).unwrap_or_default();
    }
    false
}
