//! Rules of providers that host the models of others: Groq, Cerebras, Together, Fireworks, Hugging Face,
//! GitHub Models, Ollama Cloud, Replicate, LiteLLM.

use crate::classify::rules::{Rule, fault, reject};
use crate::classify::{Reason, Rejection, Scope};
use crate::provider::dialect::{COMMON, Dialect, with_rules};
use crate::provider::limits::{Window, Windows};

/// Groq: headers named like OpenAI's, in which requests are always counted per day and tokens per minute
/// (<https://console.groq.com/docs/rate-limits>).
pub(super) static GROQ: Dialect = Dialect {
    rules: GROQ_RULES,
    windows: Windows { requests: Some(Window::DAY), ..Windows::MINUTE },
    exact_resets: false,
    ..COMMON
};

pub(super) static CEREBRAS: Dialect = with_rules(CEREBRAS_RULES);

/// Together: a bucket per second, whose values reach zero in normal use.
pub(super) static TOGETHER: Dialect = Dialect {
    rules: TOGETHER_RULES,
    windows: Windows { bare: Some(Window::SECOND), ..Windows::MINUTE },
    ..COMMON
};

pub(super) static FIREWORKS: Dialect = with_rules(FIREWORKS_RULES);

pub(super) static HUGGING_FACE: Dialect =
    Dialect { rules: HUGGING_FACE_RULES, windows: Windows::UNKNOWN, ..COMMON };

pub(super) static GITHUB_MODELS: Dialect = with_rules(GITHUB_MODELS_RULES);

pub(super) static OLLAMA: Dialect = with_rules(OLLAMA_RULES);

pub(super) static REPLICATE: Dialect =
    Dialect { rules: REPLICATE_RULES, windows: Windows::UNKNOWN, ..COMMON };

/// LiteLLM: the limits are those of the proxy, and its keys have budgets.
pub(super) static LITELLM: Dialect = with_rules(LITELLM_RULES);

pub(super) static NO_WINDOWS: Dialect = Dialect { windows: Windows::UNKNOWN, ..COMMON };

const GROQ_RULES: &[Rule] = &[
    fault(Reason::InvalidKey, Scope::Account).named(&["organization_restricted"]),
    fault(Reason::InvalidKey, Scope::Account).says(&["organization has been restricted"]),
    fault(Reason::QuotaExceeded, Scope::Account).named(&["blocked_api_access"]),
    fault(Reason::Blocked, Scope::Provider).on(&[403]).says(&["check your network"]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[498]),
    reject(Rejection::TooLarge).on(&[413]).named(&["rate_limit_exceeded"]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[503]),
];

/// Cerebras: `quota` is part of the code of a limit per minute
/// (<https://inference-docs.cerebras.ai/support/rate-limits>).
const CEREBRAS_RULES: &[Rule] = &[
    fault(Reason::Overloaded, Scope::ProviderModel).named(&["queue_exceeded"]),
    fault(Reason::QuotaExceeded, Scope::AccountModel).on(&[429]).says(&["per day", "daily"]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]),
    fault(Reason::InvalidKey, Scope::Key).named(&["wrong_api_key"]),
];

/// Together: `credit_limit` means money with a 402 and a rate with a 429.
const TOGETHER_RULES: &[Rule] = &[
    fault(Reason::QuotaExceeded, Scope::Account).on(&[402]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[429, 503]).says(&["overloaded"]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]),
];

/// Fireworks: 412 is a suspended account, or a LoRA that is not loaded
/// (<https://docs.fireworks.ai/guides/inference-error-codes>).
const FIREWORKS_RULES: &[Rule] = &[
    fault(Reason::QuotaExceeded, Scope::Account).on(&[402, 403, 412]).says(&[
        "suspended",
        "spending limit",
        "invoice",
    ]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[503]),
];

const HUGGING_FACE_RULES: &[Rule] = &[
    fault(Reason::QuotaExceeded, Scope::Account).on(&[402, 429]).says(&["monthly", "included credits"]),
    fault(Reason::Forbidden, Scope::Key).on(&[403]).says(&["sufficient permissions"]).of_resource(),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[503]),
];

/// GitHub Models: the name of the counter shows the limit, such as `UserByModelByMinute` or
/// `UserByModelByDay`.
const GITHUB_MODELS_RULES: &[Rule] = &[
    // The token lacks the scope `models`.
    fault(Reason::Forbidden, Scope::Key).on(&[401, 403]).says(&["permission is required"]).of_resource(),
    fault(Reason::QuotaExceeded, Scope::AccountModel).on(&[429]).says(&["byday", "per 86400s"]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]).says(&["bymodel"]),
    fault(Reason::RateLimited, Scope::Account).on(&[429]).says(&["userby"]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]),
];

/// Ollama: session, weekly and formerly hourly allowances arrive as 429, and none is called a rate limit.
const OLLAMA_RULES: &[Rule] = &[
    fault(Reason::QuotaExceeded, Scope::Account).on(&[402, 403, 429]).says(&["usage limit"]),
    fault(Reason::QuotaExceeded, Scope::Account).on(&[429]).says(&["upgrade"]),
    fault(Reason::RateLimited, Scope::Account).on(&[429]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[503]),
];

const REPLICATE_RULES: &[Rule] = &[
    fault(Reason::QuotaExceeded, Scope::Account).on(&[402]),
    fault(Reason::RateLimited, Scope::Account).on(&[429]),
];

const LITELLM_RULES: &[Rule] = &[
    // Virtual keys have lists of models and routes, and report a violation with a 401 too
    // (<https://docs.litellm.ai/docs/proxy/virtual_keys>).
    fault(Reason::Forbidden, Scope::KeyModel).on(&[401, 403]).named(&[
        "key_model_access_denied",
        "team_model_access_denied",
        "user_model_access_denied",
        "org_model_access_denied",
    ]),
    fault(Reason::Forbidden, Scope::KeyModel).on(&[401, 403]).says(&["not allowed to access model"]),
    fault(Reason::Forbidden, Scope::Key)
        .on(&[401, 403])
        .says(&["not allowed to call this route", "not allowed to access this route"])
        .of_resource(),
    fault(Reason::QuotaExceeded, Scope::Key).named(&["budget_exceeded"]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[429]).says(&["no deployments available"]),
    fault(Reason::RateLimited, Scope::Key).on(&[429]).says(&[
        "for api_key",
        "for key",
        "parallel request limit",
    ]),
];
