//! Presets of companies that serve models of their own.

use crate::provider::compatible::labs;
use crate::provider::dialect::{COMMON, Dialect};
use crate::provider::key_call::{KeyCall, Proof};
use crate::provider::preset::Preset;
use crate::provider::{Endpoint, Endpoints};

static GENERIC: Dialect = COMMON;

pub(super) static ROWS: [Preset; 7] = [
    Preset::new(
        "mistral",
        "https://api.mistral.ai/v1",
        &["MISTRAL", "CODESTRAL"],
        &labs::MISTRAL,
        "https://docs.mistral.ai/api",
    )
    .endpoints(
        Endpoints::COMMON
            .with(Endpoint::Moderations)
            .with(Endpoint::Audio)
            .with(Endpoint::Files)
            .with(Endpoint::FineTuning),
    )
    .aliases(&["mistralai"])
    .hosts(&["https://codestral.mistral.ai"]),
    Preset::new(
        "deepseek",
        "https://api.deepseek.com",
        &["DEEPSEEK"],
        &labs::DEEPSEEK,
        "https://api-docs.deepseek.com/",
    )
    // The balance: <https://api-docs.deepseek.com/api/get-user-balance>.
    .key_call(KeyCall::at_origin("/user/balance", Proof::Key))
    .endpoints(Endpoints::of(&[Endpoint::Chat, Endpoint::Completions, Endpoint::Models])),
    Preset::new(
        "xai",
        "https://api.x.ai/v1",
        &["XAI", "GROK"],
        &labs::XAI,
        "https://docs.x.ai/docs/api-reference",
    )
    .endpoints(
        Endpoints::COMMON
            .with(Endpoint::Responses)
            .with(Endpoint::Images)
            .with(Endpoint::Videos)
            .with(Endpoint::Files)
            .with(Endpoint::Batches)
            .with(Endpoint::Realtime),
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
    // The list has another version than the rest: <https://docs.cohere.com/reference/list-models>.
    .key_call(KeyCall::at_origin("/v1/models", Proof::Unknown))
    .endpoints(Endpoints::COMMON.with(Endpoint::Rerank))
    .hosts(&["https://api.cohere.ai"]),
    Preset::new(
        "perplexity",
        "https://api.perplexity.ai",
        &["PERPLEXITY", "PPLX"],
        &GENERIC,
        "https://docs.perplexity.ai",
    )
    .endpoints(Endpoints::of(&[Endpoint::Chat]))
    .aliases(&["pplx"])
    .key_starts(&["pplx-"]),
    Preset::new(
        "voyage",
        "https://api.voyageai.com/v1",
        &["VOYAGE"],
        &labs::VOYAGE,
        "https://docs.voyageai.com/reference/embeddings-api",
    )
    .endpoints(Endpoints::of(&[Endpoint::Embeddings, Endpoint::Rerank]))
    .aliases(&["voyageai"]),
    Preset::new("ai21", "https://api.ai21.com/studio/v1", &["AI21"], &GENERIC, "https://docs.ai21.com/")
        .aliases(&["ai21-labs"]),
];
