//! OpenAI.
//!
//! Error codes are reliable and few; the exceptions are in messages. Limits are counted per organisation and
//! project and per model, so an error concerns the account and the model, unless the message names a bucket
//! that several models share.
//!
//! A reset header is the time at which the bucket is *full*, which can be a minute after the next request would have
//! passed. It is used only if nothing better is known (<https://platform.openai.com/docs/guides/rate-limits>,
//! <https://platform.openai.com/docs/guides/error-codes>).

use http::HeaderName;

use crate::classify::rules::{Rule, fault, reject};
use crate::classify::{Reason, Rejection, Scope};
use crate::provider::dialect::{COMMON, Dialect};
use crate::provider::key_call::{KeyCall, Proof};
use crate::provider::limits::Windows;
use crate::provider::preset::Preset;
use crate::provider::{Endpoint, Endpoints};

pub(super) static PRESET: Preset = Preset::new(
    "openai",
    "https://api.openai.com/v1",
    &["OPENAI"],
    &DIALECT,
    "https://platform.openai.com/docs/api-reference/authentication",
)
.endpoints(Endpoints::OPENAI)
.aliases(&["open-ai", "chatgpt"])
.key_call(KeyCall::new("/models", Proof::Key))
.key_starts(&["sk-proj-"]);

/// The backend of ChatGPT subscriptions that Codex uses. Takes access tokens instead of keys.
pub(super) static CODEX: Preset = Preset::new(
    "codex",
    "https://chatgpt.com/backend-api/codex",
    &["CHATGPT"],
    &DIALECT,
    "https://github.com/openai/codex",
)
.endpoints(Endpoints::of(&[Endpoint::Responses]))
.aliases(&["openai-codex", "chatgpt-codex"]);

static DIALECT: Dialect = Dialect {
    rules: RULES,
    windows: Windows { even: true, ..Windows::MINUTE },
    exact_resets: false,
    account: &ACCOUNT,
    ..COMMON
};

/// Headers that name the account: the organisation and the project. A project may have limits of its own
/// below the organisation's.
static ACCOUNT: [HeaderName; 2] =
    [HeaderName::from_static("openai-organization"), HeaderName::from_static("openai-project")];

const RULES: &[Rule] = &[
    // The organisation or project may not do this; another one may.
    fault(Reason::Forbidden, Scope::AccountModel)
        .on(&[400, 403, 404])
        .says(&["organization must be verified"])
        .of_account(),
    fault(Reason::Forbidden, Scope::AccountModel)
        .on(&[400, 403, 404])
        .says(&["does not have access to model"]),
    fault(Reason::Forbidden, Scope::KeyModel).on(&[403]).named(&["model_not_found"]),
    // Another organisation can't read what this one encrypted.
    reject(Rejection::Unclear).on(&[400]).named(&["invalid_encrypted_content"]),
    fault(Reason::Blocked, Scope::Provider).on(&[403]).says(&["country, region, or territory"]),
    // A 401 concerns the key only if it does not concern the address, the permission or a wrong header.
    reject(Rejection::Invalid).named(&["mismatched_organization", "mismatched_project"]),
    reject(Rejection::Invalid).on(&[401]).says(&["no such organization"]),
    fault(Reason::Forbidden, Scope::Account)
        .on(&[401, 403])
        .says(&["ip not authorized", "ip address is not", "not authorized to access from"])
        .of_account(),
    // A restricted key lacks the scope of one endpoint, and serves others.
    fault(Reason::Forbidden, Scope::Key)
        .on(&[401, 403])
        .says(&["insufficient permissions", "missing scopes"])
        .of_resource(),
    fault(Reason::InvalidKey, Scope::Key).named(&["no_organization"]),
    // Codex, for ChatGPT accounts.
    fault(Reason::QuotaExceeded, Scope::Account).named(&["usage_limit_reached"]),
    fault(Reason::Forbidden, Scope::Account).named(&["usage_not_included"]).of_account(),
    // The flex tier has no capacity for any account.
    fault(Reason::Overloaded, Scope::ProviderModel).named(&["resource_unavailable"]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[429]).says(&["resource unavailable"]),
    // Traffic grows too fast: the cause is the account with a 429, and was the provider with a 503.
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]).named(&["slow_down"]),
    fault(Reason::Overloaded, Scope::ProviderModel).named(&["slow_down"]),
    fault(Reason::RateLimited, Scope::Provider).on(&[429]).says(&["slow down"]),
    // A bucket that models share is named `default-…`.
    fault(Reason::RateLimited, Scope::Account).on(&[429]).says(&["reached for default-"]),
    fault(Reason::RateLimited, Scope::AccountModel).named(&["rate_limit_exceeded"]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[500, 503]).says(&["overloaded"]),
];
