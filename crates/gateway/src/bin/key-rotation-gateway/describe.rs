//! Texts for people about a configuration and its errors.

use std::error::Error;
use std::fmt::Write as _;
use std::net::SocketAddr;

use tower_key_rotation_gateway::config::Config;

/// Describes providers, keys, chain and access.
pub(crate) fn describe(config: &Config) -> String {
    let mut text = String::new();
    for provider in config.providers() {
        let keys = provider.pool().snapshot().keys;
        let ids: Vec<_> = keys.iter().map(|key| shown(key.id.as_str())).collect();
        let _ = writeln!(text, "{} at {}: {}", provider.name(), provider.base_url(), ids.join(", "));
    }
    let _ = writeln!(text, "chain: {}", config.chain().order().join(" -> "));
    let access = if config.requires_token() {
        "callers must send the token"
    } else {
        "no token configured; every caller is accepted, except foreign web pages"
    };
    let _ = writeln!(text, "access: {access}");
    text
}

/// Returns a name without characters that a terminal interprets.
pub(crate) fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}

pub(crate) fn open_to_all(address: SocketAddr) -> String {
    format!(
        "other machines reach {address}, and no token is configured: set `token`, listen on 127.0.0.1, or start with \
         --allow-open"
    )
}

pub(crate) fn invitation(origin: &str) -> String {
    let chat = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]"#;
    format!(
        "\nThe providers are simulated. Open {origin}/ in a browser, and try in another terminal:\n
  curl -i {origin}/v1/chat/completions -H 'content-type: application/json' -d '{chat}}}'
  curl -N {origin}/v1/chat/completions -H 'content-type: application/json' -d '{chat},\"stream\":true}}'
  key-rotation-gateway status --watch
  curl {origin}/metrics

or any program that uses an SDK:

  export OPENAI_BASE_URL={origin}/v1 OPENAI_API_KEY=any
  export ANTHROPIC_BASE_URL={origin}/anthropic ANTHROPIC_API_KEY=any
  export GOOGLE_GEMINI_BASE_URL={origin}/gemini GEMINI_API_KEY=any\n\n"
    )
}

/// Returns the error and its sources, one per line.
pub(crate) fn report(error: &(dyn Error + 'static)) -> String {
    let mut text = format!("{error}\n");
    let mut source = error.source();
    while let Some(error) = source {
        let _ = writeln!(text, "  because: {error}");
        source = error.source();
    }
    text
}
