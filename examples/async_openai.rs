//! Rotates keys inside the async-openai client: `cargo run --example async_openai`. Needs no network and no
//! account.
//!
//! It needs `async-openai` 0.43 with its feature `middleware`, and `reqwest` 0.13.
//!
//! The first of two keys is revoked. The client does not notice, streaming or not.

#![allow(clippy::print_stdout, reason = "an example talks")]

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::middleware::HttpRequestFactory;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessage, CreateChatCompletionRequest, CreateChatCompletionRequestArgs,
};
use futures_util::StreamExt;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_key_rotation::reqwest_client::{ReqwestClient, ReqwestService};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, Served};
use tower_key_rotation_sim::{SimKey, Simulator};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let simulator = Simulator::openai()
        .key(SimKey::new("old", "sk-simulated-old").revoked())
        .key(SimKey::new("new", "sk-simulated-new"))
        .build();
    let server = simulator.serve().await?;
    let pool = KeyPool::builder(Provider::openai().with_origin(server.origin().parse()?))
        .key(ApiKey::new("sk-simulated-old")?.id("old"))
        .key(ApiKey::new("sk-simulated-new")?.id("new"))
        .build()?;

    let service = ServiceBuilder::new()
        .layer(KeyRotationLayer::new(pool.clone()))
        .service(ReqwestClient::new(reqwest::Client::builder())?);
    let service = ReqwestService::new(service);
    // The client requires a key of its own. The layer replaces it by one of the pool.
    let config = OpenAIConfig::new().with_api_base(format!("{}/v1", server.origin())).with_api_key("unused");
    let client = Client::with_config(config)
        .with_http_service(tower::service_fn(move |asked| send(service.clone(), asked)));

    whole(&client).await?;
    streamed(&client).await?;
    for key in pool.snapshot().keys {
        println!("{}: {} calls, {}", key.id, key.calls, key.state);
    }
    Ok(())
}

/// The whole integration.
async fn send(
    service: ReqwestService<KeyRotation<ReqwestClient>>,
    asked: HttpRequestFactory,
) -> Result<reqwest::Response, BoxError> {
    let response = service.oneshot(asked.build().await?).await?;
    if let Some(served) = response.extensions().get::<Served>() {
        println!("served by {}, after {} other attempts", served.key_id(), served.attempts().len());
    }
    Ok(response)
}

async fn whole(client: &Client<OpenAIConfig>) -> Result<(), BoxError> {
    let answer = client.chat().create(question()?).await?;
    let content = answer.choices.into_iter().find_map(|choice| choice.message.content);
    println!("whole: {}", content.ok_or("an answer without content")?);
    Ok(())
}

async fn streamed(client: &Client<OpenAIConfig>) -> Result<(), BoxError> {
    let mut chunks = client.chat().create_stream(question()?).await?;
    print!("streamed: ");
    while let Some(chunk) = chunks.next().await {
        for content in chunk?.choices.into_iter().filter_map(|choice| choice.delta.content) {
            print!("{content}|");
        }
    }
    println!();
    Ok(())
}

fn question() -> Result<CreateChatCompletionRequest, BoxError> {
    let message = ChatCompletionRequestUserMessage::from("Say hello.");
    Ok(CreateChatCompletionRequestArgs::default().model("gpt-4o-mini").messages([message.into()]).build()?)
}
