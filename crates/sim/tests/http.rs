//! The simulated provider over HTTP, with a real client.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use tower_key_rotation_sim::{SimFault, SimServer, Simulator};

type HttpClient = Client<HttpConnector, Full<Bytes>>;

const WHOLE: &str = r#"{"model":"m"}"#;
const STREAM: &str = r#"{"model":"m","stream":true}"#;

/// Time to wait where no response is expected.
const PATIENCE: Duration = Duration::from_millis(200);

#[tokio::test]
async fn only_streams_have_no_length() {
    for client in [http1(), http2()] {
        let (sim, server) = provider().await;
        let whole = send(&client, &server, WHOLE).await.unwrap();
        assert_eq!(whole.status(), 200);
        assert!(whole.headers().contains_key("content-length"));
        assert!(text(whole).await.unwrap().contains("The quick brown fox"));

        let stream = send(&client, &server, STREAM).await.unwrap();
        assert!(!stream.headers().contains_key("content-length"));
        assert!(text(stream).await.unwrap().ends_with("data: [DONE]\n\n"));

        sim.fail(1, SimFault::Huge(StatusCode::BAD_GATEWAY, 10_000_000));
        let huge = send(&client, &server, STREAM).await.unwrap();
        assert_eq!(text(huge).await.unwrap().len(), 10_000_000);
        assert_eq!(sim.calls(), 3);
        assert!(sim.log().iter().all(|call| call.body_complete && !call.foreign_credentials));
        drop(client);
        server.shutdown().await;
    }
}

#[tokio::test]
async fn a_reset_is_an_error_of_the_client() {
    for client in [http1(), http2()] {
        let (sim, server) = provider().await;
        sim.fail(1, SimFault::Reset);
        assert!(send(&client, &server, WHOLE).await.is_err());
        assert_eq!(sim.calls(), 1);
        assert_eq!(send(&client, &server, WHOLE).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn silence_lasts_until_the_caller_gives_up() {
    for client in [http1(), http2()] {
        let (sim, server) = provider().await;
        sim.fail(1, SimFault::Silent);
        assert!(tokio::time::timeout(PATIENCE, send(&client, &server, WHOLE)).await.is_err());
        assert_eq!(sim.tally().unanswered, 1);
        assert_eq!(send(&client, &server, WHOLE).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn truncated_responses_end_cleanly_or_break() {
    for client in [http1(), http2()] {
        let (sim, server) = provider().await;
        sim.fail(1, SimFault::Cut { after: 3, reset: false });
        let cut = text(send(&client, &server, STREAM).await.unwrap()).await.unwrap();
        assert!(cut.contains("brown") && !cut.contains("fox"));

        sim.fail(1, SimFault::Cut { after: 3, reset: true });
        let broken = send(&client, &server, STREAM).await.unwrap();
        assert_eq!(broken.status(), 200);
        assert!(text(broken).await.is_err());

        sim.fail(1, SimFault::Cut { after: 0, reset: false });
        let short = send(&client, &server, WHOLE).await.unwrap();
        assert!(text(short).await.is_err());

        sim.fail(1, SimFault::Stall { after: 3 });
        let stalled = send(&client, &server, STREAM).await.unwrap();
        assert!(tokio::time::timeout(PATIENCE, text(stalled)).await.is_err());
    }
}

#[tokio::test]
async fn a_stopped_server_accepts_no_connection() {
    let (_, server) = provider().await;
    let (client, uri) = (http1(), server.uri("/v1/models"));
    assert_eq!(server.origin(), format!("http://{}", server.addr()));
    server.shutdown().await;
    assert!(client.get(uri).await.unwrap_err().is_connect());
}

async fn provider() -> (Simulator, SimServer) {
    let sim = Simulator::openai().key(("a", "sk-a")).build();
    let server = sim.serve().await.unwrap();
    (sim, server)
}

fn http1() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

fn http2() -> HttpClient {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

async fn send(client: &HttpClient, server: &SimServer, body: &str) -> Result<Response<Incoming>, Error> {
    let post = Request::post(server.uri("/v1/chat/completions")).header("authorization", "Bearer sk-a");
    client.request(post.body(body.to_owned().into()).unwrap()).await
}

async fn text(response: Response<Incoming>) -> Result<String, hyper::Error> {
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}
