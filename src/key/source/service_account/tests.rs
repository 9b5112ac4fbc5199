//! The assertion of a service account, checked with its public key.

use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;
use tower::{ServiceExt, service_fn};

use super::*;

/// A key that was made for this test and is used nowhere.
const KEY: &str = include_str!("test_key.b64");

fn file(key: &str, endpoint: &str) -> String {
    let label = ["PRIVATE", "KEY"].join(" ");
    let pem = format!("-----BEGIN {label}-----\n{key}-----END {label}-----\n");
    json!({
        "type": "service_account",
        "client_email": "me@project.iam.gserviceaccount.com",
        "private_key": pem,
        "private_key_id": "key-7",
        "token_uri": endpoint,
    })
    .to_string()
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_gets_a_signed_assertion() {
    let client = service_fn(|request: Request<ReplayBody>| async move {
        let (head, body) = request.into_parts();
        assert_eq!(head.uri, "https://oauth2.example/token");
        let form = http_body_util::BodyExt::collect(body).await?.to_bytes();
        let form = String::from_utf8(form.to_vec())?;
        let assertion = form
            .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
            .ok_or("another form")?
            .to_owned();
        let token = json!({"access_token": assertion, "expires_in": 3599});
        Ok::<_, BoxError>(Response::new(http_body_util::Full::<Bytes>::from(token.to_string())))
    });
    let account = ServiceAccount::from_json(client, &file(KEY, "https://oauth2.example/token")).unwrap();
    let public = account.signer.key.public_key().as_ref().to_vec();
    // The client gives the assertion back in place of a token.
    let credential = account.oneshot(()).await.unwrap();
    let assertion = credential.secret.expose();
    let [header, claims, signature] = assertion.split('.').collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(decoded(header), json!({"alg": "RS256", "typ": "JWT", "kid": "key-7"}));
    let claims_of = decoded(claims);
    assert_eq!(claims_of["iss"], "me@project.iam.gserviceaccount.com");
    assert_eq!(claims_of["aud"], "https://oauth2.example/token");
    assert_eq!(claims_of["scope"], SCOPE);
    assert_eq!(claims_of["exp"].as_u64().unwrap() - claims_of["iat"].as_u64().unwrap(), 3_600);
    let signed = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    key.verify(signed.as_bytes(), &signature).expect("the signature is that of the account");
}

#[test]
fn a_file_that_is_none_is_not_shown() {
    for (text, expected) in [
        ("tkrmarker".to_owned(), InvalidServiceAccount::Json),
        (r#"{"private_key":"tkrmarker"}"#.to_owned(), InvalidServiceAccount::Json),
        (file("tkrmarker", "https://h/token"), InvalidServiceAccount::Key),
        (file("dGtybWFya2Vy", "https://h/token"), InvalidServiceAccount::Key),
        (file(KEY, "/token"), InvalidServiceAccount::Url),
    ] {
        let error = ServiceAccount::from_json((), &text).unwrap_err();
        assert_eq!(error, expected);
        assert!(!format!("{error} {error:?}").contains("tkrmarker"));
    }
    let account = ServiceAccount::from_json((), &file(KEY, "https://h/token")).unwrap();
    assert!(!format!("{account:?}").contains(&KEY[..16]));
}
