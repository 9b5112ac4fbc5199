//! No text makes the loader panic, and no error shows a secret.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_key_rotation_gateway::config::{Format, Loader};

const SECRET: &str = "sk-proj-uvwxyz0123456789";

fuzz_target!(|input: (bool, &str)| {
    let (toml, text) = input;
    let format = if toml { Format::Toml } else { Format::Json };
    let loader = Loader::new().vars([("KEY", SECRET), ("OPENAI_API_KEY", SECRET)]).directory("/nonexistent");
    match loader.parse(text, format) {
        Ok(config) => assert!(!format!("{config:?}").contains(SECRET)),
        Err(error) => assert!(!format!("{error} {error:?}").contains(SECRET)),
    }
});
