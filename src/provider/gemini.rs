//! Google: the Gemini API, the Code Assist API, and Vertex AI.
//!
//! Errors are classified by their `google.rpc` details: a reason in `ErrorInfo`, the `quotaId` of a
//! violation. The message says "check your plan and billing details" on every 429, including limits per
//! minute, and decides nothing. Limits are counted per project, whichever of its keys is used
//! (<https://ai.google.dev/gemini-api/docs/rate-limits>).

use std::time::Duration;

use serde_json::Value;

use crate::classify::response::UpstreamResponse;
use crate::classify::rules::{Rule, fault, reject};
use crate::classify::{Fault, Reason, Rejection, Scope, Verdict};
use crate::provider::dialect::{COMMON, Dialect};
use crate::provider::key_call::{KeyCall, Proof};
use crate::provider::preset::Preset;
use crate::provider::{AuthScheme, Endpoint, Endpoints, ModelPath, X_GOOG_API_KEY};

pub(super) static PRESET: Preset = Preset::with_auth(
    "gemini",
    Some("https://generativelanguage.googleapis.com/v1beta"),
    AuthScheme::Header(X_GOOG_API_KEY),
    &["GEMINI", "GOOGLE"],
    &DIALECT,
    "https://ai.google.dev/gemini-api/docs/api-key",
)
.endpoints(Endpoints::of(&[
    Endpoint::Chat,
    Endpoint::Embeddings,
    Endpoint::Models,
    Endpoint::GenerateContent,
    Endpoint::Live,
]))
.aliases(&["google", "google-gemini", "google-ai-studio"])
.key_call(KeyCall::new("/models", Proof::Key))
.env_names(&["GOOGLE_GENERATIVE_AI_API_KEY"])
.key_starts(&["AIza"])
.model_path(ModelPath::Google);

/// Vertex AI: access tokens instead of keys, and a quota that all customers share.
pub(super) static VERTEX: Preset = Preset::new(
    "vertex",
    "https://aiplatform.googleapis.com/v1",
    &["VERTEX"],
    &VERTEX_DIALECT,
    "https://cloud.google.com/vertex-ai/generative-ai/docs/start/quickstarts",
)
.endpoints(Endpoints::of(&[Endpoint::Chat, Endpoint::GenerateContent, Endpoint::Live]))
.aliases(&["vertex-ai", "vertexai", "google-vertex"])
.hosts(VERTEX_ORIGINS)
.key_starts(&["AIza"])
// The list of the project requires a token: `cloud/check.rs`.
.key_call(KeyCall::new("/models", Proof::Key))
.model_path(ModelPath::Google);

/// Code Assist, the backend of Gemini CLI and Antigravity. Takes access tokens instead of keys; names the
/// model in the body (<https://github.com/google-gemini/gemini-cli/issues/5377>).
pub(super) static CODE_ASSIST: Preset = Preset::new(
    "code-assist",
    "https://cloudcode-pa.googleapis.com",
    &["CODE_ASSIST"],
    &CODE_ASSIST_DIALECT,
    "https://github.com/google-gemini/gemini-cli",
)
.endpoints(Endpoints::of(&[Endpoint::GenerateContent]))
.aliases(&["gemini-code-assist", "gemini-cli", "antigravity"])
.hosts(&["https://daily-cloudcode-pa.googleapis.com"]);

/// Origins of Vertex AI, one per region: a wildcard would let a token go to every Google API.
const VERTEX_ORIGINS: &[&str] = &[
    "https://us-central1-aiplatform.googleapis.com",
    "https://us-east1-aiplatform.googleapis.com",
    "https://us-east4-aiplatform.googleapis.com",
    "https://us-east5-aiplatform.googleapis.com",
    "https://us-south1-aiplatform.googleapis.com",
    "https://us-west1-aiplatform.googleapis.com",
    "https://us-west4-aiplatform.googleapis.com",
    "https://northamerica-northeast1-aiplatform.googleapis.com",
    "https://southamerica-east1-aiplatform.googleapis.com",
    "https://europe-central2-aiplatform.googleapis.com",
    "https://europe-north1-aiplatform.googleapis.com",
    "https://europe-southwest1-aiplatform.googleapis.com",
    "https://europe-west1-aiplatform.googleapis.com",
    "https://europe-west2-aiplatform.googleapis.com",
    "https://europe-west3-aiplatform.googleapis.com",
    "https://europe-west4-aiplatform.googleapis.com",
    "https://europe-west6-aiplatform.googleapis.com",
    "https://europe-west8-aiplatform.googleapis.com",
    "https://europe-west9-aiplatform.googleapis.com",
    "https://asia-east1-aiplatform.googleapis.com",
    "https://asia-east2-aiplatform.googleapis.com",
    "https://asia-northeast1-aiplatform.googleapis.com",
    "https://asia-northeast3-aiplatform.googleapis.com",
    "https://asia-south1-aiplatform.googleapis.com",
    "https://asia-southeast1-aiplatform.googleapis.com",
    "https://australia-southeast1-aiplatform.googleapis.com",
    "https://me-central1-aiplatform.googleapis.com",
    "https://me-central2-aiplatform.googleapis.com",
    "https://me-west1-aiplatform.googleapis.com",
];

static DIALECT: Dialect =
    Dialect { rules: RULES, judge, bearer_below: Some("/openai/"), pacific_days: true, ..COMMON };
static VERTEX_DIALECT: Dialect = Dialect { rules: RULES, judge: judge_vertex, ..COMMON };
static CODE_ASSIST_DIALECT: Dialect = Dialect { rules: RULES, judge, ..COMMON };

const RULES: &[Rule] = &[
    fault(Reason::InvalidKey, Scope::Key).named(&[
        "API_KEY_INVALID",
        "CONSUMER_SUSPENDED",
        "ACCESS_TOKEN_EXPIRED",
        "ACCESS_TOKEN_TYPE_UNSUPPORTED",
        "CREDENTIALS_MISSING",
        "UNAUTHENTICATED",
    ]),
    // The OpenAI-compatible endpoint sends only the message and no reason.
    fault(Reason::InvalidKey, Scope::Key).on(&[400, 403]).says(&[
        "valid api key",
        "api key not valid",
        "api key not found",
        "api key expired",
        "reported as leaked",
        "unregistered callers",
    ]),
    fault(Reason::InvalidKey, Scope::Account).named(&["TOS_VIOLATION"]),
    fault(Reason::Blocked, Scope::Provider).on(&[400, 403]).says(&["location is not supported"]),
    fault(Reason::QuotaExceeded, Scope::Account)
        .named(&["BILLING_DISABLED", "INSUFFICIENT_G1_CREDITS_BALANCE"]),
    // The caller's `x-goog-user-project` names a project that is not the key's.
    reject(Rejection::Invalid).named(&["USER_PROJECT_DENIED"]),
    fault(Reason::Forbidden, Scope::Account).named(&["SERVICE_DISABLED", "CONSUMER_INVALID"]).of_account(),
    fault(Reason::Forbidden, Scope::Account)
        .on(&[400, 403])
        .says(&["not available in your country", "enable billing"])
        .of_account(),
    fault(Reason::Forbidden, Scope::Key)
        .named(&[
            "API_KEY_SERVICE_BLOCKED",
            "API_KEY_HTTP_REFERRER_BLOCKED",
            "API_KEY_IP_ADDRESS_BLOCKED",
            "API_KEY_ANDROID_APP_BLOCKED",
            "API_KEY_IOS_APP_BLOCKED",
        ])
        .of_account(),
    fault(Reason::Forbidden, Scope::Key).named(&["ACCESS_TOKEN_SCOPE_INSUFFICIENT"]).of_resource(),
    fault(Reason::Forbidden, Scope::Key).named(&["IAM_PERMISSION_DENIED"]),
    // A cache, a file or a tuned model that has expired or belongs to another project
    // (<https://github.com/googleapis/python-genai/issues/1218>).
    fault(Reason::Forbidden, Scope::Key)
        .on(&[403])
        .says(&[
            "cachedcontent",
            "cached content",
            "may not exist",
            "(or permission denied)",
            "permission to access the",
            "permission to access file",
        ])
        .of_resource(),
    fault(Reason::Forbidden, Scope::Key).on(&[403]),
    fault(Reason::Overloaded, Scope::ProviderModel).named(&["MODEL_CAPACITY_EXHAUSTED", "overloaded_error"]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[429]).says(&[
        "error-code-429",
        "no capacity available",
        "model is overloaded",
        "high demand",
    ]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]).says(&["check quota"]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[503, 529]),
    fault(Reason::ServerError, Scope::ProviderModel).on(&[499, 500, 504]),
];

/// Minimum wait that indicates a daily or longer quota (1 h).
const LONG: Duration = Duration::from_secs(60 * 60);

fn judge(response: &mut UpstreamResponse<'_>) -> Option<Verdict> {
    if response.status.as_u16() != 429 {
        return None;
    }
    let named = |names: &[&str]| names.iter().any(|name| response.body.is_named(name));
    if named(&["MODEL_CAPACITY_EXHAUSTED", "INSUFFICIENT_G1_CREDITS_BALANCE"]) {
        return None;
    }
    if let Some(violations) = violations(response) {
        return Some(by_violations(response, &violations));
    }
    let wait = response.wait();
    let spent = named(&["QUOTA_EXHAUSTED"])
        || wait.is_some_and(|wait| wait >= LONG)
        // Grounding has a daily quota that arrives without a violation and without a wait.
        || (wait.is_none() && response.body.says("exceeded your current quota"));
    spent.then(|| response.fault(Reason::QuotaExceeded, Scope::AccountModel))
}

fn judge_vertex(response: &mut UpstreamResponse<'_>) -> Option<Verdict> {
    // Dynamic shared quota is capacity that all customers share. An error of the project's own quota names
    // the metric.
    let shared = response.status.as_u16() == 429
        && response.body.says("resource exhausted")
        && !response.body.says("quota exceeded for");
    if shared && violations(response).is_none() {
        return Some(response.fault(Reason::Overloaded, Scope::ProviderModel));
    }
    let verdict = judge(response);
    // Without further details the metric decides. Those of models are counted per minute, whether their name says so
    // or not (<https://cloud.google.com/vertex-ai/generative-ai/docs/quotas>).
    let per_minute = response.status.as_u16() == 429
        && response.body.says("per_base_model")
        && !response.body.says("per_day");
    verdict.or_else(|| per_minute.then(|| response.fault(Reason::RateLimited, Scope::AccountModel)))
}

fn violations(response: &UpstreamResponse<'_>) -> Option<Vec<Value>> {
    let details = response.body.at("/error/details")?.as_array()?;
    let all: Vec<_> =
        details.iter().filter_map(|detail| detail.get("violations")?.as_array()).flatten().cloned().collect();
    (!all.is_empty()).then_some(all)
}

/// Classifies a response by its violations. Of several, the most severe counts: an allowance of zero, then a
/// daily quota, then a limit per minute.
fn by_violations(response: &UpstreamResponse<'_>, violations: &[Value]) -> Verdict {
    let field =
        |violation: &Value, name: &str| violation.get(name).and_then(Value::as_str).map(str::to_owned);
    if violations.iter().any(|violation| field(violation, "quotaValue").as_deref() == Some("0")) {
        return response.fault(Reason::Forbidden, Scope::AccountModel);
    }
    let daily = |violation: &Value| field(violation, "quotaId").is_some_and(|id| id.contains("PerDay"));
    if !violations.iter().any(daily) {
        return response.fault(Reason::RateLimited, Scope::AccountModel);
    }
    // Beside a daily quota a short wait is not reliable; a long one is the reset.
    let wait = response.wait().filter(|wait| *wait >= LONG);
    Fault::new(Reason::QuotaExceeded, Scope::AccountModel).with_retry_after(wait).into()
}
