//! Rules of cloud platforms: Azure OpenAI, AWS Bedrock, Cloudflare Workers AI.

use crate::classify::response::UpstreamResponse;
use crate::classify::rules::{Rule, fault, reject};
use crate::classify::{Reason, Rejection, Scope, Verdict};
use crate::provider::dialect::{COMMON, Dialect};
use crate::provider::limits::Windows;

/// Tokens of Microsoft Entra are bearer tokens, keys of a resource have a header of their own.
pub(super) static AZURE: Dialect =
    Dialect { rules: AZURE_RULES, errors_in_ok_bodies: true, bearer_tokens: true, ..COMMON };

pub(super) static BEDROCK: Dialect =
    Dialect { rules: BEDROCK_RULES, judge: name_the_exception, errors_in_ok_bodies: true, ..COMMON };

pub(super) static CLOUDFLARE: Dialect =
    Dialect { rules: CLOUDFLARE_RULES, windows: Windows::UNKNOWN, ..COMMON };

/// Azure OpenAI: limits are counted per subscription, region and deployment, so both keys of a resource share
/// them (<https://learn.microsoft.com/azure/ai-foundry/openai/quotas-limits>).
const AZURE_RULES: &[Rule] = &[
    fault(Reason::Blocked, Scope::Provider).on(&[403]).says(&[
        "virtual network",
        "firewall",
        "public access is disabled",
        "private endpoint",
    ]),
    reject(Rejection::Invalid).named(&["DeploymentNotFound", "OperationNotSupported"]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[429, 503]).named(&["NoCapacity", "no_capacity"]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[429, 500, 503]).says(&[
        "high demand",
        "during peak load",
        "overloaded",
        "no capacity",
    ]),
    fault(Reason::QuotaExceeded, Scope::Account).named(&["insufficient_quota"]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]),
    // The identity lacks the data action of one operation.
    fault(Reason::Forbidden, Scope::Key).on(&[401, 403]).named(&["PermissionDenied"]).of_resource(),
    fault(Reason::InvalidKey, Scope::Key).on(&[401]),
];

/// AWS Bedrock: one exception name stands for several causes. The name is in `x-amzn-errortype`
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html>).
const BEDROCK_RULES: &[Rule] = &[
    // The clock of this machine is wrong: no other key has another one.
    fault(Reason::Blocked, Scope::Provider)
        .on(&[400, 403])
        .says(&["signature expired:", "signature not yet current:"]),
    fault(Reason::InvalidKey, Scope::Key).named(&[
        "UnrecognizedClientException",
        "ExpiredTokenException",
        "ExpiredToken",
        "InvalidSignatureException",
        "IncompleteSignatureException",
        "IncompleteSignature",
        "MissingAuthenticationTokenException",
        "MissingAuthenticationToken",
        "InvalidClientTokenId",
    ]),
    fault(Reason::InvalidKey, Scope::Key).on(&[401, 403]).says(&[
        "security token",
        "api key is valid",
        "invalid api key",
        "api key has expired",
        "bearer token",
    ]),
    fault(Reason::Forbidden, Scope::AccountModel).on(&[403]).says(&[
        "model access",
        "access to the model",
        "marketplace",
    ]),
    fault(Reason::Forbidden, Scope::Key).on(&[403]),
    fault(Reason::QuotaExceeded, Scope::AccountModel)
        .on(&[402, 429, 500])
        .says(&["tokens per day", "requests per day"]),
    fault(Reason::QuotaExceeded, Scope::AccountModel).named(&["ServiceQuotaExceededException"]),
    fault(Reason::Overloaded, Scope::ProviderModel)
        .named(&["ModelNotReadyException", "ServiceUnavailableException"]),
    fault(Reason::RateLimited, Scope::AccountModel).named(&["ThrottlingException"]).on(&[400, 429, 500]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[503]),
    fault(Reason::ServerError, Scope::ProviderModel).on(&[408, 424, 500]),
];

/// Cloudflare: the codes in `errors` of its envelope
/// (<https://developers.cloudflare.com/workers-ai/platform/errors/>).
const CLOUDFLARE_RULES: &[Rule] = &[
    fault(Reason::QuotaExceeded, Scope::Account).named(&["3036", "4006"]),
    fault(Reason::Overloaded, Scope::ProviderModel).named(&["3040", "3007"]),
    fault(Reason::InvalidKey, Scope::Key).named(&["10000", "9109", "10001"]),
    reject(Rejection::Invalid).named(&["5007", "5004", "3042"]),
    fault(Reason::QuotaExceeded, Scope::Account).on(&[429]).says(&["daily free allocation", "neurons"]),
];

/// Adds the exception's name to the names of the body.
///
/// The name comes from the header or the body, without the namespace before it and the URL behind it
/// (<https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization>). Inside a stream,
/// where only the payload is available, it is derived from the message that throttling always uses.
fn name_the_exception(response: &mut UpstreamResponse<'_>) -> Option<Verdict> {
    let in_body = || response.body.at("/__type")?.as_str();
    if let Some(kind) = response.header("x-amzn-errortype").or_else(in_body) {
        let kind = kind.split(':').next().unwrap_or_default();
        let kind = kind.rsplit('#').next().unwrap_or_default().to_owned();
        response.add_name(&kind);
    } else if ["too many requests", "too many tokens", "throttl"]
        .iter()
        .any(|words| response.body.says(words))
    {
        response.add_name("ThrottlingException");
    }
    None
}
