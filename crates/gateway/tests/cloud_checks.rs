//! Checks of the keys of clouds: by an operator, on a schedule, and by `check --live`. Over sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use serde_json::{Value, json};
use support::stub::{Stub, StubCall, reply};
use support::{Gateway, MARKER, config, secret, text};
use tower_key_rotation::check::CheckResult;
use tower_key_rotation_gateway::check_keys;

const SIGNING: &str = "AKIDEXAMPLE:tkrmarker/secret+access:tkrmarkersession/token=";
const MODELS: [(&str, &str); 5] = [
    ("vertex", "/v1/projects/my-project/locations/us-east5/models?pageSize=1"),
    ("bedrock", "/foundation-models"),
    ("mantle", "/v1/models"),
    ("azure", "/openai/v1/models"),
    ("azure-old", "/openai/models?api-version=2024-10-21"),
];

/// All clouds behind one address.
fn clouds(stub: &Stub, more: &str) -> String {
    let at = stub.address;
    let table = |name: &str, cloud: &str, fields: &str, secret: &str| {
        format!(
            "[[provider]]\nname = \"{name}\"\ncloud = \"{cloud}\"\nbase_url = \"http://{at}\"\n{fields}\n\
             [[provider.key]]\nid = \"{name}\"\nsecret = \"{secret}\"\n"
        )
    };
    [
        more.to_owned(),
        table("vertex", "vertex", "project = \"my-project\"\nlocation = \"us-east5\"", &secret("v")),
        table("bedrock", "bedrock", "region = \"eu-central-1\"", SIGNING),
        table("mantle", "bedrock-mantle", "region = \"eu-central-1\"", &secret("m")),
        table("azure", "azure", "", &secret("z")),
        table("azure-old", "azure", "api_version = \"2024-10-21\"", &secret("y")),
    ]
    .join("\n")
}

/// Lists the models of each cloud.
fn lists(call: &StubCall) -> Response<Body> {
    match MODELS.iter().any(|(_, path)| call.method == "GET" && call.path == *path) {
        true => reply(200, &json!({"data": []})),
        false => reply(404, &json!({"message": "no such operation"})),
    }
}

fn assert_has_key(name: &str, call: &StubCall) {
    let header = |name: &str| call.headers.get(name).map_or("", |value| value.to_str().unwrap());
    let bearer = header("authorization");
    match name {
        "vertex" => assert_eq!(bearer, format!("Bearer {}", secret("v"))),
        "bedrock" => {
            assert!(bearer.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{bearer}");
            assert!(bearer.contains("/eu-central-1/bedrock/aws4_request"), "{bearer}");
            assert_eq!(header("x-amz-security-token"), "tkrmarkersession/token=");
            assert!(!format!("{call:?}").contains("secret+access"), "the secret is never sent");
        }
        "mantle" => assert_eq!(bearer, format!("Bearer {}", secret("m"))),
        name => {
            let own = secret(if name == "azure" { "z" } else { "y" });
            assert_eq!((header("api-key"), bearer), (own.as_str(), ""));
        }
    }
}

#[tokio::test]
async fn an_operator_checks_the_keys_of_clouds() {
    let stub = Stub::with(lists).await;
    let gateway = Gateway::at(&clouds(&stub, "[status]\noperator_token = \"operator-token\"")).await;
    for (name, path) in MODELS {
        let request = Request::post(format!("/api/keys/{name}/check")).header("x-confirm", "check");
        let request = request.header("authorization", "Bearer operator-token").body(Body::empty()).unwrap();
        let document = text(gateway.send(request).await).await;
        assert!(!document.contains(MARKER), "{document}");
        let document: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["check"]["result"], "valid", "{document}");
        let calls = stub.calls();
        assert_eq!((calls.len(), calls[0].path.as_str()), (1, path));
        assert_has_key(name, &calls[0]);
    }
}

#[tokio::test]
async fn a_schedule_checks_the_keys_of_clouds() {
    let stub = Stub::with(lists).await;
    let gateway = Gateway::at(&clouds(&stub, "[checks]\nevery = \"1s\"")).await;
    let get = || Request::get("/api/key-status").body(Body::empty()).unwrap();
    let all = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let document: Value = serde_json::from_str(&text(gateway.send(get()).await).await).unwrap();
            let providers = document["providers"].as_array().unwrap().clone();
            let checks: Vec<_> =
                providers.iter().map(|it| it["keys"][0]["last_check"]["result"].clone()).collect();
            if checks.iter().all(|result| !result.is_null()) {
                break checks;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(all.await.unwrap(), vec![json!("valid"); MODELS.len()]);
}

#[tokio::test]
async fn refused_keys_of_clouds_are_out() {
    let refuses = |call: &StubCall| match call.path.as_str() {
        // AWS tells unknown credentials from a missing permission, which other keys of clouds may lack, too.
        "/foundation-models" => {
            let mut refused = reply(403, &json!({"message": "The security token included is invalid."}));
            refused.headers_mut().insert("x-amzn-errortype", "UnrecognizedClientException".parse().unwrap());
            refused
        }
        "/v1/models" => {
            let mut denied = reply(403, &json!({"message": "not authorized to perform: ListModels"}));
            denied.headers_mut().insert("x-amzn-errortype", "AccessDeniedException".parse().unwrap());
            denied
        }
        path if path.starts_with("/openai") => {
            reply(401, &json!({"error": {"code": "401", "message": "Access denied due to invalid key."}}))
        }
        _ => reply(
            401,
            &json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "Invalid credentials."}}),
        ),
    };
    let stub = Stub::with(refuses).await;
    let config = config(&clouds(&stub, "[checks]\nconfirm_after = \"1ms\""));
    let checked = check_keys(&config).await;
    let results: Vec<_> = checked.iter().map(|it| it.check.unwrap().result).collect();
    let invalid = CheckResult::Invalid;
    assert_eq!(results, [invalid, invalid, CheckResult::Forbidden, invalid, invalid]);
    let usable: Vec<_> = config.providers().iter().map(|it| it.pool().usable(None)).collect();
    assert_eq!(usable, [0, 0, 1, 0, 0]);
}
