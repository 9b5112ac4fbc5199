use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, StreamBody};
use proptest::prelude::*;
use tower::BoxError;

use super::*;

const CHAT: &str = "https://api.openai.com/v1/chat/completions?x=1";

struct Sent {
    uri: String,
    headers: HeaderMap,
    model: Option<ModelId>,
    body: Bytes,
}

async fn sent(route: &Route, request: Request<ReplayBody>, model: Option<&str>) -> Result<Sent, Unroutable> {
    let (mut parts, body) = request.into_parts();
    let model = model.map(ModelId::from);
    let body = if route.renames() { route.rename(&mut parts, &body, model.as_ref()).await? } else { body };
    route.direct(&mut parts)?;
    Ok(Sent {
        uri: parts.uri.to_string(),
        model: parts.extensions.get().cloned(),
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes(),
    })
}

fn post(uri: &str, body: impl Into<Bytes>) -> Request<ReplayBody> {
    let body: Bytes = body.into();
    Request::post(uri).header("content-length", body.len()).body(ReplayBody::from(body)).unwrap()
}

async fn streamed(frames: &[&'static str], cap: usize) -> ReplayBody {
    let frames = frames.iter().map(|frame| Ok::<_, BoxError>(http_body::Frame::data(Bytes::from(*frame))));
    ReplayBody::new(StreamBody::new(futures_util::stream::iter(frames.collect::<Vec<_>>())), cap).await
}

async fn url(route: &Route, from: &str) -> String {
    sent(route, post(from, ""), None).await.unwrap().uri
}

#[tokio::test]
async fn a_new_route_changes_nothing() {
    let mut request = post(CHAT, r#"{"model":"m"}"#);
    request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer own"));
    let pointer = request.body().clone().try_into_bytes().unwrap().as_ptr();
    let out = sent(&Route::new().from_prefix("/x"), request, Some("m")).await.unwrap();
    assert_eq!((out.uri.as_str(), out.body.as_ptr()), (CHAT, pointer), "shared, not copied");
    assert_eq!(out.headers["authorization"], "Bearer own");
}

#[tokio::test]
async fn the_prefix_gives_way_to_the_path_of_the_base() {
    let to = |base| Route::to(base).unwrap();
    for (route, from, expected) in [
        (to("https://a.example/v1"), CHAT, "https://a.example/v1/chat/completions?x=1"),
        (to("https://a.example/v1/"), "/v1/chat/completions", "https://a.example/v1/chat/completions"),
        (to("http://a.example:8080/api/openai/"), "/v1/models", "http://a.example:8080/api/openai/models"),
        (to("https://a.example"), "/v1/models", "https://a.example/models"),
        (to("https://a.example"), "/v1", "https://a.example/"),
        (to("https://a.example/v2"), "/v1", "https://a.example/v2"),
        (to("https://a.example/v2"), "/v1beta/models", "https://a.example/v2/v1beta/models"),
        (to("https://a.example/v2"), "http://b.example", "https://a.example/v2/"),
        (to("https://a.example/v2").from_prefix(""), "/v1/models", "https://a.example/v2/v1/models"),
        (
            to("https://a.example/v2").from_prefix("openai/v1/"),
            "/openai/v1/m?a=b&c",
            "https://a.example/v2/m?a=b&c",
        ),
        (Route::openai(), "/v1/embeddings", "https://api.openai.com/v1/embeddings"),
        (Route::anthropic_compatible(), CHAT, "https://api.anthropic.com/v1/chat/completions?x=1"),
        (
            Route::gemini_compatible(),
            "/v1/chat/completions",
            "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
        ),
    ] {
        assert_eq!(url(&route, from).await, expected, "{from}");
    }
}

#[test]
fn what_is_no_base_url_is_refused() {
    for text in [
        "/v1",
        "api.openai.com/v1",
        "ftp://a.example/",
        "https://user:password@a.example/v1",
        "https://a.example/v1?key=x",
        "https://a.example/v1#x",
        "https:///v1",
    ] {
        let error = Route::to(text).expect_err(text).to_string();
        assert!(!error.contains("password"), "{error}");
    }
}

#[tokio::test]
async fn what_belonged_to_the_other_place_stays_behind() {
    let mut request = post("https://a.example/v1/x?key=secret&alt=sse", "");
    for (name, value) in [
        ("host", "a.example"),
        ("authorization", "Bearer own"),
        ("x-api-key", "own"),
        ("openai-organization", "org"),
        ("user-agent", "sdk"),
    ] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let route = Route::to("https://b.example/v1")
        .unwrap()
        .drop_header(HeaderName::from_static("openai-organization"))
        .set_header(HeaderName::from_static("user-agent"), HeaderValue::from_static("chain"))
        .set_header(HeaderName::from_static("x-api-key"), HeaderValue::from_static("theirs"));
    let out = sent(&route, request, None).await.unwrap();
    assert_eq!(out.uri, "https://b.example/v1/x?alt=sse");
    assert!(!format!("{route:?}").contains("theirs"));
    let mut names: Vec<_> =
        out.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    names.sort_by_key(|(name, _)| *name);
    assert_eq!(names, [("content-length", &b"0"[..]), ("user-agent", b"chain"), ("x-api-key", b"theirs")]);
}

#[tokio::test]
async fn only_the_value_of_the_top_level_model_is_touched() {
    let route = Route::new().model("gpt-4o", "a \"b\"\\\u{1}é").any_model("other");
    for (body, expected) in [
        (r#"{"model":"gpt-4o"}"#, r#"{"model":"a \"b\"\\\u0001é"}"#),
        (r#" { "model" : "gpt\u002d4o" , "n":1.0e0 } "#, r#" { "model" : "a \"b\"\\\u0001é" , "n":1.0e0 } "#),
        (r#"{"\u006dodel":"x"}"#, r#"{"\u006dodel":"other"}"#),
        (r#"{"a":{"model":"gpt-4o"},"model":"x"}"#, r#"{"a":{"model":"gpt-4o"},"model":"other"}"#),
        (r#"{"a":"\"model\":\"gpt-4o\"","b":["model"]}"#, r#"{"a":"\"model\":\"gpt-4o\"","b":["model"]}"#),
        (r#"{"model":"x","model":"y"}"#, r#"{"model":"other","model":"other"}"#),
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

/// A document as text, with the blanks and escapes that a writer may choose.
fn document() -> impl Strategy<Value = String> {
    let blank = || "[ \n\t\r]{0,2}";
    let text = || r#""([a-z{}\[\]:, éλ]|\\"|\\\\|\\u00e9|model|\\"model\\":\\"m\\")*""#;
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        text(),
        Just(r#"{"model":"nested"}"#.to_owned()),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        let member = (blank(), text(), blank(), inner.clone()).prop_map(|(a, name, b, value)| {
            format!("{a}{}{b}:{a}{value}", if name == r#""model""# { "\"m\"".to_owned() } else { name })
        });
        prop_oneof![
            prop::collection::vec((blank(), inner), 0..4).prop_map(|items| list(
                '[',
                items.iter().map(|(a, item)| format!("{a}{item}{a}")),
                ']'
            )),
            prop::collection::vec(member, 0..4).prop_map(|members| list('{', members, '}')),
        ]
    })
}

fn list(open: char, items: impl IntoIterator<Item = String>, close: char) -> String {
    format!("{open}{}{close}", items.into_iter().collect::<Vec<_>>().join(","))
}

proptest! {
    #[test]
    fn every_other_byte_of_a_document_is_kept(
        before in prop::collection::vec(document(), 0..3),
        after in prop::collection::vec(document(), 0..3),
        blanks in "[ \n\t]{0,3}",
        escaped in any::<bool>(),
        old in r#"([a-z0-9./:-]|\\"|\\u00e9|\\\\|é){1,9}"#,
        new in "\\PC{1,9}|[\\x00-\\x1f\"\\\\]{1,3}",
        cut in any::<prop::sample::Index>(),
    ) {
        let members = |values: &[String]| values.iter().enumerate().fold(String::new(), |all, (index, value)| {
            format!("{all}{blanks}\"m{index}\":{value},")
        });
        let name = if escaped { r#""\u006d\u006Fdel""# } else { r#""model""# };
        let with = |value: &str| {
            let (before, after) = (members(&before), members(&after));
            format!("{blanks}{{{before}{name}{blanks}:{blanks}{value},{after}\"end\":0}}{blanks}")
        };
        let original = with(&format!("\"{old}\""));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&original).is_ok(), "{original}");
        let expected = with(&serde_json::to_string(&new).unwrap());

        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let out = runtime.block_on(async {
            let (head, tail) = original.as_bytes().split_at(cut.index(original.len()));
            let frames = [head, tail].map(|part| Ok::<_, BoxError>(http_body::Frame::data(Bytes::copy_from_slice(part))));
            let body = StreamBody::new(futures_util::stream::iter(frames));
            let request = Request::post(CHAT).body(ReplayBody::new(body, 1 << 20).await).unwrap();
            sent(&Route::new().any_model(new.as_str()), request, None).await.unwrap()
        });
        prop_assert_eq!(std::str::from_utf8(&out.body).unwrap(), expected);
    }
}
