//! The usage of a response in `Served`. A body that is only metered is delivered unchanged.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use support::{chat, chat_stream, key, openai, pool, rotating, send, text};
use tower::{BoxError, Layer, service_fn};
use tower_key_rotation::body::{ReplayBody, StreamError};
use tower_key_rotation::fallback::ProviderFallbackLayer;
use tower_key_rotation::{KeyRotationLayer, Served};

const TEXT: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n";

/// The end of a client's stream after its text and its usage: it breaks, or it just ends.
#[derive(Clone, Copy)]
struct Cut {
    breaks: bool,
    encoding: &'static str,
}

fn cut(of: Cut) -> Response<impl Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static> {
    let pieces = [TEXT, USAGE].map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes()))));
    let ends = of.breaks.then(|| Err(BoxError::from("reset by peer")));
    Response::builder()
        .header("content-type", "text/event-stream")
        .header("content-encoding", of.encoding)
        .body(StreamBody::new(stream::iter(pieces.into_iter().chain(ends))))
        .unwrap()
}

fn served<B>(response: &Response<B>) -> Served {
    support::served(response).clone()
}

#[tokio::test(start_paused = true)]
async fn usage_is_known_without_a_chain() {
    let sim = openai([key("a")]);
    let service = rotating(&pool(&["a"]), &sim);
    let response = send(&service, chat("m")).await.unwrap();
    let served = served(&response);
    assert_eq!(served.usage(), None);
    text(response).await;
    assert!(served.usage().is_some_and(|usage| usage.total_tokens > Some(0)));
}

#[tokio::test(start_paused = true)]
async fn usage_is_known_after_an_early_stop() {
    let client = service_fn(|_: http::Request<ReplayBody>| async {
        Ok::<_, BoxError>(cut(Cut { breaks: false, encoding: "identity" }))
    });
    let service = KeyRotationLayer::new(pool(&["a"])).layer(client);
    let mut response = send(&service, chat_stream("m")).await.unwrap();
    let served = served(&response);
    for _ in 0..2 {
        response.body_mut().frame().await.unwrap().unwrap();
    }
    assert_eq!(served.usage(), None);
    drop(response);
    assert_eq!(served.usage().unwrap().input_tokens, Some(7));
}

#[tokio::test(start_paused = true)]
async fn only_a_chain_checks_the_end() {
    for breaks in [false, true] {
        let client = service_fn(move |_: http::Request<ReplayBody>| async move {
            Ok::<_, BoxError>(cut(Cut { breaks, encoding: "identity" }))
        });
        let alone = KeyRotationLayer::new(pool(&["a"])).layer(client);
        let response = send(&alone, chat_stream("m")).await.unwrap();
        let metered = served(&response);
        let ended = response.into_body().collect().await;
        match ended {
            Ok(all) => assert_eq!((breaks, all.to_bytes()), (false, [TEXT, USAGE].concat().into())),
            Err(error) => assert_eq!((breaks, error.to_string().as_str()), (true, "reset by peer")),
        }
        assert_eq!(metered.usage().unwrap().output_tokens, Some(2));

        let chain = ProviderFallbackLayer::new("only").layer(alone);
        let response = send(&chain, chat_stream("m")).await.unwrap();
        let metered = served(&response);
        let error = response.into_body().collect().await.unwrap_err();
        assert!(matches!(
            (breaks, error.downcast_ref().unwrap()),
            (false, StreamError::Truncated) | (true, StreamError::Broken(_))
        ));
        assert_eq!(metered.usage().unwrap().output_tokens, Some(2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_checks_a_decoded_body() {
    let client = service_fn(|_: http::Request<ReplayBody>| async {
        Ok::<_, BoxError>(cut(Cut { breaks: false, encoding: "br" }))
    });
    let packed = KeyRotationLayer::new(pool(&["a"])).layer(client);
    // Stands for a layer that decompresses, whose body happens to be unchanged.
    let unpacked = tower::util::MapResponse::new(packed, |mut response: Response<_>| {
        response.headers_mut().remove("content-encoding");
        response
    });
    let chain = ProviderFallbackLayer::new("only").layer(unpacked);
    let response = send(&chain, chat_stream("m")).await.unwrap();
    let metered = served(&response);
    let error = response.into_body().collect().await.unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(StreamError::Truncated)));
    assert_eq!(metered.usage().unwrap().input_tokens, Some(7));
}
