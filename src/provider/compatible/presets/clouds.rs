//! Presets of cloud platforms.

use http::HeaderName;

use crate::provider::compatible::clouds;
use crate::provider::dialect::{COMMON, Dialect};
use crate::provider::key_call::{KeyCall, Proof};
use crate::provider::preset::Preset;
use crate::provider::{API_KEY, AuthScheme, Endpoint, Endpoints, ModelPath};

static GENERIC: Dialect = COMMON;

pub(super) static ROWS: [Preset; 6] = [
    // The host is `RESOURCE.openai.azure.com`
    // (<https://learn.microsoft.com/azure/ai-foundry/openai/reference>).
    Preset::with_auth(
        "azure",
        None,
        AuthScheme::Header(API_KEY),
        &["AZURE_OPENAI", "AZURE"],
        &clouds::AZURE,
        "https://learn.microsoft.com/azure/ai-foundry/openai/reference",
    )
    .endpoints(Endpoints::OPENAI)
    .aliases(&["azure-openai", "azure-ai", "azure-foundry"])
    .hosts(&[
        "https://*.openai.azure.com",
        "https://*.services.ai.azure.com",
        "https://*.cognitiveservices.azure.com",
    ])
    // The header is required: <https://learn.microsoft.com/rest/api/azureopenai/models/list>.
    .key_call(KeyCall::new("/models", Proof::Key))
    .model_path(ModelPath::Azure),
    // Bearer tokens, and the name of the variable:
    // <https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html>.
    Preset::with_auth(
        "bedrock",
        Some("https://bedrock-runtime.us-east-1.amazonaws.com"),
        BEDROCK_AUTH,
        &["BEDROCK"],
        &clouds::BEDROCK,
        "https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html",
    )
    .endpoints(Endpoints::of(&[Endpoint::Chat]))
    .aliases(&["aws-bedrock", "amazon-bedrock", "aws"])
    .hosts(BEDROCK_HOSTS)
    .env_names(&["AWS_BEARER_TOKEN_BEDROCK"])
    // Each endpoint has a list of its own, and none is open: `cloud/check.rs`.
    .key_call(KeyCall::new("/models", Proof::Key))
    .model_path(ModelPath::Bedrock),
    // The path of the base URL continues with `/accounts/ACCOUNT/ai/v1`.
    Preset::new(
        "cloudflare",
        "https://api.cloudflare.com/client/v4",
        &["CLOUDFLARE"],
        &clouds::CLOUDFLARE,
        "https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/",
    )
    .aliases(&["cloudflare-workers-ai", "workers-ai"])
    .env_names(&["CLOUDFLARE_API_TOKEN"])
    .model_path(ModelPath::Cloudflare),
    // The token of the gateway has a header of its own. The path of the base URL continues with
    // `/ACCOUNT/GATEWAY/compat`. The gateway itself holds the providers' keys: a key that the caller sends in
    // `Authorization` is removed.
    Preset::with_auth(
        "cloudflare-ai-gateway",
        Some("https://gateway.ai.cloudflare.com/v1"),
        AuthScheme::Prefixed(
            HeaderName::from_static("cf-aig-authorization"),
            std::borrow::Cow::Borrowed("Bearer"),
        ),
        &["CF_AIG"],
        &clouds::CLOUDFLARE,
        "https://developers.cloudflare.com/ai-gateway/configuration/authentication/",
    )
    .endpoints(Endpoints::OPENAI)
    .env_names(&["CF_AIG_TOKEN"]),
    // The host is that of the workspace, on one of three clouds.
    Preset::hosted(
        "databricks",
        &["DATABRICKS"],
        &GENERIC,
        "https://docs.databricks.com/en/machine-learning/foundation-models/api-reference.html",
    )
    .hosts(&[
        "https://*.cloud.databricks.com",
        "https://*.azuredatabricks.net",
        "https://*.gcp.databricks.com",
    ])
    .env_names(&["DATABRICKS_TOKEN"]),
    // The host is that of the account, the path `/api/v2/cortex/v1`; keys are programmatic access tokens.
    Preset::hosted(
        "snowflake-cortex",
        &["SNOWFLAKE"],
        &GENERIC,
        "https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api",
    )
    .aliases(&["snowflake", "cortex"])
    .hosts(&["https://*.snowflakecomputing.com"])
    .env_names(&["SNOWFLAKE_CORTEX_PAT"]),
];

/// Keys of Bedrock: tokens, or credentials that sign.
#[cfg(feature = "sigv4")]
const BEDROCK_AUTH: AuthScheme = AuthScheme::AwsSigV4;
#[cfg(not(feature = "sigv4"))]
const BEDROCK_AUTH: AuthScheme = AuthScheme::Bearer;

/// Origins of Bedrock, one per region: a wildcard would let a key go to any service that Amazon hosts for its
/// customers.
const BEDROCK_HOSTS: &[&str] = &[
    "https://bedrock-runtime.us-east-2.amazonaws.com",
    "https://bedrock-runtime.us-west-1.amazonaws.com",
    "https://bedrock-runtime.us-west-2.amazonaws.com",
    "https://bedrock-runtime.us-gov-east-1.amazonaws.com",
    "https://bedrock-runtime.us-gov-west-1.amazonaws.com",
    "https://bedrock-runtime.ca-central-1.amazonaws.com",
    "https://bedrock-runtime.sa-east-1.amazonaws.com",
    "https://bedrock-runtime.eu-central-1.amazonaws.com",
    "https://bedrock-runtime.eu-central-2.amazonaws.com",
    "https://bedrock-runtime.eu-north-1.amazonaws.com",
    "https://bedrock-runtime.eu-south-1.amazonaws.com",
    "https://bedrock-runtime.eu-south-2.amazonaws.com",
    "https://bedrock-runtime.eu-west-1.amazonaws.com",
    "https://bedrock-runtime.eu-west-2.amazonaws.com",
    "https://bedrock-runtime.eu-west-3.amazonaws.com",
    "https://bedrock-runtime.ap-northeast-1.amazonaws.com",
    "https://bedrock-runtime.ap-northeast-2.amazonaws.com",
    "https://bedrock-runtime.ap-northeast-3.amazonaws.com",
    "https://bedrock-runtime.ap-south-1.amazonaws.com",
    "https://bedrock-runtime.ap-south-2.amazonaws.com",
    "https://bedrock-runtime.ap-southeast-1.amazonaws.com",
    "https://bedrock-runtime.ap-southeast-2.amazonaws.com",
    "https://bedrock-runtime.me-central-1.amazonaws.com",
];
