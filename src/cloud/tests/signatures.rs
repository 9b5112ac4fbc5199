//! Signatures, computed again from the canonical request of the specification.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::*;
use crate::Served;
use crate::classify::Reason;

pub(super) const ID: &str = "AKIDEXAMPLE";
pub(super) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "FwoGZXIvYXdzEXAMPLETOKEN//////////wEaDtkrmarker=";
const BASE: &str = "https://bedrock-runtime.us-east-1.amazonaws.com";
const BODY: &str = r#"{"model":"anthropic.claude-v1:0","messages":[]}"#;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The signature by the specification.
fn signature(secret: &str, canonical: &str, date: &str, region: &str, service: &str) -> String {
    let scope = format!("{}/{region}/{service}/aws4_request", &date[..8]);
    let hash = hex(&Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let start = mac(format!("AWS4{secret}").as_bytes(), &date[..8]);
    let key = [region, service, "aws4_request"].iter().fold(start, |key, part| mac(&key, part));
    hex(&mac(&key, &text))
}

/// The canonical request of a request whose path has no dot segments and whose query is sorted.
fn canonical(seen: &Seen, signed: &str) -> String {
    let encode = |text: &str| text.replace('%', "%25");
    let header = |name: &str| match name {
        "host" => format!("host:{}\n", seen.uri.authority().unwrap()),
        name => format!("{name}:{}\n", seen.header(name).trim()),
    };
    let headers: String = signed.split(';').map(header).collect();
    let query = seen.uri.query().unwrap_or_default();
    let hash = hex(&Sha256::digest(&seen.body));
    format!("{}\n{}\n{query}\n{headers}\n{signed}\n{hash}", seen.method, encode(seen.uri.path()))
}

/// Checks the signature of a request, and returns the names of the signed headers.
pub(super) fn check(seen: &Seen, (id, secret): (&str, &str), (region, service): (&str, &str)) -> String {
    let date = seen.header("x-amz-date");
    let header = seen.header("authorization");
    let scope = format!("{}/{region}/{service}/aws4_request", &date[..8]);
    let rest = header.strip_prefix(&format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, ")).expect(header);
    let (signed, given) = rest.split_once(", Signature=").unwrap();
    let signed = signed.strip_prefix("SignedHeaders=").unwrap();
    assert_eq!(given, signature(secret, &canonical(seen, signed), date, region, service));
    signed.to_owned()
}

#[test]
fn the_check_agrees_with_the_official_vector() {
    let empty = hex(&Sha256::digest(""));
    let canonical = format!(
        "GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n{empty}"
    );
    assert_eq!(
        signature(SECRET, &canonical, "20150830T123600Z", "us-east-1", "service"),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
}

#[tokio::test]
async fn each_attempt_is_signed_as_it_is_sent() {
    // The first credentials are unknown, so the request is signed again with the second ones.
    let (client, log) = upstream(|seen| match seen.header("authorization").contains(ID) {
        true => {
            let mut refused =
                reply(403, r#"{"message":"The security token included in the request is invalid."}"#);
            let name = "UnrecognizedClientException:http://internal.amazon.com/coral/";
            refused.headers_mut().insert("x-amzn-errortype", name.parse().unwrap());
            refused
        }
        false => ok(seen),
    });
    let west = "https://bedrock-runtime.us-west-2.amazonaws.com";
    let keys = vec![
        key(&format!("{ID}:{SECRET}"), BASE).id("one"),
        key(&format!("ASIAOTHER:other+{SECRET}:{TOKEN}"), west).id("two"),
    ];
    let (service, pool) = rotating(Cloud::bedrock("us-east-1"), "bedrock", keys, client);
    let mut request = post("/v1/messages", BODY);
    for (name, value) in [
        ("x-amzn-bedrock-guardrailidentifier", "g-1"),
        ("x-amz-date", "19990101T000000Z"),
        ("accept-encoding", "gzip"),
        ("user-agent", "test"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let (head, _) = send(&service, request).await.unwrap();
    assert_eq!(head.extensions.get::<Served>().unwrap().key_id().as_str(), "two");
    let seen = log.take();
    let signed = check(&seen[0], (ID, SECRET), ("us-east-1", "bedrock"));
    assert_eq!(signed, "content-type;host;x-amz-date;x-amzn-bedrock-guardrailidentifier");
    // The region is that of the key's host.
    let signed = check(&seen[1], ("ASIAOTHER", &format!("other+{SECRET}")), ("us-west-2", "bedrock"));
    assert!(signed.contains("x-amz-security-token"), "{signed}");
    assert_eq!(seen[1].header("x-amz-security-token"), TOKEN);
    assert_eq!(seen[1].uri.path(), "/model/anthropic.claude-v1%3A0/invoke");
    for seen in seen {
        assert!(!format!("{seen:?}").contains(SECRET), "the secret is never sent");
        assert_eq!((seen.header("accept-encoding"), seen.header("x-api-key")), ("", ""));
        assert!(seen.headers["authorization"].is_sensitive());
    }
    let snapshot = format!("{:?}", pool.snapshot());
    assert!(!snapshot.contains(SECRET) && !snapshot.contains(TOKEN));
    assert_eq!(pool.usable(None), 1, "the unknown credentials are out: {:?}", Reason::InvalidKey);
}

#[tokio::test]
async fn mantle_is_another_service() {
    let (client, log) = upstream(ok);
    let keys = vec![key(&format!("{ID}:{SECRET}"), "https://bedrock-mantle.eu-north-1.api.aws")];
    let (service, _) = rotating(Cloud::bedrock_mantle("us-east-1"), "bedrock", keys, client);
    send(&service, post("/v1/messages", BODY)).await.unwrap();
    let seen = log.one();
    check(&seen, (ID, SECRET), ("eu-north-1", "bedrock-mantle"));
    assert_eq!((seen.body.as_str(), seen.header("anthropic-version")), (BODY, "2023-06-01"));
}

#[tokio::test]
async fn a_region_behind_another_host_is_the_configured_one() {
    for (host, region) in
        [("127.0.0.1:1", "ap-south-1"), ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1")]
    {
        let (client, log) = upstream(ok);
        let keys = vec![key(&format!("{ID}:{SECRET}"), &format!("http://{host}"))];
        let (service, _) = rotating(Cloud::bedrock("ap-south-1"), "bedrock", keys, client);
        send(&service, post("/v1/messages", BODY)).await.unwrap();
        check(&log.one(), (ID, SECRET), (region, "bedrock"));
    }
}

#[tokio::test]
async fn an_echoed_token_is_removed() {
    // AWS repeats the canonical request, with the token in it.
    let (client, _) = upstream(|seen| {
        let token = seen.header("x-amz-security-token");
        let mut response = reply(400, &format!(r#"{{"message":"canonical: x-amz-security-token:{token}"}}"#));
        response.headers_mut().insert("x-echo", token.parse().unwrap());
        response
    });
    let keys = vec![key(&format!("{ID}:{SECRET}:{TOKEN}"), BASE)];
    let (service, _) = rotating(Cloud::bedrock("us-east-1"), "bedrock", keys, client);
    let (head, body) = send(&service, post("/v1/messages", BODY)).await.unwrap();
    assert_eq!(head.status, 400);
    assert!(body.contains("canonical: ") && !body.contains("tkrmarker"), "{body}");
    assert!(!format!("{head:?}").contains("tkrmarker"), "{head:?}");
}

#[test]
fn credentials_are_never_printed() {
    let key = key(&format!("{ID}:{SECRET}:{TOKEN}"), BASE);
    let pool = KeyPool::builder(Provider::preset("bedrock").unwrap()).key(key.clone()).build().unwrap();
    let text = format!("{key:?} {pool:?} {:?}", pool.snapshot());
    assert!(![ID, SECRET, TOKEN].iter().any(|part| text.contains(part)), "{text}");
}
