//! Places in which a request names its model: however it is written there, limits of the model count it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::convert::Infallible;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use support::{ORIGIN, all_keys_failed, at_sim, send};
use tower::{Layer, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::limits::Quota;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, StopReason};

/// A pool in which the model `pricey` has one request a day.
fn limited(provider: Provider) -> KeyPool {
    let key = ApiKey::new("sk-a").unwrap().id("a");
    let quota = Quota::requests(1).per_day().for_models("pricey");
    KeyPool::builder(at_sim(provider)).key(key).quota(quota).build().unwrap()
}

fn openai() -> KeyPool {
    limited(Provider::openai())
}

/// Sends a request. Returns the reason if it is not served.
async fn ask(pool: &KeyPool, request: Request<Full<Bytes>>) -> Result<(), StopReason> {
    let client = service_fn(|request: Request<ReplayBody>| async {
        let _sent = request.into_body().collect().await;
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))))
    });
    let sent = send(&KeyRotationLayer::new(pool.clone()).layer(client), request).await;
    sent.map(drop).map_err(|error| all_keys_failed(error).stop_reason())
}

fn request(method: Method, path: &str, body: &'static [u8]) -> Request<Full<Bytes>> {
    let uri = format!("{ORIGIN}{path}");
    Request::builder().method(method).uri(uri).body(Full::new(Bytes::from_static(body))).unwrap()
}

fn post(path: &str, body: &'static [u8]) -> Request<Full<Bytes>> {
    request(Method::POST, path, body)
}

#[tokio::test(start_paused = true)]
async fn a_path_is_counted_however_it_is_written() {
    for path in
        ["/%6dodels/pricey", "//models//pricey", "/models/cheap/../pricey", "/models/cheap/%2E%2e/%70ricey"]
    {
        let pool = limited(Provider::gemini());
        let path = format!("/v1beta{path}:generateContent");
        assert_eq!(ask(&pool, post(&path, b"{}")).await, Ok(()), "{path}");
        assert_eq!(ask(&pool, post(&path, b"{}")).await, Err(StopReason::Exhausted), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_query_of_a_realtime_session_is_counted() {
    let (pool, offer) = (openai(), |query: &str| post(&format!("/v1/realtime?{query}"), b"v=0"));
    assert_eq!(ask(&pool, offer("model=pricey")).await, Ok(()));
    assert_eq!(ask(&pool, offer("model=pricey")).await, Err(StopReason::Exhausted));
    assert_eq!(ask(&pool, offer("model=cheap")).await, Ok(()));
    for query in ["model=cheap&model=pricey", "model=pricey%0a", "model="] {
        assert_eq!(ask(&pool, offer(query)).await, Err(StopReason::UnreadableModel), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_form_is_counted_as_servers_read_it() {
    let send_form = |pool: KeyPool, head: &'static str| async move {
        let body = format!("--B\r\n{head}\r\n\r\npricey\r\n--B--\r\n");
        let mut form = post("/v1/audio/transcriptions", b"");
        *form.body_mut() = Full::from(body);
        form.headers_mut().insert("content-type", "multipart/form-data; boundary=B".parse().unwrap());
        ask(&pool, form).await
    };
    for head in [
        "Content-Disposition: form-data;\r\n name=\"model\"",
        "Content-Disposition: form-data; filename=x;\r\n\tname=model",
        "content-disposition : form-data; name=\"model\"",
    ] {
        let pool = openai();
        assert_eq!(send_form(pool.clone(), head).await, Ok(()), "{head}");
        assert_eq!(send_form(pool, head).await, Err(StopReason::Exhausted), "{head}");
    }
    for coding in ["base64", "Quoted-Printable"] {
        let head =
            format!("Content-Disposition: form-data; name=model\r\nContent-Transfer-Encoding: {coding}");
        assert_eq!(send_form(openai(), head.leak()).await, Err(StopReason::UnreadableModel), "{coding}");
    }
}

/// Servers written in Go read members in any case.
#[tokio::test(start_paused = true)]
async fn a_member_in_other_letters_is_unreadable() {
    for body in [
        &br#"{"model":"cheap","Model":"pricey"}"#[..],
        br#"{"MODEL":"pricey","model":"cheap"}"#,
        br#"{"mod\u0045l":"pricey"}"#,
    ] {
        let sent = ask(&openai(), post("/v1/chat/completions", body)).await;
        assert_eq!(sent, Err(StopReason::UnreadableModel), "{}", String::from_utf8_lossy(body));
    }
    let nested = br#"{"model":"cheap","tools":[{"Model":"a"}],"text":"\"Model\""}"#;
    assert_eq!(ask(&openai(), post("/v1/chat/completions", nested)).await, Ok(()));
}

/// Files name no model, and pass beside limits of models.
#[tokio::test(start_paused = true)]
async fn a_file_is_uploaded_beside_limits_of_models() {
    let (pool, image) = (openai(), b"\x89PNG\r\n");
    for path in ["/upload/v1beta/files?upload_id=1", "/v1/uploads/upload_1/parts", "/v1/files"] {
        assert_eq!(ask(&pool, post(path, image)).await, Ok(()), "{path}");
    }
    for path in ["/v1/chat/completions", "/v1/files/../chat/completions", "/v1/files/%2e./chat/completions"] {
        assert_eq!(ask(&pool, post(path, image)).await, Err(StopReason::UnreadableModel), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_get_names_no_model() {
    let (pool, body) = (openai(), br#"{"model":"pricey"}"#);
    for _ in 0..3 {
        assert_eq!(ask(&pool, request(Method::GET, "/v1/models", body)).await, Ok(()));
    }
    assert_eq!(ask(&pool, post("/v1/chat/completions", body)).await, Ok(()), "nothing was counted");
}
