//! Rules of providers that train the models they serve: Mistral, DeepSeek, xAI, Cohere, Voyage.

use crate::classify::rules::{Rule, fault, reject};
use crate::classify::{Reason, Rejection, Scope};
use crate::provider::dialect::{COMMON, Dialect, with_rules};
use crate::provider::limits::Windows;

pub(super) static MISTRAL: Dialect = with_rules(MISTRAL_RULES);
pub(super) static DEEPSEEK: Dialect = with_rules(DEEPSEEK_RULES);
pub(super) static XAI: Dialect = Dialect { rules: XAI_RULES, windows: Windows::UNKNOWN, ..COMMON };
pub(super) static COHERE: Dialect = with_rules(COHERE_RULES);
pub(super) static VOYAGE: Dialect = with_rules(VOYAGE_RULES);

/// Mistral: limits belong to the organisation. "Service tier capacity exceeded" concerns the model and has
/// the type of an invalid request (<https://docs.mistral.ai/deployment/ai-studio/tier>).
const MISTRAL_RULES: &[Rule] = &[
    fault(Reason::Overloaded, Scope::ProviderModel)
        .on(&[429, 503])
        .says(&["capacity exceeded", "overloaded"]),
    fault(Reason::QuotaExceeded, Scope::Account).on(&[402, 403, 429]).says(&["per month", "monthly"]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]).says(&["token", "for this model"]),
    fault(Reason::RateLimited, Scope::Account).on(&[429]),
];

/// DeepSeek: concurrency is counted per account over all its keys
/// (<https://api-docs.deepseek.com/quick_start/error_codes>).
const DEEPSEEK_RULES: &[Rule] = &[
    fault(Reason::QuotaExceeded, Scope::Account).on(&[402]),
    fault(Reason::QuotaExceeded, Scope::Account).says(&["insufficient balance"]),
    fault(Reason::InvalidKey, Scope::Key).on(&[401]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]),
    fault(Reason::Overloaded, Scope::Provider).on(&[503]),
];

/// xAI: `error` is a string beside a `code` that is a sentence. "does not have permission" is about credits
/// if the string is (<https://docs.x.ai/docs/key-information/debugging>).
const XAI_RULES: &[Rule] = &[
    fault(Reason::InvalidKey, Scope::Key).on(&[400, 401, 403]).says(&[
        "incorrect api key",
        "invalid api key",
        "api key is currently blocked",
        "api key is disabled",
    ]),
    fault(Reason::QuotaExceeded, Scope::Account).on(&[402, 403, 429]).says(&[
        "credits",
        "spending limit",
        "billing",
    ]),
    reject(Rejection::ContentFilter).on(&[400, 403]).says(&[
        "usage guidelines",
        "safety_check",
        "content violates",
    ]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]),
];

/// Cohere: trial keys of an organisation share their limits. The monthly limit is a used-up quota, not a rate
/// limit (<https://docs.cohere.com/docs/rate-limits>).
const COHERE_RULES: &[Rule] = &[
    reject(Rejection::ContextLength).on(&[400]).says(&["too many tokens"]),
    fault(Reason::QuotaExceeded, Scope::Account).on(&[402, 429]).says(&[
        "/ month",
        "per month",
        "monthly",
        "billing",
    ]),
    fault(Reason::RateLimited, Scope::Account).on(&[429]),
    fault(Reason::InvalidKey, Scope::Key).on(&[401, 498]),
    fault(Reason::ServerError, Scope::Provider).on(&[499]),
];

/// Voyage: without a payment method the limit is three requests a minute. The message sounds like a lack of
/// money and is a rate limit.
const VOYAGE_RULES: &[Rule] = &[fault(Reason::RateLimited, Scope::Account).on(&[429])];
