//! A chat app that calls LLMs, to copy: `cargo run -p tower-key-rotation-gateway --example axum_chat`, then open
//! <http://127.0.0.1:3000>. The providers are simulated, unless `OPENAI_API_KEY`, `ANTHROPIC_API_KEY` or
//! `GEMINI_API_KEY` is set (`…_API_KEYS` for several keys).
//!
//! | path | serves |
//! |---|---|
//! | `/` | a page to chat with |
//! | `POST /api/chat` | `{"messages":[{"role":"user","content":"hi"}]}`, with a `"model"` if you like |
//! | `POST /api/chat/stream` | the same, as server-sent events |
//! | `GET /api/chat/ws` | the same, as WebSocket messages; any number of requests on one socket |
//! | `POST /api/embeddings` | `{"input":"hi"}`, with the same keys |
//! | `/status/…` | keys, limits and history: a page, and JSON such as `/status/api/key-status` |
//!
//! A request without a model is served by any provider, with its default model. A request that names a model stays
//! with the provider of that model. The app serves every caller that reaches it: add your own login.

mod app;
mod cache;
mod chat;
mod embeddings;
mod errors;
mod providers;
mod stream;
mod ws;

use tokio::net::TcpListener;
use tower::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (links, _servers) = match providers::in_env() {
        none if none.is_empty() => providers::simulated().await?, // they run until their servers are dropped
        links => (links, Vec::new()),
    };
    let app = app::router(providers::Providers::new(links)?);
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
