//! Keys with base URLs, headers, names of models, and restrictions of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use axum::body::Body;
use http::{Request, StatusCode};
use support::{Gateway, MARKER, chat, echo, header, post, secret, text};
use tower_key_rotation_gateway::config::{Format, Loader};

/// Two resources behind one provider, whose own URL leads nowhere.
fn two(east: &str, west: &str) -> String {
    format!(
        r#"
        [[provider]]
        name = "azure"
        base_url = "http://127.0.0.1:9/openai/v1"
        [[provider.key]]
        id = "east"
        secret = "{}"
        base_url = "http://{east}/openai/v1"
        headers = {{ x-region = "east", openai-project = "p-1" }}
        models = {{ "gpt-4o" = "gpt4o-east" }}
        only_models = "gpt-*"
        except_endpoints = ["*/batches*", "*/files*"]
        concurrent = 4
        [[provider.key]]
        id = "west"
        secret = "{}"
        base_url = "http://{west}/relay"
        only_models = ["gpt-*", "o3"]
        "#,
        secret("east"),
        secret("west")
    )
}

#[tokio::test]
async fn each_key_serves_what_it_may_at_its_own_place() {
    let ((east, at_east), (west, at_west)) = (echo().await, echo().await);
    let gateway = Gateway::at(&two(&east.to_string(), &west.to_string())).await;
    for _ in 0..4 {
        assert_eq!(gateway.send(chat("?x=1")).await.status(), StatusCode::OK);
    }
    let o3 = || post("/v1/chat/completions", Body::from(r#"{"model":"o3","messages":[]}"#));
    assert_eq!(gateway.send(o3()).await.status(), StatusCode::OK);
    let batches = || Request::get("/azure/v1/batches").body(Body::empty()).unwrap();
    assert_eq!(gateway.send(batches()).await.status(), StatusCode::OK);
    let seen = |seen: &support::Seen| seen.lock().unwrap().clone();
    let (at_east, at_west) = (seen(&at_east), seen(&at_west));
    let paths =
        |seen: &[(String, http::HeaderMap)]| seen.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert_eq!(paths(&at_east), ["/openai/v1/chat/completions?x=1"; 2]);
    let chat = "/relay/chat/completions";
    assert_eq!(paths(&at_west), [&format!("{chat}?x=1"), &format!("{chat}?x=1"), chat, "/relay/batches"]);
    for (seen, own) in [(&at_east, "east"), (&at_west, "west")] {
        assert!(seen.iter().all(|(_, headers)| headers["api-key"] == *secret(own)), "{own}");
    }
    assert!(at_east.iter().all(|(_, head)| head["x-region"] == "east" && head["openai-project"] == "p-1"));
    assert!(at_west.iter().all(|(_, head)| head.get("x-region").is_none()));
}

#[tokio::test]
async fn a_model_that_no_key_may_serve_is_a_404() {
    let (east, _) = echo().await;
    let gateway = Gateway::at(&two(&east.to_string(), &east.to_string())).await;
    let response = gateway.send(post("/v1/chat/completions", Body::from(r#"{"model":"claude"}"#))).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(header(&response, "retry-after"), "");
    assert!(text(response).await.contains("no_key_may_serve"));
}

#[test]
fn a_wrong_attribute_is_named_and_not_shown() {
    for (line, place) in [
        ("base_url = \"https://u:tkrmarker@h/v1\"".to_owned(), "provider[0].key[0].base_url"),
        (format!("base_url = \"https://h/{}\"", secret("one")), "provider[0].key[0].base_url"),
        ("headers = { \"x y\" = \"tkrmarker\" }".to_owned(), "provider[0].key[0].headers"),
        ("headers = { host = \"tkrmarker\" }".to_owned(), "provider[0].key[0].headers.host"),
        ("headers = { x = \"tkr\\nmarker\" }".to_owned(), "provider[0].key[0].headers.x"),
        ("headers = { x = \"env:MISSING\" }".to_owned(), "provider[0].key[0].headers.x"),
        ("models = { \"gpt-4o\" = \"\" }".to_owned(), "provider[0].key[0].models"),
        ("only_endpoints = \"v1/tkrmarker\"".to_owned(), "provider[0].key[0]"),
        ("concurrent = 0".to_owned(), "line 7"),
        ("conkurrent = 1".to_owned(), "line 7"),
    ] {
        let text = format!(
            "[[provider]]\nname = \"openai\"\nbase_url = \"https://api.openai.com/v1\"\n[[provider.key]]\nid = \"one\"\nsecret = \"{}\"\n{line}\n",
            secret("one")
        );
        let error = Loader::new().vars([("PATH", "")]).parse(&text, Format::Toml).unwrap_err().to_string();
        assert!(error.contains(place), "{line}: {error}");
        assert!(!error.contains(MARKER), "{error}");
    }
}

#[test]
fn a_key_in_clear_text_is_a_warning() {
    let text = two("east.example:80", "127.0.0.1:1");
    let config = Loader::new().vars([("PATH", "")]).parse(&text, Format::Toml).unwrap();
    let warnings: Vec<_> = config.warnings().iter().map(ToString::to_string).collect();
    assert!(
        warnings.iter().any(|it| it.contains("key[0].base_url") && it.contains("east.example")),
        "{warnings:?}"
    );
}
