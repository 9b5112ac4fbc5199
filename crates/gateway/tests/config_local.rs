//! A server on the local machine, which accepts any key or none.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use tower_key_rotation_gateway::config::{Config, ConfigError, Format, Loader};

fn load(file: &str) -> Result<Config, ConfigError> {
    Loader::new().vars(Vec::<(String, String)>::new()).parse(file, Format::Toml)
}

#[test]
fn a_local_server_needs_no_key() {
    let file = "[[provider]]\nname = \"vllm\"\nbase_url = \"http://127.0.0.1:8000/v1\"\n";
    let config = load(file).unwrap();
    assert_eq!(config.providers()[0].pool().snapshot().keys.len(), 1);
}

#[test]
fn another_provider_needs_one() {
    let file = "[[provider]]\nname = \"groq\"\nbase_url = \"https://api.groq.com/openai/v1\"\n";
    let error = load(file).unwrap_err();
    assert!(error.to_string().contains("no key"), "{error}");
}
