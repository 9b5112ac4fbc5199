//! Presets of gateways and relays in front of several providers, and of subscriptions that are used like one.

use crate::provider::compatible::{hosts, openrouter};
use crate::provider::dialect::{COMMON, Dialect};
use crate::provider::key_call::{KeyCall, Proof};
use crate::provider::preset::Preset;
use crate::provider::{Endpoint, Endpoints};

static GENERIC: Dialect = COMMON;

pub(super) static ROWS: [Preset; 6] = [
    Preset::new(
        "openrouter",
        "https://openrouter.ai/api/v1",
        &["OPENROUTER"],
        &openrouter::DIALECT,
        "https://openrouter.ai/docs/api/reference/errors",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Responses))
    // The list of models needs no key (<https://github.com/accomplish-ai/coworker/pull/208>), the key itself does:
    // <https://openrouter.ai/docs/api/api-reference/api-keys/get-current-key>.
    .key_call(KeyCall::new("/key", Proof::Key))
    .key_starts(&["sk-or-"]),
    Preset::new(
        "vercel",
        "https://ai-gateway.vercel.sh/v1",
        &["AI_GATEWAY", "VERCEL"],
        &GENERIC,
        "https://vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions/advanced",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Responses))
    .aliases(&["vercel-ai-gateway", "ai-gateway"]),
    // Zen; the plan Go has the path `/zen/go/v1` (<https://opencode.ai/docs/go>).
    Preset::new(
        "opencode",
        "https://opencode.ai/zen/v1",
        &["OPENCODE"],
        &GENERIC,
        "https://opencode.ai/docs/zen",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Responses))
    .aliases(&["opencode-zen", "opencode-go", "zen"]),
    // Each plan has a host of its own.
    Preset::new(
        "github-copilot",
        "https://api.githubcopilot.com",
        &["GITHUB_COPILOT", "COPILOT"],
        &GENERIC,
        "https://docs.github.com/en/copilot",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Responses))
    .aliases(&["copilot"])
    .hosts(&[
        "https://api.individual.githubcopilot.com",
        "https://api.business.githubcopilot.com",
        "https://api.enterprise.githubcopilot.com",
    ])
    .env_names(&["GITHUB_TOKEN"])
    .key_starts(&["gho_", "ghu_"]),
    Preset::hosted("litellm", &["LITELLM"], &hosts::LITELLM, "https://docs.litellm.ai/docs/proxy/user_keys")
        .endpoints(Endpoints::OPENAI)
        .aliases(&["litellm-proxy"]),
    // one-api and its descendants, such as new-api (<https://github.com/QuantumNous/new-api>).
    Preset::hosted("one-api", &["ONE_API", "NEW_API"], &GENERIC, "https://github.com/songquanpeng/one-api")
        .endpoints(Endpoints::OPENAI)
        .aliases(&["new-api"]),
];
