//! A chat app that calls LLMs, to copy: `cargo run -p tower-key-rotation-gateway --example axum_chat`, then open
//! <http://127.0.0.1:3000>. Providers are simulated unless a variable such as `OPENAI_API_KEY` holds a key of one.
//!
//! `app.rs` lists the paths. A request with a `"model"` stays with the provider of that model; any provider serves one
//! without, by its default model. The app serves every caller that reaches it: add your own login.

mod app;
mod chat;
mod embeddings;
mod errors;
mod providers;
mod simulated;
mod stream;
mod ws;

#[tokio::main]
async fn main() -> Result<(), tower::BoxError> {
    let (links, _servers) = match providers::in_env() {
        none if none.is_empty() => simulated::providers().await?, // they run until their servers are dropped
        links => (links, Vec::new()),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app::router(providers::Providers::new(links)?)).await?)
}
