//! Which model a request is for, wherever it says so.

use http::Method;
use http_body_util::StreamBody;
use tower::BoxError;

use crate::fallback::route::tests::*;

async fn streamed(frames: &[&'static str], cap: usize) -> ReplayBody {
    let frames = frames.iter().map(|frame| Ok::<_, BoxError>(http_body::Frame::data(Bytes::from(*frame))));
    ReplayBody::new(StreamBody::new(futures_util::stream::iter(frames.collect::<Vec<_>>())), cap).await
}

#[tokio::test]
async fn only_the_value_of_the_top_level_model_is_touched() {
    let route = Route::new().model("gpt-4o", "a \"b\"\\é").any_model("other");
    for (body, expected) in [
        (r#"{"model":"gpt-4o"}"#, r#"{"model":"a \"b\"\\é"}"#),
        (r#" { "model" : "gpt\u002d4o" , "n":1.0e0 } "#, r#" { "model" : "a \"b\"\\é" , "n":1.0e0 } "#),
        (r#"{"\u006dodel":"x"}"#, r#"{"\u006dodel":"other"}"#),
        (r#"{"a":{"model":"gpt-4o"},"model":"x"}"#, r#"{"a":{"model":"gpt-4o"},"model":"other"}"#),
        (r#"{"a":"\"model\":\"gpt-4o\"","b":["model"]}"#, r#"{"a":"\"model\":\"gpt-4o\"","b":["model"]}"#),
        (r#"{"model":"x","model":"y"}"#, r#"{"model":"other","model":"other"}"#),
        (r#"{"model":"gpt-4o","model":"y"}"#, r#"{"model":"other","model":"other"}"#),
        (r#"{"model":"y","model":"gpt-4o"}"#, r#"{"model":"a \"b\"\\é","model":"a \"b\"\\é"}"#),
        (r#"{"model":"a\nb"}"#, r#"{"model":"other"}"#),
        (r#"{"model":null,"model":"x"}"#, r#"{"model":null,"model":"other"}"#),
        (r#"{"model":7}"#, r#"{"model":7}"#),
        (r#"{"model":"x","broken"#, r#"{"model":"other","broken"#),
        (r#"[{"model":"x"}]"#, r#"[{"model":"x"}]"#),
        ("no JSON", "no JSON"),
    ] {
        let out = sent(&route, post(CHAT, body), None).await.unwrap();
        assert_eq!(out.body, expected, "{body}");
        assert_eq!(out.headers["content-length"], expected.len().to_string(), "{body}");
        assert_eq!(out.model.is_some(), body != expected, "the layers inside learn the name");
    }
}

#[tokio::test]
async fn what_the_caller_says_of_the_model_counts() {
    let route = Route::new().model("alias", "real");
    let body = r#"{"model":"anything"}"#;
    let out = sent(&route, post(CHAT, body), Some("alias")).await.unwrap();
    assert_eq!((out.body.as_ref(), out.model), (&br#"{"model":"real"}"#[..], Some("real".into())));
    assert_eq!(sent(&route, post(CHAT, body), Some("unmapped")).await.unwrap().body, body);
    for nowhere in ["", "no JSON", "{}"] {
        let out = sent(&route, post(CHAT, nowhere), Some("alias")).await;
        assert_eq!(out.err(), Some(Unroutable::NotFound), "a foreign name is not sent: {nowhere}");
    }
}

#[tokio::test]
async fn a_strict_route_takes_only_models_it_knows() {
    let route = Route::new().model("known", "known").strict();
    let body = |model: &str| post(CHAT, format!(r#"{{"model":"{model}"}}"#));
    assert!(sent(&route, body("known"), None).await.is_ok());
    assert!(sent(&route, body("known"), Some("known")).await.is_ok());
    assert_eq!(sent(&route, body("unknown"), None).await.err(), Some(Unroutable::NoModel));
    assert_eq!(sent(&route, body("known"), Some("unknown")).await.err(), Some(Unroutable::NoModel));
    let (no_name, long) = (r#"a\nb"#.to_owned(), "x".repeat(257));
    for name in [no_name, long] {
        assert_eq!(sent(&route, body(&name), None).await.err(), Some(Unroutable::NoModel), "{name}");
    }
    assert!(sent(&route, post(CHAT, ""), None).await.is_ok(), "it names no model");
    assert!(sent(&route.any_model("any"), body("unknown"), None).await.is_ok());
}

#[tokio::test]
async fn a_model_in_the_path() {
    let route = Route::new().model("my gpt", "new/é:1").any_model("@cf/b/c");
    for (from, expected) in [
        (
            "/v1beta/models/x:streamGenerateContent?alt=sse",
            "/v1beta/models/@cf%2Fb%2Fc:streamGenerateContent?alt=sse",
        ),
        (
            "https://a.example/openai/deployments/my%20gpt/chat",
            "https://a.example/openai/deployments/new%2F%C3%A9%3A1/chat",
        ),
        ("/model/anthropic.claude-v1%3A0/invoke", "/model/@cf%2Fb%2Fc/invoke"),
        ("/client/v4/accounts/a/ai/run/@cf/x/y", "/client/v4/accounts/a/ai/run/@cf/b/c"),
    ] {
        let body = Bytes::from_static(b"{\"model\":\"stays\"}");
        let out = sent(&route, post(from, body.clone()), None).await.unwrap();
        assert_eq!((out.uri.as_str(), out.body.as_ptr()), (expected, body.as_ptr()));
        assert!(out.model.is_some());
    }
    let lookup = Request::builder().method(Method::GET).uri("/v1/models/ft:gpt-4o:me");
    let lookup = lookup.body(ReplayBody::empty()).unwrap();
    assert_eq!(sent(&route, lookup, None).await.unwrap().uri, "/v1/models/ft:gpt-4o:me");
}

#[tokio::test]
async fn a_model_in_a_form_and_bodies_that_cannot_be_read() {
    let form = "--X\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nname=\"model\"\r\n\r\nno\r\n--X\r\n\
                Content-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--X--\r\n";
    let route = Route::new().model("whisper-1", "whisper-large-v3");
    let typed = |kind: &'static str, encoding: &'static str| {
        let mut request = post("/v1/audio/transcriptions", form);
        request.headers_mut().insert("content-type", HeaderValue::from_static(kind));
        request.headers_mut().insert("content-encoding", HeaderValue::from_static(encoding));
        request
    };
    let out = sent(&route, typed("Multipart/Form-Data; boundary=X", "identity"), None).await.unwrap();
    assert_eq!(out.body, form.replace("whisper-1", "whisper-large-v3"));
    assert_eq!(out.headers["content-length"], out.body.len().to_string());
    for (kind, encoding) in [("multipart/form-data", "gzip"), ("audio/wav", "identity")] {
        assert_eq!(sent(&route, typed(kind, encoding), None).await.unwrap().body, form);
        let named = sent(&route, typed(kind, encoding), Some("whisper-1")).await;
        assert_eq!(named.err(), Some(Unroutable::NotFound));
    }
}

#[tokio::test]
async fn streamed_bodies_are_rewritten_up_to_the_cap() {
    let frames = [r#"{"mess"#, r#"ages":[],"mod"#, r#"el":"a"}"#];
    let request = |body| Request::post(CHAT).header("content-md5", "x").body(body).unwrap();
    let body = streamed(&frames, 100).await;
    let route = Route::new().any_model("b");
    for _ in 0..2 {
        let out = sent(&route, request(body.clone()), None).await.unwrap();
        assert_eq!(out.body, r#"{"messages":[],"model":"b"}"#);
        assert!(!out.headers.contains_key("content-md5"), "true of the old bytes");
    }
    assert_eq!(sent(&Route::new(), request(body.clone()), None).await.unwrap().body, frames.concat());

    let long = streamed(&frames, 10).await;
    let out = sent(&route, request(long.clone()), Some("a")).await;
    assert_eq!(out.err(), Some(Unroutable::NotReplayable));
}
