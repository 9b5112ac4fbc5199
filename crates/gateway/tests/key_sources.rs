//! Keys whose secrets come from files, commands and token endpoints.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use support::{Gateway, MARKER, Seen, chat, echo, secret, token_endpoint};
use tokio::time::timeout;
use tower_key_rotation_gateway::config::{Format, Loader};

fn provider(address: impl std::fmt::Display, source: &str) -> String {
    format!(
        "[[provider]]\nname = \"openai\"\nbase_url = \"http://{address}/v1\"\n[[provider.key]]\nsecret = {source}\n"
    )
}

fn keys(seen: &Seen) -> Vec<String> {
    let key =
        |(_, head): &(String, HeaderMap)| head["authorization"].to_str().unwrap().replace("Bearer ", "");
    seen.lock().unwrap().iter().map(key).collect()
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tkr-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn a_file_is_read_again() {
    let folder = folder("key-sources-file");
    let path = folder.join("api-key");
    std::fs::write(&path, secret("one")).unwrap();
    let (address, seen) = echo().await;
    let source = format!("{{ file = \"{}\", every = \"5ms\" }}", path.display());
    let gateway = Gateway::at(&provider(address, &source)).await;
    assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
    assert_eq!(keys(&seen), [secret("one")]);
    std::fs::write(folder.join("new"), secret("two")).unwrap();
    std::fs::rename(folder.join("new"), &path).unwrap();
    timeout(Duration::from_secs(30), async {
        while keys(&seen).last() != Some(&secret("two")) {
            assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
        }
    })
    .await
    .expect("the new secret is used");
    std::fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_command_is_run_in_the_folder_of_the_file() {
    let folder = folder("key-sources-command");
    std::fs::write(folder.join("printed"), secret("printed")).unwrap();
    let (address, seen) = echo().await;
    let text = provider(address, r#"{ command = ["cat", "printed"] }"#);
    let config = Loader::new().vars([("PATH", "")]).directory(&folder).parse(&text, Format::Toml).unwrap();
    let gateway = Gateway::of(config).await;
    assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
    assert_eq!(keys(&seen), [secret("printed")]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_token_endpoint_is_asked_once() {
    let (address, seen) = echo().await;
    let forms = Arc::<Mutex<Vec<String>>>::default();
    let endpoint = token_endpoint(&forms, secret("token")).await;
    let source = format!(
        "{{ oauth2 = {{ token_url = \"http://{endpoint}/token\", client_id = \"me\", client_secret = \"{}\", \
         parameters = {{ scope = \"all\" }} }} }}",
        secret("client")
    );
    let gateway = Gateway::at(&provider(address, &source)).await;
    for _ in 0..3 {
        assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
    }
    assert_eq!(keys(&seen), [secret("token"), secret("token"), secret("token")]);
    let form =
        format!("grant_type=client_credentials&client_id=me&client_secret={}&scope=all", secret("client"));
    assert_eq!(*forms.lock().unwrap(), [form]);
}

/// The key file of a service account. Its key was made for tests and is used nowhere.
fn account_file(endpoint: impl std::fmt::Display) -> String {
    let key = include_str!("support/test_key.b64");
    let label = ["PRIVATE", "KEY"].join(" ");
    let file = serde_json::json!({
        "client_email": "me@project.iam.gserviceaccount.com",
        "private_key": format!("-----BEGIN {label}-----\n{key}-----END {label}-----\n"),
        "token_uri": format!("http://{endpoint}/token"),
    });
    file.to_string()
}

#[tokio::test]
async fn a_service_account_signs_for_its_token_once() {
    let (address, seen) = echo().await;
    let forms = Arc::<Mutex<Vec<String>>>::default();
    let endpoint = token_endpoint(&forms, secret("token")).await;
    let folder = folder("key-sources-account");
    let path = folder.join("account.json");
    std::fs::write(&path, account_file(endpoint)).unwrap();
    let source = format!("{{ service_account = {{ file = \"{}\", scope = \"tests\" }} }}", path.display());
    let gateway = Gateway::at(&provider(address, &source)).await;
    for _ in 0..3 {
        assert_eq!(gateway.send(chat("")).await.status(), StatusCode::OK);
    }
    assert_eq!(keys(&seen), [secret("token"), secret("token"), secret("token")]);
    let forms = forms.lock().unwrap().clone();
    let [form] = &forms[..] else { panic!("{} tokens were fetched", forms.len()) };
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let assertion = form.strip_prefix(grant).expect("the form of RFC 7523");
    let claims = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(
        (claims["iss"].as_str(), claims["scope"].as_str(), claims["aud"].as_str()),
        (
            Some("me@project.iam.gserviceaccount.com"),
            Some("tests"),
            Some(&*format!("http://{endpoint}/token"))
        )
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_source_that_fails_is_an_error_of_the_gateway() {
    let (address, seen) = echo().await;
    let gateway = Gateway::at(&provider(address, "{ file = \"/nowhere/tkrmarker\" }")).await;
    let response = gateway.send(chat("")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = support::text(response).await;
    assert!(!body.contains(MARKER) && keys(&seen).is_empty(), "{body}");
}

#[test]
fn a_wrong_source_is_named_and_not_shown() {
    for (source, place) in [
        ("{}", "provider[0].key[0].secret"),
        ("{ file = \"a\", command = \"tkrmarker\" }", "provider[0].key[0].secret"),
        ("{ command = \" \" }", "provider[0].key[0].secret.command"),
        ("{ file = \"a\", every = \"tkrmarker\" }", "provider[0].key[0].secret.every"),
        ("{ fiel = \"tkrmarker\" }", "line 5"),
        (
            "{ oauth2 = { token_url = \"tkrmarker\", client_id = \"a\", client_secret = \"tkrmarker\" } }",
            "secret.oauth2.token_url",
        ),
        (
            "{ oauth2 = { token_url = \"https://h\", client_id = \"a\", client_secret = \"env:NONE\" } }",
            "secret.oauth2.client_secret",
        ),
        ("{ oauth2 = { token_url = \"https://h\", client_id = \"a\" } }", "line 5"),
        ("{ service_account = { file = \"/nowhere/tkr\" } }", "secret.service_account.file"),
        ("7", "line 5"),
    ] {
        let text = provider("127.0.0.1:1", source);
        let error = Loader::new().vars([("PATH", "")]).parse(&text, Format::Toml).unwrap_err().to_string();
        assert!(error.contains(place) && !error.contains(MARKER), "{source}: {error}");
    }
}
