//! Checks of keys at clouds: the calls that they make, and what they conclude.

use std::time::Duration;

use super::signatures::{ID, SECRET, check};
use super::*;
use crate::check::{CheckResult, KeyChecks};
use crate::guard::OriginGuardLayer;
use crate::key::KeyCheck;

const BEDROCK: &str = "https://bedrock-runtime.us-east-1.amazonaws.com";
const VERTEX: &str = "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5";
const AZURE: &str = "https://r.openai.azure.com";

/// The service of checks at a cloud, whose base URL is that of the provider.
fn checks(
    cloud: Cloud,
    provider: &str,
    base: &str,
    keys: Vec<ApiKey>,
    client: Client,
) -> KeyChecks<CloudService<Client>> {
    let pool = KeyPool::builder(Provider::preset(provider).unwrap()).keys(keys).build().unwrap();
    KeyChecks::new(pool, CloudLayer::new(cloud).layer(client))
        .base_url(base)
        .confirm_after(Duration::from_millis(1))
}

async fn one(checks: &KeyChecks<CloudService<Client>>) -> KeyCheck {
    let id = checks.pool().snapshot().keys[0].id.clone();
    checks.check(&id).await.unwrap()
}

fn list(_: &Seen) -> Response<Full<Bytes>> {
    reply(200, r#"{"modelSummaries":[]}"#)
}

#[tokio::test]
async fn bedrock_lists_its_models_by_a_signed_call() {
    for (base, host, region) in [
        (BEDROCK, "bedrock.us-east-1.amazonaws.com", "us-east-1"),
        (
            "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1",
            "bedrock.eu-west-1.amazonaws.com",
            "eu-west-1",
        ),
        (
            "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com",
            "bedrock-fips.us-gov-west-1.amazonaws.com",
            "us-gov-west-1",
        ),
        // Behind another host, that host and the configured region.
        ("http://127.0.0.1:1/aws", "127.0.0.1:1/aws", "us-east-1"),
    ] {
        let (client, log) = upstream(list);
        let keys = vec![key(&format!("{ID}:{SECRET}"), base)];
        let checks = checks(Cloud::bedrock("us-east-1"), "bedrock", base, keys, client);
        assert_eq!(one(&checks).await.result, CheckResult::Valid);
        let seen = log.one();
        let scheme = base.split("//").next().unwrap();
        assert_eq!(
            (seen.method.as_str(), seen.url()),
            ("GET", format!("{scheme}//{host}/foundation-models"))
        );
        check(&seen, (ID, SECRET), (region, "bedrock"));
    }
}

#[tokio::test]
async fn bedrock_takes_api_keys_for_the_list() {
    let (client, log) = upstream(list);
    let keys = vec![ApiKey::new("bedrock-api-key-tkrmarker").unwrap()];
    let checks = checks(Cloud::bedrock("us-east-1"), "bedrock", BEDROCK, keys, client);
    assert_eq!(one(&checks).await.result, CheckResult::Valid);
    let seen = log.one();
    assert_eq!(seen.url(), "https://bedrock.us-east-1.amazonaws.com/foundation-models");
    assert_eq!(seen.header("authorization"), "Bearer bedrock-api-key-tkrmarker");
}

#[tokio::test]
async fn mantle_lists_its_models_for_its_own_service() {
    for base in ["https://bedrock-mantle.eu-north-1.api.aws", "https://bedrock-mantle.eu-north-1.api.aws/v1"]
    {
        let (client, log) = upstream(list);
        let keys = vec![key(&format!("{ID}:{SECRET}"), base)];
        let checks = checks(Cloud::bedrock_mantle("us-east-1"), "bedrock", base, keys, client);
        assert_eq!(one(&checks).await.result, CheckResult::Valid);
        let seen = log.one();
        assert_eq!(seen.url(), "https://bedrock-mantle.eu-north-1.api.aws/v1/models");
        check(&seen, (ID, SECRET), ("eu-north-1", "bedrock-mantle"));
    }
}

#[tokio::test]
async fn azure_lists_its_models_by_either_api() {
    let old = Cloud::azure().api_version("2024-10-21");
    for (cloud, base, url) in [
        (Cloud::azure(), AZURE, "https://r.openai.azure.com/openai/v1/models"),
        (
            Cloud::azure(),
            "https://r.openai.azure.com/openai/v1",
            "https://r.openai.azure.com/openai/v1/models",
        ),
        (old, AZURE, "https://r.openai.azure.com/openai/models?api-version=2024-10-21"),
    ] {
        let (client, log) = upstream(list);
        let checks = checks(cloud, "azure", base, vec![ApiKey::new("tkrmarker-azure").unwrap()], client);
        assert_eq!(one(&checks).await.result, CheckResult::Valid);
        let seen = log.one();
        assert_eq!((seen.url().as_str(), seen.header("api-key")), (url, "tkrmarker-azure"));
    }
}

#[tokio::test]
async fn vertex_lists_the_models_of_the_project_of_the_key() {
    let west = "https://us-west1-aiplatform.googleapis.com/v1/projects/q/locations/us-west1";
    let behind_proxy = "http://127.0.0.1:1/google/v1/projects/images/locations/global";
    for (own, base) in [(None, VERTEX), (Some(west), west), (Some(behind_proxy), behind_proxy)] {
        let (client, log) = upstream(list);
        let token = ApiKey::new("ya29.tkrmarker").unwrap();
        let token = own.into_iter().fold(token, |token, own| {
            let path = VERTEX.split_once(".com").unwrap().1;
            token.base_url(own.parse::<crate::provider::BaseUrl>().unwrap().replacing(path))
        });
        let checks = checks(Cloud::vertex(), "vertex", VERTEX, vec![token], client);
        assert_eq!(one(&checks).await.result, CheckResult::Valid);
        let seen = log.one();
        assert_eq!((seen.method.as_str(), seen.url()), ("GET", format!("{base}/models?pageSize=1")));
        assert_eq!(seen.header("authorization"), "Bearer ya29.tkrmarker");
    }
}

#[tokio::test]
async fn a_place_without_a_project_has_no_call() {
    let (client, log) = upstream(list);
    let keys = vec![ApiKey::new("ya29.tkrmarker").unwrap()];
    let base = "https://aiplatform.googleapis.com/v1";
    let check = one(&checks(Cloud::vertex(), "vertex", base, keys, client)).await;
    assert_eq!((check.result, check.status), (CheckResult::NoCall, None));
    assert!(log.take().is_empty());
}

#[tokio::test]
async fn an_operators_path_is_called_as_it_is() {
    let (client, log) = upstream(list);
    let keys = vec![key(&format!("{ID}:{SECRET}"), BEDROCK)];
    let checks = checks(Cloud::bedrock("us-east-1"), "bedrock", BEDROCK, keys, client);
    one(&checks.path("/async-invoke?maxResults=1")).await;
    let seen = log.take();
    assert_eq!(seen[0].url(), format!("{BEDROCK}/async-invoke?maxResults=1"));
    check(&seen[0], (ID, SECRET), ("us-east-1", "bedrock"));
    // What a path of the operator's proves is asked without the key.
    assert_eq!((seen.len(), seen[1].header("authorization")), (2, ""));
}

#[tokio::test]
async fn refused_credentials_are_told_from_missing_permissions() {
    let exception = |name: &'static str, message: &'static str| {
        move |_: &Seen| {
            let mut refused = reply(403, &format!(r#"{{"message":"{message}"}}"#));
            refused.headers_mut().insert("x-amzn-errortype", name.parse().unwrap());
            refused
        }
    };
    let unknown = upstream(exception("UnrecognizedClientException", "The security token is invalid."));
    let denied = upstream(exception("AccessDeniedException", "not authorized to perform: bedrock:List"));
    for ((client, log), result, calls, usable) in
        [(unknown, CheckResult::Invalid, 2, 0), (denied, CheckResult::Forbidden, 1, 1)]
    {
        let keys = vec![key(&format!("{ID}:{SECRET}"), BEDROCK)];
        let checks = checks(Cloud::bedrock("us-east-1"), "bedrock", BEDROCK, keys, client);
        assert_eq!((one(&checks).await.result, log.take().len()), (result, calls));
        assert_eq!(checks.pool().usable(None), usable);
    }
}

#[tokio::test]
async fn a_guard_of_origins_lets_the_call_pass() {
    for base in [None, Some(BEDROCK)] {
        let (client, log) = upstream(list);
        let provider = Provider::preset("bedrock").unwrap();
        let guarded = BoxCloneSyncService::new(OriginGuardLayer::new(provider).layer(client));
        let secret = ApiKey::new(format!("{ID}:{SECRET}")).unwrap();
        let keys = vec![base.into_iter().fold(secret, |key, base| key.base_url(base.parse().unwrap()))];
        let checks = checks(Cloud::bedrock("us-east-1"), "bedrock", BEDROCK, keys, guarded);
        assert_eq!(one(&checks).await.result, CheckResult::Valid);
        check(&log.one(), (ID, SECRET), ("us-east-1", "bedrock"));
    }
}
