//! From the frames of `application/vnd.amazon.eventstream` to server-sent events.
//!
//! A frame of type `event` holds one event of the Messages API, in base64 within JSON. A frame of type `exception` says
//! why the stream ends. Frames arrive in pieces and several at a time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;
use aws_smithy_types::str_bytes::StrBytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use pin_project_lite::pin_project;
use serde::Deserialize;
use serde_json::json;
use tower::BoxError;

/// The error of a body that is no valid stream of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum InvalidFrame {
    #[error("a frame of the event stream is larger than 16 MiB or shorter than its own head")]
    Length,
    #[error("a frame of the event stream is damaged")]
    Damaged,
    #[error("the event stream ends within a frame")]
    CutOff,
}

pin_project! {
    struct Frames<B> {
        #[pin]
        body: B,
        buffer: BytesMut,
        ended: bool,
    }
}

/// The payload of an event.
#[derive(Deserialize)]
struct Chunk {
    bytes: String,
}

/// The part of an event of the Messages API that names it.
#[derive(Deserialize)]
struct Named {
    r#type: String,
}

/// Media type of the frames.
pub(super) const MEDIA: &str = "application/vnd.amazon.eventstream";

/// Length of the shortest frame: its head and its checksum (16 bytes).
const SHORTEST: usize = 16;

/// Maximum length of a frame (16 MiB, the most that AWS's own encoders write).
const LONGEST: usize = 16 * 1024 * 1024;

/// Converts a body of frames into one of server-sent events.
pub(super) fn events<B>(body: B) -> UnsyncBoxBody<Bytes, BoxError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Frames { body, buffer: BytesMut::new(), ended: false }.boxed_unsync()
}

impl<B> Body for Frames<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        while !*this.ended {
            match next_event(this.buffer) {
                Ok(Some(event)) => return Poll::Ready(Some(Ok(Frame::data(event)))),
                Ok(None) => {}
                Err(error) => {
                    *this.ended = true;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
            match ready!(this.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    frame.into_data().into_iter().for_each(|data| this.buffer.extend_from_slice(&data));
                }
                Some(Err(error)) => {
                    *this.ended = true;
                    return Poll::Ready(Some(Err(error.into())));
                }
                None => {
                    *this.ended = true;
                    if !this.buffer.is_empty() {
                        return Poll::Ready(Some(Err(InvalidFrame::CutOff.into())));
                    }
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// Takes the next event out of the buffer. `None` if it has not arrived as a whole.
fn next_event(buffer: &mut BytesMut) -> Result<Option<Bytes>, InvalidFrame> {
    loop {
        let Some(length) = buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if !(SHORTEST..=LONGEST).contains(&length) {
            return Err(InvalidFrame::Length);
        }
        if buffer.len() < length {
            return Ok(None);
        }
        let frame = buffer.split_to(length).freeze();
        let message = read_message_from(frame).map_err(|_| InvalidFrame::Damaged)?;
        if let Some(event) = event_of(&message)? {
            return Ok(Some(event));
        }
    }
}

/// Returns the server-sent event of a frame. `None` for frames without one.
fn event_of(message: &Message) -> Result<Option<Bytes>, InvalidFrame> {
    let header = |name: &str| {
        let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
        header.value().as_string().ok().map(StrBytes::as_str)
    };
    match header(":message-type") {
        Some("exception") => {
            Ok(Some(error(header(":exception-type").unwrap_or_default(), message.payload())))
        }
        Some("error") => {
            let text = header(":error-message").unwrap_or_default();
            Ok(Some(error(
                header(":error-code").unwrap_or_default(),
                json!({"message": text}).to_string().as_bytes(),
            )))
        }
        Some("event") if header(":event-type") == Some("chunk") => {
            let chunk: Chunk =
                serde_json::from_slice(message.payload()).map_err(|_| InvalidFrame::Damaged)?;
            let data = STANDARD.decode(chunk.bytes).map_err(|_| InvalidFrame::Damaged)?;
            let named: Named = serde_json::from_slice(&data).map_err(|_| InvalidFrame::Damaged)?;
            Ok(Some(event(&named.r#type, &data)))
        }
        _ => Ok(None),
    }
}

/// Returns an event of the Messages API that reports an exception, with its name as the code.
fn error(exception: &str, payload: &[u8]) -> Bytes {
    let code = exception.get(..1).map_or_else(String::new, str::to_ascii_uppercase);
    let code = code + exception.get(1..).unwrap_or_default();
    let kind = match code.as_str() {
        "ThrottlingException" => "rate_limit_error",
        "ServiceUnavailableException" | "ModelNotReadyException" => "overloaded_error",
        "ValidationException" => "invalid_request_error",
        "ModelTimeoutException" => "timeout_error",
        _ => "api_error",
    };
    let payload: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
    let text = ["message", "Message", "originalMessage"].iter().find_map(|name| payload.get(name)?.as_str());
    let error =
        json!({"type": kind, "message": text.unwrap_or("the stream ended with an exception"), "code": code});
    event("error", json!({"type": "error", "error": error}).to_string().as_bytes())
}

/// Writes an event. JSON that came in several lines is written in as many.
fn event(name: &str, data: &[u8]) -> Bytes {
    let name: String = name.chars().filter(|char| !char.is_control()).collect();
    let mut out = BytesMut::with_capacity(name.len() + data.len() + 24);
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    for line in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(b"\ndata: ");
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b"\n\n");
    out.freeze()
}
