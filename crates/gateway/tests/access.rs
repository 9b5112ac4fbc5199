//! Requests that the gateway refuses, and headers that it removes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use support::raw::{self, exchange, status};
use support::{Gateway, MARKER};

/// A gateway to an upstream that accepts everything. `more` comes first in its configuration.
async fn gateway(more: &str) -> (Gateway, support::Seen) {
    let (upstream, seen) = support::echo().await;
    let key = format!("[[provider.key]]\nid = \"a\"\nsecret = \"{}\"", support::secret("a"));
    let provider = format!(
        "[[provider]]\nname = \"any\"\ndialect = \"compatible\"\nbase_url = \"http://{upstream}/v1\"\n{key}"
    );
    (Gateway::at(&format!("{more}\n{provider}")).await, seen)
}

fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\n{headers}content-length: 2\r\nconnection: close\r\n\r\n{{}}")
}

#[tokio::test]
async fn without_a_token_web_pages_are_refused() {
    let (gateway, seen) = gateway("[server]\nhosts = [\"gw.internal\"]").await;
    let at = gateway.address;
    for (headers, wanted) in [
        (format!("host: {at}\r\n"), 200),
        ("host: localhost\r\n".to_owned(), 200),
        ("host: gw.internal:80\r\n".to_owned(), 200),
        ("host: 127.0.0.1\r\norigin: http://localhost:3000\r\n".to_owned(), 200),
        ("".to_owned(), 200),
        ("host: rebind.evil.example\r\n".to_owned(), 403),
        (format!("host: rebind.evil.example:{}\r\n", at.port()), 403),
        ("host: 10.11.12.13\r\n".to_owned(), 403),
        ("host: localhost\r\norigin: https://evil.example\r\ncontent-type: text/plain\r\n".to_owned(), 403),
        ("host: localhost\r\norigin: null\r\n".to_owned(), 403),
        ("host: localhost\r\norigin: chrome-extension://abc\r\n".to_owned(), 403),
        ("host: localhost\r\norigin: http://localhost.evil.example\r\n".to_owned(), 403),
        ("host: localhost\r\nsec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors\r\n".to_owned(), 403),
    ] {
        for path in ["/v1/chat/completions", "/any/v1/things"] {
            let before = seen.lock().unwrap().len();
            let response = exchange(at, &request("POST", path, &headers)).await;
            assert_eq!(status(&response), wanted, "{path} {headers:?}: {response}");
            assert_eq!(seen.lock().unwrap().len() - before, usize::from(wanted == 200), "{headers:?}");
        }
        for path in ["/api/key-status", "/nowhere"] {
            let got = status(&exchange(at, &request("GET", path, &headers)).await);
            assert_eq!(got == 403, wanted == 403, "{path} {headers:?}: {got}");
        }
    }
    let open = exchange(at, &request("GET", "/health", "host: some.probe\r\n")).await;
    assert_eq!(status(&open), 200);
}

#[tokio::test]
async fn with_a_token_the_origin_is_not_checked() {
    let (gateway, seen) = gateway(&format!("token = \"gw-{MARKER}\"")).await;
    let headers =
        format!("host: gw.example\r\norigin: https://app.example\r\nauthorization: Bearer gw-{MARKER}\r\n");
    let response = exchange(gateway.address, &request("POST", "/v1/things", &headers)).await;
    assert_eq!(status(&response), 200, "{response}");
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn connect_and_trace_are_refused() {
    let (gateway, seen) = gateway("").await;
    for method in ["CONNECT", "TRACE", "TRACK"] {
        for path in ["/v1/x", "/any/v1/x", "/health", "localhost:443"] {
            let text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            let response = exchange(gateway.address, &text).await;
            assert!(matches!(status(&response), 400 | 405), "{method} {path}: {response}");
        }
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_switch_of_protocols_is_refused() {
    let upstream = raw::upstream(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nanything at all",
    )
    .await;
    let provider = format!(
        "[[provider]]\nname = \"any\"\ndialect = \"compatible\"\nbase_url = \"http://{upstream}/v1\"\n\
         [[provider.key]]\nsecret = \"sk-1\"\n"
    );
    let gateway = Gateway::at(&provider).await;
    for path in ["/v1/x", "/any/v1/x"] {
        let response = exchange(gateway.address, &request("POST", path, "host: localhost\r\n")).await;
        assert!(status(&response) >= 500, "{response}");
        assert!(!response.contains("anything"), "{response}");
    }
}

#[tokio::test]
async fn a_body_that_hides_a_limited_model_is_refused() {
    let limit = "[[provider.limit]]\nmodel = \"m*\"\nrequests_per_day = 5\n";
    for (limit, encoding, wanted) in
        [(limit, "gzip", 415), (limit, "identity", 200), ("", "gzip", 200), (limit, "Br", 415)]
    {
        let (upstream, seen) = support::echo().await;
        let gateway = Gateway::at(&format!(
            "[[provider]]\nname = \"any\"\ndialect = \"compatible\"\nbase_url = \"http://{upstream}/v1\"\n{limit}\
             [[provider.key]]\nsecret = \"sk-1\"\n"
        ))
        .await;
        for path in ["/v1/x", "/any/v1/x"] {
            let headers = format!("host: localhost\r\ncontent-encoding: {encoding}\r\n");
            let response = exchange(gateway.address, &request("POST", path, &headers)).await;
            assert_eq!(status(&response), wanted, "{encoding} {path}: {response}");
        }
        assert_eq!(seen.lock().unwrap().is_empty(), wanted == 415);
    }
}

#[tokio::test]
async fn browser_and_edge_headers_are_removed() {
    let (gateway, seen) = gateway(&format!("token = \"gw-{MARKER}\"")).await;
    let gone = ["origin", "referer", "cookie", "sec-fetch-site", "x-forwarded-for", "x-commit"];
    let headers: String = gone.iter().map(|name| format!("{name}: head\r\n")).collect();
    let headers = format!("host: localhost\r\nx-api-key: gw-{MARKER}\r\nx-kept: 1\r\n{headers}");
    let response = exchange(gateway.address, &request("POST", "/v1/things", &headers)).await;
    assert_eq!(status(&response), 200, "{response}");
    let (_, sent) = seen.lock().unwrap()[0].clone();
    assert!(sent.contains_key("x-kept"));
    assert!(gone.iter().all(|name| !sent.contains_key(*name)), "{sent:?}");
    for name in ["set-cookie", "alt-svc", "strict-transport-security", "openai-organization", "cf-ray"] {
        assert!(!response.contains(&format!("\r\n{name}: ")), "{response}");
    }
}

#[tokio::test]
async fn an_unknown_commit_is_refused() {
    let (gateway, seen) = gateway("").await;
    for (value, wanted) in
        [("complete", 200), ("first-content", 200), ("head", 200), ("never", 400), ("", 400)]
    {
        let headers = format!("host: localhost\r\nx-commit: {value}\r\n");
        let response = exchange(gateway.address, &request("POST", "/v1/things", &headers)).await;
        assert_eq!(status(&response), wanted, "{value}: {response}");
    }
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_request_chooses_its_commit() {
    const BEGINNING: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n";
    let (upstream, _given_up) = support::endless(BEGINNING).await;
    let gateway = Gateway::at(&format!(
        "[chain]\nfirst_content_timeout = \"200ms\"\nmax_attempts = 1\n[[provider]]\nname = \"any\"\n\
         dialect = \"compatible\"\nbase_url = \"http://{upstream}/v1\"\n[[provider.key]]\nsecret = \"sk-1\"\n"
    ))
    .await;
    // Either the chain commits to a stream without content at its head, or it abandons the stream.
    for (commit, served) in [("head", true), ("first-content", false), ("complete", false)] {
        let mut request = support::chat("");
        request.headers_mut().insert("x-commit", commit.parse().unwrap());
        assert_eq!(gateway.send(request).await.status().is_success(), served, "{commit}");
    }
}
