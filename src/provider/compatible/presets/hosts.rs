//! Presets of providers that host the models of others.

use crate::provider::compatible::hosts;
use crate::provider::dialect::{COMMON, Dialect};
use crate::provider::key_call::{KeyCall, Proof};
use crate::provider::preset::Preset;
use crate::provider::{Endpoint, Endpoints};

static GENERIC: Dialect = COMMON;

pub(super) static ROWS: [Preset; 19] = [
    Preset::new(
        "groq",
        "https://api.groq.com/openai/v1",
        &["GROQ"],
        &hosts::GROQ,
        "https://console.groq.com/docs/openai",
    )
    .endpoints(Endpoints::of(&[
        Endpoint::Chat,
        Endpoint::Responses,
        Endpoint::Models,
        Endpoint::Audio,
        Endpoint::Files,
        Endpoint::Batches,
        Endpoint::FineTuning,
    ]))
    .key_starts(&["gsk_"]),
    Preset::new(
        "cerebras",
        "https://api.cerebras.ai/v1",
        &["CEREBRAS"],
        &hosts::CEREBRAS,
        "https://inference-docs.cerebras.ai/resources/openai",
    )
    .endpoints(Endpoints::of(&[Endpoint::Chat, Endpoint::Completions, Endpoint::Models])),
    Preset::new(
        "together",
        "https://api.together.xyz/v1",
        &["TOGETHER"],
        &hosts::TOGETHER,
        "https://docs.together.ai/docs/openai-api-compatibility",
    )
    .endpoints(
        Endpoints::COMMON
            .with(Endpoint::Images)
            .with(Endpoint::Audio)
            .with(Endpoint::Videos)
            .with(Endpoint::Rerank)
            .with(Endpoint::Files)
            .with(Endpoint::FineTuning)
            .with(Endpoint::Batches),
    )
    .aliases(&["together-ai"])
    .hosts(&["https://api.together.ai"]),
    Preset::new(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        &["FIREWORKS"],
        &hosts::FIREWORKS,
        "https://docs.fireworks.ai/guides/inference-error-codes",
    )
    .endpoints(
        Endpoints::COMMON
            .with(Endpoint::Responses)
            .with(Endpoint::Images)
            .with(Endpoint::Audio)
            .with(Endpoint::Rerank),
    )
    .aliases(&["fireworks-ai"])
    .key_starts(&["fw_", "fpk_"]),
    Preset::new(
        "huggingface",
        "https://router.huggingface.co/v1",
        &["HF", "HUGGINGFACE"],
        &hosts::HUGGING_FACE,
        "https://huggingface.co/docs/inference-providers",
    )
    .endpoints(Endpoints::of(&[Endpoint::Chat, Endpoint::Responses, Endpoint::Models]))
    .aliases(&["hugging_face", "hf"])
    .hosts(&["https://api-inference.huggingface.co", "https://huggingface.co"])
    .env_names(&["HF_TOKEN"])
    .key_starts(&["hf_"]),
    Preset::new(
        "github-models",
        "https://models.github.ai/inference",
        &["GITHUB_MODELS", "GITHUB"],
        &hosts::GITHUB_MODELS,
        "https://docs.github.com/en/github-models",
    )
    .endpoints(Endpoints::of(&[Endpoint::Chat, Endpoint::Embeddings, Endpoint::Models]))
    .aliases(&["github"])
    .hosts(&["https://models.inference.ai.azure.com"])
    .env_names(&["GITHUB_TOKEN"])
    .key_starts(&["ghp_", "github_pat_"]),
    Preset::new(
        "ollama",
        "https://ollama.com/v1",
        &["OLLAMA"],
        &hosts::OLLAMA,
        "https://docs.ollama.com/cloud",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Responses))
    .aliases(&["ollama-cloud"]),
    Preset::new(
        "replicate",
        "https://api.replicate.com/v1",
        &["REPLICATE"],
        &hosts::REPLICATE,
        "https://replicate.com/docs/reference/http",
    )
    // The account of the token: <https://replicate.com/docs/reference/http#account.get>.
    .key_call(KeyCall::new("/account", Proof::Key))
    .env_names(&["REPLICATE_API_TOKEN"])
    .key_starts(&["r8_"]),
    Preset::new(
        "digitalocean",
        "https://inference.do-ai.run/v1",
        &["DIGITALOCEAN"],
        &hosts::NO_WINDOWS,
        "https://docs.digitalocean.com/products/gradient-ai-platform/details/models/",
    )
    .aliases(&["do", "gradient"])
    .env_names(&["DIGITALOCEAN_ACCESS_TOKEN"]),
    Preset::new(
        "nvidia",
        "https://integrate.api.nvidia.com/v1",
        &["NVIDIA"],
        &GENERIC,
        "https://docs.api.nvidia.com/nim/",
    )
    .aliases(&["nim", "nvidia-nim"])
    // The list needs no key: <https://github.com/langchain-ai/langchain-nvidia/issues/92>.
    .key_call(KeyCall::new("/models", Proof::Nothing))
    .key_starts(&["nvapi-"]),
    Preset::new(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        &["DEEPINFRA"],
        &GENERIC,
        "https://docs.deepinfra.com/api-reference/chat-completions/openai-chat-completions",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Images).with(Endpoint::Audio)),
    Preset::new(
        "sambanova",
        "https://api.sambanova.ai/v1",
        &["SAMBANOVA"],
        &GENERIC,
        "https://docs.sambanova.ai/docs",
    ),
    Preset::new(
        "novita",
        "https://api.novita.ai/openai",
        &["NOVITA"],
        &GENERIC,
        "https://novita.ai/docs/guides/introduction",
    )
    .aliases(&["novita-ai"]),
    Preset::new(
        "nebius",
        "https://api.tokenfactory.nebius.com/v1",
        &["NEBIUS"],
        &GENERIC,
        "https://docs.tokenfactory.nebius.com/",
    )
    .aliases(&["nebius-token-factory"]),
    Preset::new(
        "hyperbolic",
        "https://api.hyperbolic.xyz/v1",
        &["HYPERBOLIC"],
        &GENERIC,
        "https://docs.litellm.ai/docs/providers/hyperbolic",
    ),
    // A dedicated deployment has a host of its own, `model-ID.api.baseten.co`
    // (<https://docs.baseten.co/inference/calling-your-model>).
    Preset::new(
        "baseten",
        "https://inference.baseten.co/v1",
        &["BASETEN"],
        &GENERIC,
        "https://docs.baseten.co/inference/model-apis/overview",
    )
    .hosts(&["https://*.api.baseten.co"]),
    Preset::new(
        "chutes",
        "https://llm.chutes.ai/v1",
        &["CHUTES"],
        &GENERIC,
        "https://llm.chutes.ai/v1/models",
    ),
    Preset::new(
        "scaleway",
        "https://api.scaleway.ai/v1",
        &["SCALEWAY"],
        &GENERIC,
        "https://www.scaleway.com/en/docs/generative-apis/",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Responses).with(Endpoint::Audio).with(Endpoint::Batches))
    .env_names(&["SCW_SECRET_KEY"]),
    Preset::new(
        "io-intelligence",
        "https://api.intelligence.io.solutions/api/v1",
        &["IOINTELLIGENCE"],
        &GENERIC,
        "https://io.net/docs/guides/intelligence/io-intelligence",
    )
    .aliases(&["io-net", "ionet"]),
];
