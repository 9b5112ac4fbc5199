//! Presets of companies that serve models of their own.

use crate::provider::compatible::labs;
use crate::provider::dialect::{COMMON, Dialect};
use crate::provider::preset::Preset;

static GENERIC: Dialect = COMMON;

pub(super) static ROWS: [Preset; 7] = [
    Preset::new(
        "mistral",
        "https://api.mistral.ai/v1",
        &["MISTRAL", "CODESTRAL"],
        &labs::MISTRAL,
        "https://docs.mistral.ai/api",
    )
    .aliases(&["mistralai"])
    .hosts(&["https://codestral.mistral.ai"]),
    Preset::new(
        "deepseek",
        "https://api.deepseek.com",
        &["DEEPSEEK"],
        &labs::DEEPSEEK,
        "https://api-docs.deepseek.com/",
    ),
    Preset::new(
        "xai",
        "https://api.x.ai/v1",
        &["XAI", "GROK"],
        &labs::XAI,
        "https://docs.x.ai/docs/api-reference",
    )
    .aliases(&["x-ai", "grok"])
    .key_starts(&["xai-"]),
    Preset::new(
        "cohere",
        "https://api.cohere.com/v2",
        &["COHERE", "CO"],
        &labs::COHERE,
        "https://docs.cohere.com/reference/about",
    )
    .hosts(&["https://api.cohere.ai"]),
    Preset::new(
        "perplexity",
        "https://api.perplexity.ai",
        &["PERPLEXITY", "PPLX"],
        &GENERIC,
        "https://docs.perplexity.ai",
    )
    .aliases(&["pplx"])
    .key_starts(&["pplx-"]),
    Preset::new(
        "voyage",
        "https://api.voyageai.com/v1",
        &["VOYAGE"],
        &labs::VOYAGE,
        "https://docs.voyageai.com/reference/embeddings-api",
    )
    .aliases(&["voyageai"]),
    Preset::new("ai21", "https://api.ai21.com/studio/v1", &["AI21"], &GENERIC, "https://docs.ai21.com/")
        .aliases(&["ai21-labs"]),
];
