//! `genai` behind the gateway, which rotates for three dialects.

mod support;

use std::net::{Ipv4Addr, SocketAddr};

use futures_util::StreamExt;
use genai::chat::{ChatMessage, ChatRequest, ChatStreamEvent};
use integrations::with_genai::client;
use support::{SECRETS, Upstream};
use tokio::net::TcpListener;
use tower::BoxError;
use tower_key_rotation_gateway::config::{Format, Loader};
use tower_key_rotation_gateway::{Options, router};
use tower_key_rotation_sim::Simulator;

const TOKEN: &str = "token-of-this-caller";

/// Starts a gateway with a provider of its own for each dialect.
async fn gateway(upstreams: &[(&str, &str, &Upstream)]) -> Result<SocketAddr, BoxError> {
    let mut text = format!("token = \"{TOKEN}\"\n");
    for (name, path, upstream) in upstreams {
        let origin = upstream.server.origin();
        text += &format!("[[provider]]\nname = \"{name}\"\nbase_url = \"{origin}{path}\"\n");
        text += &format!("[[provider.key]]\nsecret = \"{}\"\n", SECRETS[0]);
        text += &format!("[[provider.key]]\nsecret = \"{}\"\ntier = \"backup\"\n", SECRETS[1]);
    }
    let app = router(Loader::new().parse(&text, Format::Toml)?, Options::new());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

fn question() -> ChatRequest {
    ChatRequest::new(vec![ChatMessage::user("Say hello.")])
}

#[tokio::test]
async fn rotates_for_each_dialect() -> Result<(), BoxError> {
    let openai = Upstream::openai().await;
    let anthropic = Upstream::start(Simulator::anthropic()).await;
    let gemini = Upstream::start(Simulator::gemini()).await;
    let upstreams =
        [("openai", "/v1", &openai), ("anthropic", "/v1", &anthropic), ("gemini", "/v1beta/openai", &gemini)];
    let client = client(&format!("http://{}", gateway(&upstreams).await?), TOKEN)?;
    for (model, upstream) in
        [("gpt-4o-mini", &openai), ("claude-sonnet-4-5", &anthropic), ("gemini-2.5-flash", &gemini)]
    {
        let response = client.exec_chat(model, question(), None).await?;
        let text = response.first_text().unwrap_or_default();
        assert!(text.contains("quick brown fox"), "{model}: {text}");
        upstream.assert_rotated(1);
    }
    Ok(())
}

#[tokio::test]
async fn streams_through_the_gateway() -> Result<(), BoxError> {
    let openai = Upstream::openai().await;
    let client = client(&format!("http://{}", gateway(&[("openai", "/v1", &openai)]).await?), TOKEN)?;
    let mut events = client.exec_chat_stream("gpt-4o-mini", question(), None).await?.stream;
    let mut text = String::new();
    while let Some(event) = events.next().await {
        if let ChatStreamEvent::Chunk(chunk) = event? {
            text += &chunk.content;
        }
    }
    assert!(text.contains("quick brown fox"), "{text}");
    openai.assert_rotated(1);
    Ok(())
}
