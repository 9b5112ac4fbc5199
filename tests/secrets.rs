//! No key, and no part of one, in any output, not even at level TRACE.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use support::{
    Captured, MARKER, all_keys_failed, chat, chat_stream, key, openai, pool, pool_of, rotating, send, text,
};
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::cloud::{Cloud, CloudLayer};
use tower_key_rotation::fallback::{ProviderFallbackLayer, Route};
use tower_key_rotation::key::{ApiKey, EnvKeys, Secret};
use tower_key_rotation::provider::AuthScheme;
use tower_key_rotation::{Error, KeyPool, KeyRotationLayer, Provider, RespondLayer};
use tower_key_rotation_sim::{Refusal, Script, SimFault, Simulator};

#[tokio::test(start_paused = true)]
async fn no_trace_line_error_or_debug_output_shows_a_key() {
    let seen = Captured::default();
    let _guard = seen.install();
    let mut out = String::new();

    let faults = [
        SimFault::rate_limited(Duration::from_secs(5)),
        SimFault::Refuse(Refusal::InvalidKey),
        SimFault::Refuse(Refusal::OutOfCredit),
        SimFault::Refuse(Refusal::Deactivated),
        SimFault::Refuse(Refusal::RegionBlocked),
        SimFault::overloaded(),
        SimFault::Reset,
        SimFault::Refused,
        SimFault::overloaded_in_stream(),
        SimFault::Cut { after: 0, reset: true },
    ];
    for fault in faults {
        let sim = openai([key("a").script(Script::always(fault)), key("b")]);
        let pool = pool(&["a", "b"]);
        let service = rotating(&pool, &sim);
        write!(out, "{service:?} {pool:#?}").unwrap();
        for request in [chat("m"), chat_stream("m")] {
            match send(&service, request).await {
                Ok(response) => {
                    write!(out, "{:?} {response:?}", support::served(&response)).unwrap();
                    write!(out, "{:?}", response.into_body().collect().await).unwrap();
                }
                Err(error) => {
                    write!(out, "{error} {error:?} {:?}", error.source().map(ToString::to_string)).unwrap();
                    let response = error.into_response();
                    write!(out, "{:?}", response.headers()).unwrap();
                    out += &text(response).await;
                }
            }
        }
        out += &serde_json::to_string(&pool.snapshot()).unwrap();
        write!(out, "{:?} {:?}", pool.snapshot(), pool.acquire(None)).unwrap();
    }
    assert!(!out.contains(MARKER), "{out}");
    let lines = seen.text();
    for event in ["rotated", "cooled down", "invalid key"] {
        assert!(lines.contains(event), "{event} is said");
    }
    assert!(!lines.contains(MARKER), "{lines}");
}

#[tokio::test]
async fn no_trace_line_shows_what_signs_a_request() {
    let seen = Captured::default();
    let _guard = seen.install();
    let client = service_fn(|request: Request<ReplayBody>| async move {
        assert!(request.headers()["x-amz-security-token"].to_str().unwrap().contains(MARKER));
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::from("{}")))
    });
    let key = ApiKey::new(format!("AKIDEXAMPLE:secret-{MARKER}:token-{MARKER}")).unwrap().id("a");
    let base = "https://bedrock-runtime.us-east-1.amazonaws.com".parse().unwrap();
    let bedrock = KeyPool::builder(Provider::preset("bedrock").unwrap()).key(key.base_url(base));
    let cloud = CloudLayer::new(Cloud::bedrock("us-east-1")).layer(client);
    let service = KeyRotationLayer::new(bedrock.build().unwrap()).layer(cloud);
    let body = Full::<Bytes>::from(r#"{"model":"anthropic.claude-v1:0","messages":[]}"#);
    service.oneshot(Request::post("https://caller.example/v1/messages").body(body).unwrap()).await.unwrap();
    assert!(seen.text().contains("attempt") && !seen.text().contains(MARKER), "{}", seen.text());
}

#[tokio::test(start_paused = true)]
async fn an_echoed_key_is_overwritten() {
    let sim = Simulator::gemini()
        .key(key("a").script(Script::always(SimFault::Refuse(Refusal::Deactivated))))
        .build();
    let pool = pool_of(Provider::gemini(), &["a"]);
    let service = RespondLayer::new().layer(rotating(&pool, &sim));
    let request =
        Request::post(format!("{}/v1beta/models/gemini-2.5-flash:generateContent", support::ORIGIN))
            .body(Full::<Bytes>::from(r#"{"contents":[]}"#))
            .unwrap();
    let response = service.oneshot(request).await.unwrap();
    let length: Option<usize> =
        response.headers().get("content-length").map(|length| length.to_str().unwrap().parse().unwrap());
    let body = text(response).await;
    assert!(body.contains("suspended"), "{body}");
    assert!(!body.contains(MARKER), "{body}");
    if let Some(length) = length {
        assert_eq!(body.len(), length);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_error_with_the_key_is_withheld() {
    let client = service_fn(|request: Request<ReplayBody>| async move {
        let header = request.headers()["authorization"].to_str().unwrap().to_owned();
        Err::<Response<Full<Bytes>>, BoxError>(io::Error::other(format!("while sending {header}")).into())
    });
    let service = KeyRotationLayer::new(pool(&["a"])).layer(client);
    let failed = all_keys_failed(send(&service, chat("m")).await.unwrap_err());
    let source = failed.source().expect("there is a source");
    assert!(!format!("{source} {source:?} {failed:?}").contains(MARKER));
}

#[tokio::test(start_paused = true)]
async fn a_key_in_the_query_stays_out_of_errors() {
    let provider = Provider::builder("querying").auth(AuthScheme::Query("key".into())).build();
    let client = service_fn(|request: Request<ReplayBody>| async move {
        assert!(request.uri().query().unwrap().contains(MARKER));
        Err::<Response<Full<Bytes>>, BoxError>(format!("no route to {}", request.uri()).into())
    });
    let service = KeyRotationLayer::new(pool_of(provider, &["a"])).layer(client);
    let error = send(&service, chat("m")).await.unwrap_err();
    assert!(!format!("{error} {error:?} {:?}", error.source()).contains(MARKER));
}

#[tokio::test]
async fn no_public_type_shows_a_key() {
    let vars = [
        ("OPENAI_API_KEY", support::secret("one")),
        ("OPENAI_API_KEYS", format!("{},{}", support::secret("two"), support::secret("two"))),
        ("OPENAI_API_KEY_2", format!("{MARKER}\nx-injected: 1")),
    ];
    let found = EnvKeys::in_vars(&Provider::openai(), vars);
    let secret = Secret::new(support::secret("x")).unwrap();
    let api_key = ApiKey::new(support::secret("y")).unwrap().id("y").account("org");
    let duplicate = KeyPool::builder(Provider::openai()).key(api_key.clone()).key(api_key.clone());
    let builder = format!("{duplicate:?}");
    let build_error = duplicate.build().unwrap_err();
    let unnamed = KeyPool::builder(Provider::openai()).key(ApiKey::from(secret.clone())).build().unwrap();
    let lease = unnamed.acquire(None).unwrap();
    let out = format!(
        "{found} {found:?} {found:#?} {secret} {secret:?} {api_key:?} {api_key:#?} {builder} {build_error} \
         {build_error:?} {unnamed:?} {unnamed:#?} {lease:?} {:?} {:?}",
        ApiKey::new(format!("{MARKER} with a blank")).unwrap_err(),
        unnamed.snapshot(),
    );
    assert!(!out.contains(MARKER), "{out}");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_origin_gets_no_key() {
    let sim = openai([key("a")]);
    let service = rotating(&pool(&["a"]), &sim);
    for uri in
        ["https://evil.test/v1/chat/completions?token=tkrmarker", "/v1/chat/completions?token=tkrmarker"]
    {
        let request = Request::post(uri).body(Full::<Bytes>::default()).unwrap();
        let error = send(&service, request).await.unwrap_err();
        assert!(matches!(error, Error::ApplyKey(_)));
        let said = format!("{error} {error:?}");
        assert!(said.contains("allow_origin") || said.contains("absolute URI"), "{said}");
        assert!(!said.contains(MARKER), "{said}");
    }
    assert_eq!(sim.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn foreign_credentials_never_leave() {
    let sim = openai([key("a")]);
    let service = rotating(&pool(&["a"]), &sim);
    let (mut parts, body) = chat("m").into_parts();
    for name in ["authorization", "x-api-key", "api-key", "x-goog-api-key"] {
        parts.headers.append(name, "foreign".parse().unwrap());
        parts.headers.append(name, "foreign again".parse().unwrap());
    }
    parts.uri = format!("{}/v1/chat/completions?key=foreign&beta=true", support::ORIGIN).parse().unwrap();
    let response = send(&service, Request::from_parts(parts, body)).await.unwrap();
    assert!(response.status().is_success());
    assert!(sim.log().iter().all(|call| !call.foreign_credentials));
    drop(response.into_body().collect().await);
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_fails_shows_no_key() {
    let sims = [SimFault::Refuse(Refusal::Deactivated), SimFault::Reset, SimFault::overloaded()]
        .map(|fault| openai([key("a").script(Script::always(fault))]));
    let route =
        || Route::new().set_header("x-team".parse().unwrap(), support::secret("header").parse().unwrap());
    let layer = ProviderFallbackLayer::new("0")
        .fallback("1", rotating(&pool(&["a"]), &sims[1]), route())
        .fallback("2", rotating(&pool(&["a"]), &sims[2]), route());
    let mut out = format!("{layer:?} {:?}", route());
    let chain = layer.layer(rotating(&pool(&["a"]), &sims[0]));
    write!(out, "{chain:?}").unwrap();
    let error = send(&chain, chat("m")).await.unwrap_err();
    write!(out, "{error} {error:?} {error:#?} {:?}", error.source()).unwrap();
    let response = error.into_response();
    write!(out, "{:?}", response.headers()).unwrap();
    out += &text(response).await;
    assert!(!out.contains(MARKER), "{out}");
}

/// A client that returns the request it got.
fn telling()
-> impl tower::Service<Request<ReplayBody>, Response = Response<Full<Bytes>>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    service_fn(|request: Request<ReplayBody>| async move {
        let (parts, _) = request.into_parts();
        Ok::<_, BoxError>(Response::new(Full::from(format!("{} {:?}", parts.uri, parts.headers))))
    })
}

#[tokio::test(start_paused = true)]
async fn account_headers_of_callers_are_removed() {
    let service = KeyRotationLayer::new(pool(&["a"])).layer(telling());
    let (mut parts, body) = chat("m").into_parts();
    for name in [
        "openai-organization",
        "openai-project",
        "x-goog-user-project",
        "anthropic-workspace-id",
        "x-ms-tenant-id",
        "ocp-apim-subscription-key",
        "x-hf-bill-to",
        "cookie",
        "proxy-authorization",
        "x-amz-security-token",
    ] {
        parts.headers.append(name, "foreign".parse().unwrap());
        parts.headers.append(name, "foreign again".parse().unwrap());
    }
    let query =
        "access_token=foreign&api_key=foreign&API-Key=foreign&%6Bey=foreign&userProject=foreign&beta=true";
    parts.uri = format!("{}/v1/chat/completions?{query}", support::ORIGIN).parse().unwrap();
    let sent = text(send(&service, Request::from_parts(parts, body)).await.unwrap()).await;
    assert!(!sent.contains("foreign") && sent.contains("?beta=true"), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn an_operator_sets_account_headers() {
    let project: http::HeaderName = "openai-project".parse().unwrap();
    let own = || http::HeaderValue::from_static("own");
    let inside = tower::ServiceBuilder::new()
        .layer(KeyRotationLayer::new(pool(&["a"])))
        .layer(tower_http::set_header::SetRequestHeaderLayer::overriding(project.clone(), own()))
        .service(telling());
    let chain = ProviderFallbackLayer::new("0")
        .route(Route::new().set_header(project.clone(), own()))
        .layer(KeyRotationLayer::new(pool(&["a"])).layer(telling()));
    let request = || {
        let mut request = chat("m");
        request.headers_mut().insert(project.clone(), "foreign".parse().unwrap());
        request
    };
    for sent in [
        text(send(&inside, request()).await.unwrap()).await,
        text(send(&chain, request()).await.unwrap()).await,
    ] {
        assert!(sent.contains(r#""openai-project": "own""#) && !sent.contains("foreign"), "{sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_port_gets_no_key() {
    let service = KeyRotationLayer::new(pool(&["a"])).layer(telling());
    for authority in
        ["sim.test:99999", "sim.test:http", "sim.test:65536", "sim.test:", "sim.test:+80", "u@sim.test"]
    {
        let Ok(uri) = format!("http://{authority}/v1/x").parse::<http::Uri>() else { continue };
        let error =
            send(&service, Request::post(uri).body(Full::<Bytes>::default()).unwrap()).await.unwrap_err();
        assert!(matches!(error, Error::ApplyKey(_)), "{authority}: {error}");
    }
}
