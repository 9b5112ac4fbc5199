//! A key that the provider echoes is removed, wherever it is and however it is written.

#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::convert::Infallible;
use std::future::ready;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use hyper::ext::ReasonPhrase;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use support::{Captured, MARKER, chat, pool, pool_of, secret, served};
use tokio::time::sleep;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::fallback::ProviderFallbackLayer;
use tower_key_rotation::provider::{AuthScheme, ProviderClassifier};
use tower_key_rotation::reqwest_client::ReqwestClient;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, RespondLayer};

/// Contains a character that JSON and URLs escape.
const LABEL: &str = "a/b";

type Frames = BoxStream<'static, Result<Frame<Bytes>, BoxError>>;
type Upstream = BoxCloneSyncService<Request<ReplayBody>, Response<StreamBody<Frames>>, BoxError>;

/// The parts of a response that a caller sees.
struct Seen {
    status: StatusCode,
    headers: HeaderMap,
    reason: Option<ReasonPhrase>,
    body: Bytes,
    trailers: Option<HeaderMap>,
    error: Option<String>,
}

impl Seen {
    fn assert_clean(&self, case: &str) {
        let Self { status: _, headers, reason, body, trailers, error } = self;
        let body = String::from_utf8_lossy(body);
        let all = format!("{headers:?} {reason:?} {body} {trailers:?} {error:?}");
        for form in forms() {
            assert!(!all.contains(&form), "{case}: {form} in {all}");
        }
        assert!(!all.contains(MARKER), "{case}: {all}");
    }
}

/// The ways in which a text may write the key.
fn forms() -> Vec<String> {
    let plain = secret(LABEL);
    let each = |write: fn(u8) -> String| plain.bytes().map(write).collect::<String>();
    vec![
        plain.replace('/', "%2F"),
        plain.replace('/', "%2f"),
        plain.replace('/', r"\/"),
        plain.replacen('s', r"\u0073", 1),
        plain.replace('/', r"\u002F"),
        each(|byte| format!("%{byte:02x}")),
        each(|byte| format!("%{byte:02X}")),
        each(|byte| format!("\\u{byte:04x}")),
        each(|byte| format!("&#{byte};")),
        each(|byte| format!("&#x{byte:X};")),
        plain,
    ]
}

fn upstream(
    answer: impl Fn(&Request<ReplayBody>) -> Response<Frames> + Clone + Send + Sync + 'static,
) -> Upstream {
    let answer = move |request: Request<ReplayBody>| ready(Ok(answer(&request).map(StreamBody::new)));
    BoxCloneSyncService::new(service_fn(answer))
}

fn whole(body: impl Into<Bytes>) -> Frames {
    pieces([body.into()])
}

fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> Frames {
    let frames: Vec<_> = pieces.into_iter().map(|piece| Ok(Frame::data(piece))).collect();
    stream::iter(frames).boxed()
}

fn bytewise(body: &str) -> Frames {
    pieces(body.as_bytes().chunks(1).map(Bytes::copy_from_slice))
}

/// Returns what callers of the plain layer and of a chain see of the same response.
async fn through_both(upstream: &Upstream) -> [(&'static str, Seen); 2] {
    let plain = KeyRotationLayer::new(pool(&[LABEL])).layer(upstream.clone());
    let chain =
        ProviderFallbackLayer::new("0").layer(KeyRotationLayer::new(pool(&[LABEL])).layer(upstream.clone()));
    let plain = see(RespondLayer::new().layer(plain).oneshot(chat("m"))).await;
    [("plain", plain), ("chain", see(RespondLayer::new().layer(chain).oneshot(chat("m"))).await)]
}

async fn see<B>(call: impl Future<Output = Result<Response<B>, Infallible>>) -> Seen
where
    B: Body<Data = Bytes, Error = BoxError>,
{
    let response = call.await.unwrap_or_else(|never| match never {});
    let (head, body) = response.into_parts();
    let mut body: Pin<Box<B>> = Box::pin(body);
    let reason = head.extensions.get().cloned();
    let mut seen = Seen {
        status: head.status,
        headers: head.headers,
        reason,
        body: Bytes::new(),
        trailers: None,
        error: None,
    };
    let mut data = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(piece)) => data.extend_from_slice(&piece),
            Ok(Err(frame)) => seen.trailers = frame.into_trailers().ok(),
            Err(error) => seen.error = Some(format!("{error} {error:?} {:?}", error.source())),
        }
    }
    seen.body = data.into();
    seen
}

#[tokio::test(start_paused = true)]
async fn no_head_of_a_response_shows_the_key() {
    for status in [200, 206, 302, 307, 400, 401, 403, 404, 429, 500, 503, 529] {
        for form in forms() {
            let echo = form.clone();
            let upstream = upstream(move |_| {
                let mut response = Response::builder().status(status);
                for name in ["x-request-id", "www-authenticate", "x-ratelimit-limit-requests", "set-cookie"] {
                    response = response.header(name, format!("Bearer {echo}; {echo}"));
                }
                let reason = ReasonPhrase::try_from(format!("No {echo}").into_bytes()).unwrap();
                response
                    .header("location", format!("https://h/?key={echo}&x=1"))
                    .header("x-kept", "kept")
                    .extension(reason)
                    .body(whole("{}"))
                    .unwrap()
            });
            for (layer, seen) in through_both(&upstream).await {
                seen.assert_clean(&format!("{layer} {status} {form}"));
                if seen.status == status && seen.headers.contains_key("location") {
                    assert_eq!(seen.headers["x-kept"], "kept");
                    let stars = "*".repeat(form.len());
                    assert_eq!(seen.headers["location"], format!("https://h/?key={stars}&x=1"));
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reason_phrase_without_the_key_stays() {
    let upstream = upstream(|_| {
        let reason = ReasonPhrase::from_static(b"All Is Well");
        Response::builder().extension(reason).body(whole("{}")).unwrap()
    });
    for (layer, seen) in through_both(&upstream).await {
        assert_eq!(seen.reason.unwrap().as_bytes(), b"All Is Well", "{layer}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_split_of_a_refusal_shows_the_key() {
    for status in [302, 400, 401, 403, 404, 429, 500] {
        for form in forms() {
            let text = format!(r#"{{"error":{{"message":"no {form} here, nor {form}"}}}}"#);
            for cut in [false, true] {
                let (text, length) = (text.clone(), text.len());
                let upstream = upstream(move |_| {
                    let body = if cut { bytewise(&text) } else { whole(text.clone()) };
                    Response::builder().status(status).header("content-length", length).body(body).unwrap()
                });
                for (layer, seen) in through_both(&upstream).await {
                    seen.assert_clean(&format!("{layer} {status} {form} {cut}"));
                    if seen.status == status && seen.body.starts_with(br#"{"error":{"message":"no *"#) {
                        assert_eq!(seen.body.len(), length);
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_error_with_status_200_shows_the_key() {
    for form in forms() {
        for text in [
            format!(r#"{{"error":{{"message":"no {form} here"}}}}"#),
            format!(r#"{{"type":"error","message":"no {form} here"}}"#),
            format!(
                r#"{{"id":"1","object":"chat.completion","choices":[],"error":{{"message":"no {form}"}}}}"#
            ),
        ] {
            for cut in [false, true] {
                let text = text.clone();
                let upstream = upstream(move |_| {
                    let body = if cut { bytewise(&text) } else { whole(text.clone()) };
                    Response::builder().header("content-type", "application/json").body(body).unwrap()
                });
                for (layer, seen) in through_both(&upstream).await {
                    seen.assert_clean(&format!("{layer} {cut} {form}"));
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_cut_in_an_error_with_status_200_shows_the_key() {
    let error = format!(r#""error":{{"message":"no {}"}}}}"#, secret(LABEL));
    for before in ["{", " \n {", "\u{feff}{", "[{", &format!(r#"{{"id":"{}","#, "x".repeat(100))] {
        let text = Bytes::from(format!("{before}{error}"));
        for at in 1..before.len() + 12 {
            let (first, second) = (text.slice(..at), text.slice(at..));
            let upstream = upstream(move |_| {
                let response = Response::builder().header("content-type", "application/json");
                response.body(pieces([first.clone(), second.clone()])).unwrap()
            });
            for (layer, seen) in through_both(&upstream).await {
                seen.assert_clean(&format!("{layer} {before} {at}"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_searched_to_its_end() {
    const CAP: usize = KeyRotationLayer::<ProviderClassifier>::ERROR_BODY;
    for form in forms() {
        for before in [CAP - form.len() - 1, CAP - form.len() + 1, CAP - 1, CAP, CAP + 1, 3 * CAP] {
            let text = format!("{}{form}{}", "x".repeat(before), "y".repeat(CAP));
            let length = text.len();
            for size in [97, CAP, usize::MAX] {
                let text = Bytes::from(text.clone());
                let upstream = upstream(move |_| {
                    let body =
                        pieces(text.chunks(size).map(|piece| text.slice_ref(piece)).collect::<Vec<_>>());
                    Response::builder().status(400).body(body).unwrap()
                });
                for (layer, seen) in through_both(&upstream).await {
                    seen.assert_clean(&format!("{layer} {form} {before} {size}"));
                    assert_eq!((seen.status.as_u16(), seen.body.len()), (400, length), "{layer} {form}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_key_is_removed() {
    let upstream = upstream(|_| {
        let late = stream::once(async {
            sleep(Duration::from_secs(30)).await;
            Ok(Frame::data(Bytes::from(secret(LABEL))))
        });
        Response::builder().status(400).body(whole("no ").chain(late).boxed()).unwrap()
    });
    for (layer, seen) in through_both(&upstream).await {
        seen.assert_clean(layer);
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_and_errors_of_a_body_do_not_show_the_key() {
    for status in [200, 400] {
        for form in forms() {
            let upstream = upstream(move |_| {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-message", HeaderValue::try_from(format!("no {form}")).unwrap());
                let error = io::Error::other(format!("while reading https://h/?key={form}"));
                let end = [Ok(Frame::trailers(trailers)), Err(error.into())];
                Response::builder().status(status).body(whole("no").chain(stream::iter(end)).boxed()).unwrap()
            });
            for (layer, seen) in through_both(&upstream).await {
                seen.assert_clean(&format!("{layer} {status}"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_body_shows_no_part_of_the_key() {
    let upstream = upstream(|_| {
        let key = secret(LABEL);
        Response::builder().status(400).body(whole(format!("no {}", &key[..key.len() - 1]))).unwrap()
    });
    for (layer, seen) in through_both(&upstream).await {
        seen.assert_clean(layer);
    }
}

const CONTENT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";

#[tokio::test(start_paused = true)]
async fn no_error_among_events_shows_the_key() {
    for form in forms() {
        let error =
            format!("event: error\ndata: {{\"error\":{{\"message\":\"no {form}\",\"code\":\"x\"}}}}\n\n");
        for text in [
            error.clone(),
            format!("{CONTENT}{error}"),
            format!("{CONTENT}: {form}\n\n{error}"),
            format!("{CONTENT}{CONTENT}{error}data: [DONE]\n\n"),
        ] {
            for cut in [false, true] {
                let (echoed, length) = (text.clone(), text.len());
                let upstream = upstream(move |_| {
                    let body = if cut { bytewise(&echoed) } else { whole(echoed.clone()) };
                    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
                });
                for (layer, seen) in through_both(&upstream).await {
                    seen.assert_clean(&format!("{layer} {cut} {text}"));
                    if layer == "plain" && seen.body.starts_with(CONTENT.as_bytes()) {
                        assert_eq!(seen.body.len(), length);
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_line_of_another_stream_shows_the_key() {
    for kind in ["application/x-ndjson", "application/stream+json; charset=utf-8", "application/jsonl"] {
        for form in forms() {
            let text = format!("{{\"response\":\"hi\"}}\n{{\"error\":\"no {form}\"}}\n");
            let upstream = upstream(move |_| {
                Response::builder().header("content-type", kind).body(bytewise(&text)).unwrap()
            });
            for (layer, seen) in through_both(&upstream).await {
                seen.assert_clean(&format!("{layer} {kind} {form}"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_without_the_key_is_not_held_up() {
    let (events, reader) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let reader = Arc::new(tokio::sync::Mutex::new(reader));
    let upstream = upstream(move |_| {
        let reader = Arc::clone(&reader);
        let frames = stream::poll_fn(move |cx| {
            let mut reader = reader.try_lock().expect("one reader");
            reader.poll_recv(cx).map(|data| data.map(|data| Ok(Frame::data(data))))
        });
        Response::builder().header("content-type", "text/event-stream").body(frames.boxed()).unwrap()
    });
    events.send(Bytes::from_static(CONTENT.as_bytes())).unwrap();
    let service = KeyRotationLayer::new(pool(&[LABEL])).layer(upstream);
    let mut body = service.oneshot(chat("m")).await.unwrap().into_body();
    for _ in 0..3 {
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), CONTENT);
        events.send(Bytes::from_static(CONTENT.as_bytes())).unwrap();
    }
}

/// A compressed text with a comment in its header (RFC 1952, section 2.3.1).
fn gzip_with_comment(text: &[u8], comment: &str) -> Bytes {
    let header = [&[0x1f, 0x8b, 8, 16, 0, 0, 0, 0, 0, 3][..], comment.as_bytes(), &[0]].concat();
    [&header[..], &gzip(text)[10..]].concat().into()
}

fn gzip(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap().into()
}

#[tokio::test(start_paused = true)]
async fn a_compressed_refusal_does_not_show_the_key() {
    let text = format!(r#"{{"error":{{"message":"no {}"}}}}"#, secret(LABEL));
    let long = format!("{}{}", text, (0..200_000).map(|n| n.to_string()).collect::<String>());
    for (encoding, body, decodable) in [
        ("gzip", gzip(text.as_bytes()), true),
        ("gzip, gzip", gzip(&gzip(text.as_bytes())), true),
        ("identity, identity", text.clone().into(), true),
        ("x", text.clone().into(), false),
        ("br", text.clone().into(), false),
        ("gzip", gzip(long.as_bytes()), false),
        ("gzip", gzip_with_comment(br#"{"error":{"message":"no ****"}}"#, &secret(LABEL)), true),
    ] {
        let echo = body.clone();
        let upstream = upstream(move |_| {
            let response = Response::builder().status(400).header("content-encoding", encoding);
            response.header("content-length", echo.len()).body(whole(echo.clone())).unwrap()
        });
        for (layer, seen) in through_both(&upstream).await {
            seen.assert_clean(&format!("{layer} {encoding}"));
            assert_eq!(seen.status, 400);
            let shown = String::from_utf8(seen.body.to_vec()).unwrap();
            assert_eq!(shown.contains("\"no ****"), decodable, "{layer} {encoding}: {shown}");
            assert_eq!(seen.headers["content-length"], seen.body.len().to_string());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_compressed_refusal_without_the_key_is_unchanged() {
    let body = gzip(br#"{"error":{"message":"max_tokens is too large"}}"#);
    let echo = body.clone();
    let upstream = upstream(move |_| {
        let response = Response::builder().status(400).header("content-encoding", "gzip");
        response.body(whole(echo.clone())).unwrap()
    });
    for (layer, seen) in through_both(&upstream).await {
        assert_eq!(
            (seen.headers["content-encoding"].as_bytes(), &seen.body),
            (&b"gzip"[..], &body),
            "{layer}"
        );
    }
}

/// Gemini reports in a body what other providers report by their status.
#[tokio::test(start_paused = true)]
async fn a_revoked_key_in_a_compressed_body_is_rotated() {
    let refusal = br#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT",
        "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#;
    let upstream = upstream(move |request| {
        let good = request.headers()["x-goog-api-key"].to_str().unwrap().ends_with("good");
        if good {
            return Response::new(whole("{}"));
        }
        let response = Response::builder().status(400).header("content-encoding", "gzip");
        response.body(whole(gzip(refusal))).unwrap()
    });
    let service = KeyRotationLayer::new(pool_of(Provider::gemini(), &["bad", "good"])).layer(upstream);
    let response = service.oneshot(chat("m")).await.unwrap();
    assert_eq!((response.status().as_u16(), served(&response).key_id().as_str()), (200, "good"));
}

#[tokio::test(start_paused = true)]
async fn compression_is_not_requested_by_default() {
    let upstream = upstream(|request| {
        let asked = request.headers().get("accept-encoding").cloned();
        Response::builder()
            .header("x-asked", asked.unwrap_or(HeaderValue::from_static("no")))
            .body(whole(""))
            .unwrap()
    });
    let request = || {
        let mut request = chat("m");
        request.headers_mut().insert("accept-encoding", HeaderValue::from_static("gzip"));
        request
    };
    let layer = KeyRotationLayer::new(pool(&["a"]));
    let asked = layer.clone().layer(upstream.clone()).oneshot(request()).await.unwrap();
    let kept = layer.keep_accept_encoding(true).layer(upstream).oneshot(request()).await.unwrap();
    assert_eq!(
        (&asked.headers()["x-asked"], &kept.headers()["x-asked"]),
        (&"no".parse().unwrap(), &"gzip".parse().unwrap())
    );
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_refusal_warns_once_per_pool() {
    let seen = Captured::default();
    let _guard = seen.install();
    let upstream = upstream(|_| {
        let response = Response::builder().header("content-type", "text/event-stream");
        response.header("content-encoding", "gzip").body(whole(gzip(CONTENT.as_bytes()))).unwrap()
    });
    let service = KeyRotationLayer::new(pool(&["a"])).layer(upstream);
    for _ in 0..3 {
        service.clone().oneshot(chat("m")).await.unwrap();
    }
    assert_eq!(seen.text().matches("is compressed and can't be judged").count(), 1, "{}", seen.text());
}

#[tokio::test(start_paused = true)]
async fn no_part_of_the_key_in_a_request_id_is_logged() {
    let key = secret("0123456789abcdef");
    let pool = KeyPool::builder(support::at_sim(Provider::openai()));
    let pool = pool.key(ApiKey::new(&*key).unwrap().id("a")).build().unwrap();
    for part in
        [&key[3..], &key[..key.len() - 4], &key[key.len() - 8..], &key.to_uppercase(), "%73k-%74krmarker"]
    {
        let seen = Captured::default();
        let _guard = seen.install();
        let id = format!("req_{part}");
        let upstream =
            upstream(move |_| Response::builder().header("x-request-id", &id).body(whole("{}")).unwrap());
        let service = KeyRotationLayer::new(pool.clone()).layer(upstream);
        service.oneshot(chat("m")).await.unwrap();
        let lines = seen.text();
        assert!(lines.contains("attempt") && !lines.contains(part), "{part}: {lines}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_removed_from_a_redirect() {
    let provider = Provider::builder("querying").auth(AuthScheme::Query("key".into())).build();
    let upstream = upstream(|request| {
        let response = Response::builder().status(307).header("location", request.uri().to_string());
        response.body(whole(request.uri().to_string())).unwrap()
    });
    let service = KeyRotationLayer::new(pool_of(provider, &[LABEL])).layer(upstream);
    let seen = see(RespondLayer::new().layer(service).oneshot(chat("m"))).await;
    assert_eq!(seen.status, 307);
    seen.assert_clean("redirect");
}

/// Over a socket, because hyper keeps reason phrases outside the headers.
#[tokio::test]
async fn a_reason_phrase_on_the_wire_does_not_show_the_key() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let head =
                format!("HTTP/1.1 400 no {0}\r\nx-echo: {0}\r\ncontent-length: 2\r\n\r\n{{}}", secret(LABEL));
            let _ = socket.write_all(head.as_bytes()).await;
        }
    });
    let provider = Provider::openai().with_origin(format!("http://{address}").parse().unwrap());
    let key = ApiKey::new(secret(LABEL)).unwrap().id("a");
    let pool = KeyPool::builder(provider).key(key).build().unwrap();
    let hyper: Client<HttpConnector, ReplayBody> = Client::builder(TokioExecutor::new()).build_http();
    let reqwest = ReqwestClient::new(reqwest::Client::builder()).unwrap();
    let layer = KeyRotationLayer::new(pool);
    let request = || {
        let uri = format!("http://{address}/v1/models");
        Request::get(uri).body(http_body_util::Full::<Bytes>::default()).unwrap()
    };
    let hyper = see(RespondLayer::new().layer(layer.clone().layer(hyper)).oneshot(request())).await;
    let reqwest = see(RespondLayer::new().layer(layer.layer(reqwest)).oneshot(request())).await;
    for seen in [hyper, reqwest] {
        assert_eq!(seen.status, 400);
        seen.assert_clean("on the wire");
    }
}
