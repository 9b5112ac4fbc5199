//! WebSockets through the gateway: handshakes that rotate, and tunnels.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/sockets.rs"]
mod sockets;
mod support;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use self::sockets::{Sockets, ask, close_code, connect, ended, told};
use self::support::stub::{Stub, providers};
use self::support::{Captured, Gateway, MARKER, header};

const REALTIME: &str = "/v1/realtime?model=gpt-realtime";

/// A gateway in front of these keys of providers; `more` comes first in its configuration.
async fn gateway(sockets: &Sockets, more: &str, tables: &[(&str, &[&str])]) -> Gateway {
    let text = format!("{more}\n{}", providers(sockets.address, tables));
    Gateway::at(&text.replace("-0123456789", &format!("-{MARKER}-0123456789"))).await
}

#[tokio::test]
async fn a_refused_handshake_rotates() {
    let sockets = Sockets::start().await;
    let keys = ["limited-1", "invalid-1", "echo-1"];
    let gateway = gateway(&sockets, "", &[("openai", &keys)]).await;
    let protocols = "realtime, openai-insecure-api-key.sk-foreign, openai-beta.realtime-v1";
    let headers = [("sec-websocket-protocol", protocols), ("cookie", "a=b"), ("openai-beta", "realtime=v1")];
    let (mut client, response) = connect(gateway.address, REALTIME, &headers).await.unwrap();
    assert_eq!((header(&response, "x-served-by"), header(&response, "x-attempts")), ("openai/k2", "3"));
    assert_eq!(header(&response, "sec-websocket-protocol"), "realtime");
    assert_eq!(ask(&mut client, "hello").await, "hello");

    let handshakes = sockets.handshakes();
    let keys: Vec<_> = handshakes.iter().map(|(key, _, _)| key.split('-').next().unwrap()).collect();
    assert_eq!(keys, ["limited", "invalid", "echo"]);
    for (_, path, headers) in &handshakes {
        assert_eq!(path, REALTIME);
        assert_eq!(headers["sec-websocket-protocol"], "realtime, openai-beta.realtime-v1");
        assert_eq!(
            (&headers["connection"], &headers["upgrade"]),
            (&"Upgrade".parse().unwrap(), &"websocket".parse().unwrap())
        );
        assert!(headers.contains_key("openai-beta") && !headers.contains_key("cookie"), "{headers:?}");
    }
    client.close(None).await.unwrap();
    assert_eq!(ended(&mut client).await, 0);
    gateway.stop().await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_all_refuse_gets_the_refusal() {
    let sockets = Sockets::start().await;
    let limited = gateway(&sockets, "", &[("openai", &["limited-1", "limited-2"])]).await;
    let refusal = connect(limited.address, "/v1/responses", &[]).await.unwrap_err();
    assert_eq!((refusal.status().as_u16(), header(&refusal, "retry-after")), (429, "20"));

    let invalid = gateway(&sockets, "", &[("openai", &["invalid-1", "broke-1"])]).await;
    let refusal = connect(invalid.address, "/v1/responses", &[]).await.unwrap_err();
    assert!(refusal.status().is_client_error(), "{refusal:?}");
    assert!(!told(&refusal).contains(MARKER), "{}", told(&refusal));
}

#[tokio::test]
async fn the_next_link_with_websockets_serves() {
    let sockets = Sockets::start().await;
    let links: [(&str, &[&str]); 3] =
        [("openai", &["limited-1"]), ("anthropic", &["echo-1"]), ("xai", &["echo-2"])];
    let text = providers(sockets.address, &links) + "[provider.models]\n\"gpt-realtime\" = \"grok-voice\"\n";
    let chain = Gateway::at(&text).await;
    let (mut client, response) = connect(chain.address, REALTIME, &[]).await.unwrap();
    assert_eq!(header(&response, "x-served-by"), "xai/k0");
    assert_eq!(ask(&mut client, "hi").await, "hi");
    let (_, path, _) = sockets.handshakes().pop().unwrap();
    assert_eq!(path, "/v1/realtime?model=grok-voice", "the link has its own name for the model");

    // Only OpenAI has Responses over a WebSocket.
    let refusal = connect(chain.address, "/v1/responses", &[]).await.unwrap_err();
    assert_eq!(refusal.status(), 429);
}

#[tokio::test]
async fn no_websocket_is_a_426_in_the_dialect_of_the_path() {
    let sockets = Sockets::start().await;
    let gateway = gateway(&sockets, "", &[("anthropic", &["echo-1"])]).await;
    let live = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
    for (path, shape) in [
        ("/v1/responses", r#""type":"gateway_error""#),
        ("/anthropic/v1/messages", r#""type":"invalid_request_error""#),
        (live, r#""status":"#),
    ] {
        let refusal = connect(gateway.address, path, &[]).await.unwrap_err();
        assert_eq!((refusal.status().as_u16(), header(&refusal, "x-should-retry")), (426, "false"), "{path}");
        assert!(told(&refusal).contains(shape), "{path}: {}", told(&refusal));
    }
    assert!(sockets.handshakes().is_empty());
}

#[tokio::test]
async fn gemini_live_gets_a_key_of_ours() {
    let sockets = Sockets::start().await;
    let gateway =
        gateway(&sockets, "token = \"own-token-of-the-gateway\"", &[("gemini", &["limited-1", "echo-1"])])
            .await;
    let live = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
    for start in ["", "/gemini"] {
        let path = format!("{start}{live}?key=own-token-of-the-gateway&alt=ws");
        let (mut client, _) = connect(gateway.address, &path, &[]).await.unwrap();
        assert_eq!(ask(&mut client, "{}").await, "{}");
        let (key, path, _) = sockets.handshakes().pop().unwrap();
        assert_eq!((key.split('-').next(), path), (Some("echo"), format!("{live}?alt=ws")));
    }
}

#[tokio::test]
async fn a_key_that_is_refused_after_the_handshake_is_left_out() {
    let sockets = Sockets::start().await;
    let gateway = gateway(&sockets, "", &[("gemini", &["spent-1", "echo-1"])]).await;
    let live = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
    let (mut client, _) = connect(gateway.address, live, &[]).await.unwrap();
    client.send(Message::text("{}")).await.unwrap();
    assert_eq!(close_code(&mut client).await, Some(1011), "the caller reads the reason");
    ended(&mut client).await;
    for _ in 0..3 {
        let (mut client, response) = connect(gateway.address, live, &[]).await.unwrap();
        assert_eq!(header(&response, "x-served-by"), "gemini/k1");
        assert_eq!(ask(&mut client, "{}").await, "{}");
    }
}

#[tokio::test]
async fn a_close_frame_does_not_show_the_key() {
    let sockets = Sockets::start().await;
    let gateway = gateway(&sockets, "", &[("openai", &["shows-1"])]).await;
    let (mut client, _) = connect(gateway.address, REALTIME, &[]).await.unwrap();
    let Some(Ok(Message::Close(Some(close)))) = client.next().await else { panic!("a close frame") };
    assert!(close.reason.starts_with("invalid key ****") && close.code == CloseCode::Policy, "{close}");
    assert!(!close.reason.contains("0123456789"), "{close}");
}

#[tokio::test]
async fn no_invalid_close_frame_and_nothing_behind_one_is_passed_on() {
    let key = b"echo-0123456789";
    let close = |header: &[u8]| [header, &[0x03, 0xf0], key].concat();
    for header in [&[0x88, 126, 0, 17][..], &[0x88, 0x91, 0, 0, 0, 0], &[0x88, 0, 0x81, 17], &[0x08, 15]] {
        let frames = close(header);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = format!(
            "[[provider]]\nname = \"openai\"\nbase_url = \"http://{}/v1\"\n[[provider.key]]\nid = \"a\"\nsecret = \"{}\"\n",
            listener.local_addr().unwrap(),
            String::from_utf8_lossy(key)
        );
        let gateway = Gateway::at(&provider).await;
        let provider = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await.unwrap();
            let head = "HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
            let response = [head.as_bytes(), &frames].concat();
            tokio::io::AsyncWriteExt::write_all(&mut stream, &response).await.unwrap();
        };
        let request = "GET /v1/realtime?model=m HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
                       upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let (mut stream, ()) = tokio::join!(support::raw::open(gateway.address, request), provider);
        let mut got = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut got).await.unwrap();
        let got = String::from_utf8_lossy(&got);
        assert!(got.starts_with("HTTP/1.1 101") && !got.contains("01234567"), "{got}");
    }
}

#[tokio::test]
async fn the_access_line_of_a_refused_handshake_names_the_provider() {
    let log = Captured::default();
    let _captured = log.install();
    let stub = Stub::start().await;
    let gateway = Gateway::at(&stub.providers(&[("openai", &["fine-1"])])).await;
    let refusal = connect(gateway.address, REALTIME, &[]).await.unwrap_err();
    assert_eq!(refusal.status(), 426);
    gateway.stop().await.unwrap();
    let text = log.text();
    let line = text.lines().find(|line| line.contains("gateway::access")).expect("a line");
    assert!(line.contains("provider=\"openai\"") && line.contains("attempts=1"), "{line}");
}

#[tokio::test]
async fn a_running_tunnel_holds_its_place() {
    let sockets = Sockets::start().await;
    let table = providers(sockets.address, &[("openai", &["echo-1"])]);
    let gateway = Gateway::at(&format!("{table}concurrent = 1\n")).await;
    let (mut first, _) = connect(gateway.address, REALTIME, &[]).await.unwrap();
    assert_eq!(ask(&mut first, "1").await, "1");
    for _ in 0..2 {
        assert_eq!(connect(gateway.address, REALTIME, &[]).await.unwrap_err().status(), 429);
    }
    assert_eq!(ask(&mut first, "2").await, "2");
    // The caller vanishes without a close frame.
    drop(first);
    let (mut second, _) = reconnect(&gateway).await;
    assert_eq!(ask(&mut second, "3").await, "3");
}

/// Connects as soon as there is a place.
async fn reconnect(gateway: &Gateway) -> (sockets::Client, http::Response<()>) {
    for _ in 0..200 {
        match connect(gateway.address, REALTIME, &[]).await {
            Ok(opened) => return opened,
            Err(_limited) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    panic!("the place is not freed");
}

#[tokio::test]
async fn tunnels_take_turns_at_the_keys() {
    let sockets = Sockets::start().await;
    let gateway = gateway(&sockets, "", &[("openai", &["echo-1", "echo-2", "echo-3"])]).await;
    let mut open = Vec::new();
    for _ in 0..6 {
        open.push(connect(gateway.address, REALTIME, &[]).await.unwrap());
    }
    let mut by: Vec<_> = open.iter().map(|(_, response)| header(response, "x-served-by")).collect();
    by.sort_unstable();
    assert_eq!(by, ["openai/k0", "openai/k0", "openai/k1", "openai/k1", "openai/k2", "openai/k2"]);
}

#[tokio::test]
async fn large_messages_pass_unchanged() {
    let sockets = Sockets::start().await;
    let gateway = gateway(&sockets, "", &[("openai", &["echo-1"])]).await;
    let (mut client, _) = connect(gateway.address, REALTIME, &[]).await.unwrap();
    let large: Vec<u8> = (0..16 << 20).map(|at: u32| (at % 251) as u8).collect();
    let sent = large.clone();
    let (mut write, mut read) = futures_util::StreamExt::split(&mut client);
    let sending = async { write.send(Message::binary(sent)).await.unwrap() };
    let reading = async { futures_util::StreamExt::next(&mut read).await.unwrap().unwrap() };
    let ((), back) = tokio::join!(sending, reading);
    assert!(back.into_data() == large);
}

#[tokio::test]
async fn a_tunnel_that_the_provider_cuts_ends() {
    let sockets = Sockets::start().await;
    let gateway = gateway(&sockets, "", &[("openai", &["cut-1"])]).await;
    let (mut client, _) = connect(gateway.address, REALTIME, &[]).await.unwrap();
    client.send(Message::text("hi")).await.unwrap();
    assert_eq!(close_code(&mut client).await, Some(1011));
    drop(client);
    gateway.stop().await.unwrap();
}

#[tokio::test]
async fn a_side_that_does_not_read_ends_the_tunnel() {
    let sockets = Sockets::start().await;
    let more = "[server]\nwrite_timeout = \"300ms\"";
    for (key, floods) in [("deaf-1", true), ("flood-1", false)] {
        let gateway = gateway(&sockets, more, &[("openai", &[key])]).await;
        let (mut client, _) = connect(gateway.address, REALTIME, &[]).await.unwrap();
        if floods {
            let piece = Message::binary(vec![0; 1 << 20]);
            while client.send(piece.clone()).await.is_ok() {}
        } else {
            // The flood stops within the buffers, and the tunnel ends.
            tokio::time::sleep(Duration::from_millis(900)).await;
            ended(&mut client).await;
        }
        gateway.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_silent_tunnel_ends() {
    let sockets = Sockets::start().await;
    let more = "[server]\nwebsocket_idle_timeout = \"200ms\"";
    let gateway = gateway(&sockets, more, &[("openai", &["echo-1"])]).await;
    let (mut client, _) = connect(gateway.address, REALTIME, &[]).await.unwrap();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(80)).await;
        assert_eq!(ask(&mut client, "still here").await, "still here");
    }
    assert_eq!(close_code(&mut client).await, Some(1001));
    gateway.stop().await.unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_tunnels_within_its_limit() {
    let sockets = Sockets::start().await;
    let more = "[server]\nshutdown_timeout = \"800ms\"";
    let gateway = gateway(&sockets, more, &[("openai", &["echo-1"])]).await;
    let (mut client, _) = connect(gateway.address, REALTIME, &[]).await.unwrap();
    assert_eq!(ask(&mut client, "hi").await, "hi");
    let began = tokio::time::Instant::now();
    let (stopped, code) = tokio::join!(gateway.stop(), close_code(&mut client));
    stopped.unwrap();
    assert_eq!(code, Some(1001));
    let took = tokio::time::Instant::now().saturating_duration_since(began);
    assert!(took >= Duration::from_millis(400), "the tunnel may end by itself first");
}

#[tokio::test]
async fn a_foreign_page_opens_no_websocket() {
    let sockets = Sockets::start().await;
    let foreign = [("origin", "https://evil.example")];
    let open = gateway(&sockets, "", &[("openai", &["echo-1"])]).await;
    assert_eq!(connect(open.address, REALTIME, &foreign).await.unwrap_err().status(), 403);
    connect(open.address, REALTIME, &[("origin", "http://localhost:3000")]).await.unwrap();

    let closed = gateway(&sockets, "token = \"own-token-of-the-gateway\"", &[("openai", &["echo-1"])]).await;
    assert_eq!(connect(closed.address, REALTIME, &[]).await.unwrap_err().status(), 401);
    let token = "realtime, openai-insecure-api-key.own-token-of-the-gateway";
    let headers = [foreign[0], ("sec-websocket-protocol", token)];
    connect(closed.address, REALTIME, &headers).await.unwrap();
    let (_, _, headers) = sockets.handshakes().pop().unwrap();
    assert!(!format!("{headers:?}").contains("own-token") && !headers.contains_key("origin"), "{headers:?}");
}

#[tokio::test]
async fn the_access_line_of_a_tunnel_has_its_bytes_and_no_secret() {
    let log = Captured::default();
    let _captured = log.install();
    let sockets = Sockets::start().await;
    let gateway = gateway(&sockets, "", &[("openai", &["limited-1", "echo-1"])]).await;
    let headers = [("sec-websocket-protocol", "realtime, openai-insecure-api-key.foreign-tkrmarker")];
    let (mut client, response) = connect(gateway.address, REALTIME, &headers).await.unwrap();
    assert_eq!(ask(&mut client, "hello").await, "hello");
    client.close(None).await.unwrap();
    ended(&mut client).await;
    gateway.stop().await.unwrap();
    let text = log.text();
    let line = text.lines().find(|line| line.contains("gateway::access")).expect("a line");
    for part in ["status=101", "openai", "k1", "attempts=2", "bytes_up=", "bytes_down=", "duration_ms="] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let own: Vec<_> =
        text.lines().filter(|line| line.contains(MARKER) && !line.contains("tungstenite")).collect();
    assert!(own.is_empty() && !format!("{response:?}").contains(MARKER), "{own:#?}");
}
