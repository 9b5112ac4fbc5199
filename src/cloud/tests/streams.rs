//! Bedrock's frames as server-sent events.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body::Frame;
use http_body_util::StreamBody;

use super::*;
use crate::Served;
use crate::cloud::frames::events;

const BASE: &str = "https://bedrock-runtime.us-east-1.amazonaws.com";
pub(super) const BODY: &str = r#"{"model":"m","messages":[],"stream":true}"#;

pub(super) fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let header = |(name, value): &(&str, &str)| {
        Header::new(name.to_string(), HeaderValue::String(value.to_string().into()))
    };
    let message = Message::new_from_parts(headers.iter().map(header).collect(), payload.to_owned());
    let mut out = Vec::new();
    write_message_to(&message, &mut out).unwrap();
    out
}

pub(super) fn chunk(event: &str) -> Vec<u8> {
    let payload = format!(r#"{{"bytes":"{}","p":"abc"}}"#, STANDARD.encode(event));
    let headers =
        [(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")];
    frame(&headers, &payload)
}

pub(super) fn exception(name: &str, message: &str) -> Vec<u8> {
    frame(
        &[(":exception-type", name), (":message-type", "exception")],
        &format!(r#"{{"message":"{message}"}}"#),
    )
}

pub(super) fn stream(frames: &[Vec<u8>]) -> Response<Full<Bytes>> {
    let mut response = reply(200, "");
    *response.body_mut() = Full::from(frames.concat());
    let kind = "application/vnd.amazon.eventstream".parse().unwrap();
    response.headers_mut().insert("content-type", kind);
    response
}

pub(super) const EVENTS: [&str; 5] = [
    r#"{"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":3,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"h\u00e9 \"a\""}}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#,
    r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}"#,
];

pub(super) fn as_events() -> String {
    let name = |data: &str| {
        serde_json::from_str::<serde_json::Value>(data).unwrap()["type"].as_str().unwrap().to_owned()
    };
    EVENTS.iter().map(|data| format!("event: {}\ndata: {data}\n\n", name(data))).collect()
}

fn two_keys(client: Client) -> Rotating {
    let keys = vec![key("token-1", BASE).id("one"), key("token-2", BASE).id("two")];
    rotating(Cloud::bedrock("us-east-1"), "bedrock", keys, client).0
}

async fn converted(pieces: Vec<Vec<u8>>) -> Result<String, String> {
    let frames = pieces.into_iter().map(|piece| Ok::<_, BoxError>(Frame::data(Bytes::from(piece))));
    let body = events(StreamBody::new(futures_util::stream::iter(frames)));
    let all = body.collect().await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8(all.to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn frames_become_events_however_they_are_cut() {
    let all: Vec<u8> = EVENTS.iter().flat_map(|event| chunk(event)).collect();
    for size in [1, 7, 100, all.len()] {
        let pieces = all.chunks(size).map(<[u8]>::to_vec).collect();
        assert_eq!(converted(pieces).await.unwrap(), as_events(), "pieces of {size}");
    }
    // Frames without an event, and events in several lines.
    let other = frame(&[(":message-type", "event"), (":event-type", "initial-response")], "{}");
    let lines = chunk("{\"type\":\n\"ping\"}");
    assert_eq!(
        converted(vec![other, lines]).await.unwrap(),
        "event: ping\ndata: {\"type\":\ndata: \"ping\"}\n\n"
    );
    assert_eq!(converted(vec![]).await.unwrap(), "");
}

#[tokio::test]
async fn damaged_frames_are_errors() {
    let good = chunk(EVENTS[0]);
    let mut flipped = good.clone();
    flipped[40] ^= 1;
    let mut huge = good.clone();
    huge[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    let headers = [(":event-type", "chunk"), (":message-type", "event")];
    for (bytes, expected) in [
        (flipped, "damaged"),
        (huge, "larger than 16 MiB"),
        (vec![0, 0, 0, 3, 0], "shorter"),
        (good[..good.len() - 1].to_vec(), "ends within a frame"),
        (frame(&headers, "{}"), "damaged"),
        (frame(&headers, r#"{"bytes":"!"}"#), "damaged"),
        (chunk("[]"), "damaged"),
    ] {
        let error = converted(vec![bytes]).await.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_stream_is_what_the_caller_of_messages_expects() {
    let (client, _) = upstream(|_| {
        let mut response = stream(&EVENTS.map(chunk));
        let kind = "Application/vnd.amazon.EventStream; v=1".parse().unwrap();
        response.headers_mut().insert("content-type", kind);
        response
    });
    let (head, body) = send(&two_keys(client), post("/v1/messages", BODY)).await.unwrap();
    assert_eq!(head.headers["content-type"], "text/event-stream");
    assert!(!head.headers.contains_key("content-length"));
    assert_eq!(body, as_events());
}

#[tokio::test]
async fn an_exception_before_content_rotates() {
    for (name, message) in [
        ("throttlingException", "Too many requests, please wait before trying again."),
        ("serviceUnavailableException", "Bedrock is unable to process your request."),
        ("modelNotReadyException", "The model is not ready."),
    ] {
        let (client, log) = upstream(move |seen| match seen.header("authorization") {
            "Bearer token-1" => stream(&[chunk(EVENTS[0]), exception(name, message)]),
            _ => stream(&EVENTS.map(chunk)),
        });
        let (head, body) = send(&two_keys(client), post("/v1/messages", BODY)).await.unwrap();
        assert_eq!(log.take().len(), 2, "{name}");
        assert_eq!(head.extensions.get::<Served>().unwrap().key_id().as_str(), "two", "{name}");
        assert_eq!(body, as_events());
    }
}

#[tokio::test]
async fn a_model_that_took_too_long_may_have_run() {
    let (client, log) =
        upstream(|_| stream(&[exception("modelTimeoutException", "The request took too long to process.")]));
    let error = send(&two_keys(client), post("/v1/messages", BODY)).await.unwrap_err();
    let crate::Error::AllKeysFailed(failed) = error else { panic!("{error}") };
    assert!(failed.may_have_run());
    assert_eq!(log.take().len(), 1);
}

#[tokio::test]
async fn a_later_exception_reaches_the_caller_as_an_event() {
    let (client, _) = upstream(|_| {
        let mut frames = EVENTS[..3].iter().map(|event| chunk(event)).collect::<Vec<_>>();
        frames.push(exception("modelStreamErrorException", "cut"));
        stream(&frames)
    });
    let (_, body) = send(&two_keys(client), post("/v1/messages", BODY)).await.unwrap();
    let error: serde_json::Value =
        serde_json::from_str(body.trim_end().rsplit("data: ").next().unwrap()).unwrap();
    assert!(body.contains("\n\nevent: error\ndata: "), "{body}");
    assert_eq!(error["error"]["type"], "api_error");
    assert_eq!(error["error"]["code"], "ModelStreamErrorException");
    assert_eq!(error["error"]["message"], "cut");
}

#[tokio::test]
async fn the_stream_of_a_path_of_the_cloud_passes_unchanged() {
    let frames = [
        frame(&[(":event-type", "messageStart"), (":message-type", "event")], r#"{"role":"assistant"}"#),
        frame(&[(":event-type", "messageStop"), (":message-type", "event")], r#"{"stopReason":"end_turn"}"#),
    ];
    let sent = stream(&frames).into_body().collect().await.unwrap().to_bytes();
    for path in ["/model/m/converse-stream", "/model/meta.llama3/invoke-with-response-stream"] {
        let frames = frames.clone();
        let (client, _) = upstream(move |_| stream(&frames));
        let (head, body) = two_keys(client).oneshot(post(path, "{}")).await.unwrap().into_parts();
        assert_eq!(head.headers["content-type"], "application/vnd.amazon.eventstream", "{path}");
        assert_eq!(body.collect().await.unwrap().to_bytes(), sent, "{path}");
    }
}
