//! Presets of servers on the own machine. They need no key unless they were started with one.

use crate::provider::dialect::{COMMON, Dialect};
use crate::provider::preset::Preset;
use crate::provider::{Endpoint, Endpoints};

static GENERIC: Dialect = COMMON;

pub(super) static ROWS: [Preset; 4] = [
    Preset::new(
        "lmstudio",
        "http://127.0.0.1:1234/v1",
        &["LMSTUDIO"],
        &GENERIC,
        "https://lmstudio.ai/docs/developer/openai-compat/chat-completions",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Responses))
    .aliases(&["lm-studio"])
    .hosts(&["http://localhost:1234"])
    .without_key(),
    Preset::new(
        "vllm",
        "http://localhost:8000/v1",
        &["VLLM"],
        &GENERIC,
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Responses).with(Endpoint::Audio).with(Endpoint::Rerank))
    .hosts(&["http://127.0.0.1:8000"])
    .without_key(),
    Preset::new(
        "llama-cpp",
        "http://127.0.0.1:8080/v1",
        &["LLAMA_CPP"],
        &GENERIC,
        "https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Responses).with(Endpoint::Rerank))
    .aliases(&["llamacpp", "llama-server"])
    .hosts(&["http://localhost:8080"])
    .without_key(),
    Preset::new(
        "ollama-local",
        "http://localhost:11434/v1",
        &["OLLAMA_LOCAL"],
        &GENERIC,
        "https://docs.ollama.com/openai",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Responses))
    .hosts(&["http://127.0.0.1:11434"])
    .without_key(),
];
