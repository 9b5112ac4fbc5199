//! Every preset has all that a pool and its user need: a name, a base URL, authentication, names of variables, and
//! a page that documents them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::key::EnvKeys;
use tower_key_rotation::provider::AuthScheme;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};

/// Presets for which each customer or installation has its own host.
const HOSTED: [&str; 5] = ["azure", "databricks", "litellm", "one-api", "snowflake-cortex"];

/// Presets of servers on the local machine.
const LOCAL: [&str; 4] = ["llama-cpp", "lmstudio", "ollama-local", "vllm"];

fn all() -> impl Iterator<Item = Provider> {
    Provider::presets().map(|name| Provider::preset(name).unwrap())
}

#[test]
fn every_preset_allows_its_base_url() {
    for provider in all() {
        let name = provider.name();
        let Some(url) = provider.base_url() else {
            assert!(HOSTED.contains(&name), "{name}");
            continue;
        };
        assert!(!HOSTED.contains(&name), "{name}");
        let uri: Uri = url.parse().unwrap();
        assert_eq!(uri.scheme_str(), Some(if LOCAL.contains(&name) { "http" } else { "https" }), "{name}");
        assert!(provider.allows(&uri) && !url.ends_with('/') && uri.query().is_none(), "{name}: {url}");
    }
}

#[test]
fn every_preset_names_its_variables_and_finds_them() {
    for provider in all() {
        let name = provider.name();
        assert!(!provider.env_prefixes().is_empty(), "{name}");
        for prefix in provider.env_prefixes() {
            let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(prefix.bytes().all(upper) && !prefix.ends_with("_API_KEY"), "{name}: {prefix}");
            let found = EnvKeys::in_vars(&provider, [(format!("{prefix}_API_KEY"), "own-Ab12Cd34")]);
            assert_eq!(found.keys().len(), 1, "{name}: {prefix}");
        }
        for variable in provider.env_names() {
            let found = EnvKeys::in_vars(&provider, [(variable.as_ref(), "own-Ab12Cd34")]);
            assert_eq!(found.keys().len(), 1, "{name}: {variable}");
        }
    }
}

#[test]
fn documented_variables_are_searched() {
    let names: BTreeMap<&str, &str> = BTreeMap::from([
        ("bedrock", "AWS_BEARER_TOKEN_BEDROCK"),
        ("huggingface", "HF_TOKEN"),
        ("replicate", "REPLICATE_API_TOKEN"),
        ("cloudflare", "CLOUDFLARE_API_TOKEN"),
        ("cloudflare-ai-gateway", "CF_AIG_TOKEN"),
        ("github-models", "GITHUB_TOKEN"),
        ("github-copilot", "GITHUB_TOKEN"),
        ("gemini", "GOOGLE_GENERATIVE_AI_API_KEY"),
        ("digitalocean", "DIGITALOCEAN_ACCESS_TOKEN"),
        ("databricks", "DATABRICKS_TOKEN"),
        ("snowflake-cortex", "SNOWFLAKE_CORTEX_PAT"),
        ("scaleway", "SCW_SECRET_KEY"),
        ("vercel", "AI_GATEWAY_API_KEY"),
        ("volcengine", "ARK_API_KEY"),
        ("byteplus", "ARK_API_KEY"),
        ("opencode", "OPENCODE_API_KEY"),
        ("xiaomi", "XIAOMI_API_KEY"),
        ("io-intelligence", "IOINTELLIGENCE_API_KEY"),
        ("alibaba-coding-plan", "ALIBABA_CODING_PLAN_API_KEY"),
        ("alibaba-token-plan", "ALIBABA_TOKEN_PLAN_API_KEY"),
        ("moonshot", "KIMI_API_KEY"),
        ("zhipu", "ZHIPU_API_KEY"),
    ]);
    for (preset, variable) in names {
        let provider = Provider::preset(preset).unwrap();
        assert_eq!(EnvKeys::in_vars(&provider, [(variable, "k-Ab12")]).keys().len(), 1, "{preset}");
    }
}

#[test]
fn further_hosts_of_a_provider_take_its_keys() {
    for (preset, urls) in [
        ("dashscope", &["https://coding.dashscope.aliyuncs.com/v1", "https://dashscope.aliyuncs.com/x"][..]),
        ("dashscope", &["https://token-plan.maas.qwencloudapi.com/compatible-mode/v1"]),
        ("moonshot", &["https://api.moonshot.cn/v1", "https://api.kimi.com/coding/v1"]),
        ("minimax", &["https://api.minimaxi.com/anthropic/v1"]),
        ("zhipu", &["https://open.bigmodel.cn/api/coding/paas/v4"]),
        ("github-copilot", &["https://api.business.githubcopilot.com/chat/completions"]),
        ("xiaomi", &["https://token-plan-sgp.xiaomimimo.com/v1"]),
        ("databricks", &["https://w.cloud.databricks.com/x", "https://adb-1.2.azuredatabricks.net/x"]),
        ("snowflake-cortex", &["https://account.snowflakecomputing.com/api/v2/cortex/v1"]),
        ("baseten", &["https://model-1.api.baseten.co/environments/production/sync/v1"]),
        ("codex", &["https://chatgpt.com/backend-api/codex/responses"]),
        ("code-assist", &["https://cloudcode-pa.googleapis.com/v1internal:generateContent"]),
    ] {
        let provider = Provider::preset(preset).unwrap();
        for url in urls {
            assert!(provider.allows(&url.parse().unwrap()), "{preset}: {url}");
        }
    }
    let openai = Provider::openai();
    assert!(!openai.allows(&"https://chatgpt.com/backend-api".parse().unwrap()), "keys stay at the API");
}

#[test]
fn a_base_url_goes_with_the_origin_of_its_preset() {
    let own = Provider::openai().with_origin("https://eu.api.openai.com".parse().unwrap());
    assert_eq!((own.base_url(), own.docs_url().is_some()), (None, true));
    assert_eq!(Provider::openai().with_name("b").base_url(), Some("https://api.openai.com/v1"));
    let relay = Provider::compatible("relay");
    assert_eq!((relay.base_url(), relay.docs_url(), relay.needs_key()), (None, None, true));
}

#[test]
fn the_gateway_of_cloudflare_has_a_header_of_its_own() {
    let gateway = Provider::preset("cloudflare-ai-gateway").unwrap();
    let AuthScheme::Prefixed(header, word) = gateway.auth() else { panic!("{:?}", gateway.auth()) };
    assert_eq!((header.as_str(), &**word), ("cf-aig-authorization", "Bearer"));
}

#[tokio::test]
async fn a_local_server_needs_no_key() {
    for name in LOCAL {
        let provider = Provider::preset(name).unwrap();
        assert!(!provider.needs_key(), "{name}");
        let url = format!("{}/chat/completions", provider.base_url().unwrap());
        let pool = KeyPool::builder(provider).keys_from(EnvKeys::default()).build().unwrap();
        assert_eq!(pool.snapshot().keys[0].id.as_str(), "not-needed");
        let server = service_fn(|request: Request<ReplayBody>| async move {
            assert_eq!(request.headers()["authorization"], "Bearer no-key-is-needed");
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let request = Request::post(url).body(Full::<Bytes>::default()).unwrap();
        KeyRotationLayer::new(pool).layer(server).oneshot(request).await.unwrap();
    }
    let vllm = Provider::preset("vllm").unwrap();
    let pool = KeyPool::builder(vllm).key(ApiKey::new("sk-own").unwrap().id("own")).build().unwrap();
    assert_eq!(pool.snapshot().keys[0].id.as_str(), "own", "a server may have been started with a key");
}

#[test]
fn every_preset_gives_its_source() {
    for provider in all() {
        let docs: Uri = provider.docs_url().unwrap().parse().unwrap();
        assert!(docs.scheme_str() == Some("https") && docs.host().is_some(), "{}", provider.name());
    }
}
