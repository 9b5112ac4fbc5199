//! The text in which files, commands and token endpoints give a secret: plain, or JSON.

use std::time::Duration;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::key::source::credential::Credential;
use crate::scrub::secret::{InvalidSecret, Secret};

/// The error of a text in which no secret is found. It contains no part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoSecret {
    /// The text is neither a plain secret nor JSON.
    #[error("neither a plain secret nor JSON")]
    Text(#[source] InvalidSecret),
    /// The JSON is invalid.
    #[error("invalid JSON")]
    Json,
    /// The JSON has no member with a secret.
    #[error(
        "the JSON has none of `access_token`, `accessToken`, `token`, `secret`, `api_key`, `key` and `AccessKeyId`"
    )]
    Member,
}

/// Names of the members that hold a secret: OAuth 2.0 (RFC 6749), `az account get-access-token`, Kubernetes'
/// ExecCredential, and words of programs of one's own.
const SECRETS: [&str; 6] = ["access_token", "accessToken", "token", "secret", "api_key", "key"];

/// Names of the objects around them: Kubernetes' ExecCredential, `gcloud config config-helper`, Vault, `aws sts`.
const WRAPPERS: [&str; 5] = ["status", "credential", "data", "auth", "Credentials"];

/// Names of members with the seconds until the expiry.
const SECONDS_LEFT: [&str; 3] = ["expires_in", "expiresIn", "lease_duration"];

/// Names of members with the time of the expiry, in seconds since the Unix epoch or by RFC 3339.
const EXPIRIES: [&str; 7] = [
    "expires_at",
    "expires_on",
    "expiresAt",
    "expirationTimestamp",
    "token_expiry",
    "expiration",
    "Expiration",
];

/// Reads a secret: a plain text, or a JSON object.
pub(super) fn read(text: &str) -> Result<Credential, NoSecret> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if !text.starts_with('{') {
        return Ok(Credential::new(Secret::new(text).map_err(NoSecret::Text)?));
    }
    let whole: Value = serde_json::from_str(text).map_err(|_| NoSecret::Json)?;
    let inner = WRAPPERS.iter().filter_map(|name| whole.get(name));
    let secret_of = |object| {
        let plain = first(object, &SECRETS, Value::as_str).map(str::to_owned);
        plain.or_else(|| aws(object))
    };
    let (object, secret) = std::iter::once(&whole)
        .chain(inner)
        .find_map(|object| Some((object, secret_of(object)?)))
        .ok_or(NoSecret::Member)?;
    let mut credential = Credential::new(Secret::new(secret).map_err(NoSecret::Text)?);
    let expiry = |object| {
        let left = first(object, &SECONDS_LEFT, seconds).filter(|seconds| *seconds > 0);
        let left = left.map(|seconds| Timestamp::now().saturating_add(Duration::from_secs(seconds)));
        left.or_else(|| first(object, &EXPIRIES, time))
    };
    credential.expires_at = expiry(object).or_else(|| expiry(&whole));
    Ok(credential)
}

/// Returns AWS credentials as a key: `ID:SECRET`, or `ID:SECRET:TOKEN` of a session. So they come from
/// `aws configure export-credentials`, from `aws sts`, and from the metadata services of AWS, which call the token
/// `Token`.
fn aws(object: &Value) -> Option<String> {
    let text = |name: &str| object.get(name)?.as_str();
    let [id, secret] = [text("AccessKeyId")?, text("SecretAccessKey")?];
    let token = text("SessionToken").or_else(|| text("Token"));
    Some([Some(id), Some(secret), token].into_iter().flatten().collect::<Vec<_>>().join(":"))
}

/// Returns the first of these members that has a value.
fn first<'a, T>(object: &'a Value, names: &[&str], value: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
    names.iter().find_map(|name| object.get(name).and_then(&value))
}

/// Returns a number of seconds, which some endpoints write as text.
fn seconds(value: &Value) -> Option<u64> {
    let of_float = || value.as_f64().filter(|it| *it >= 0.0).map(|it| it as u64);
    value.as_u64().or_else(of_float).or_else(|| value.as_str()?.trim().parse().ok())
}

/// Returns a point in time. A date without a zone is none.
fn time(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = seconds(value) {
        return Some(Timestamp::from_unix_ms(seconds.saturating_mul(1_000)));
    }
    let at: jiff::Timestamp = value.as_str()?.parse().ok()?;
    Some(Timestamp::from_unix_ms(u64::try_from(at.as_millisecond()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn secrets_are_read_in_the_ways_in_which_programs_print_them() {
        let now = Timestamp::now().as_unix_ms();
        let at = Some(4_102_444_800_000);
        for (text, expected) in [
            ("sk-one\n", None),
            ("\u{feff}sk-one\r\n", None),
            (r#"{"access_token":"sk-one","expires_in":60,"token_type":"Bearer"}"#, Some(now + 60_000)),
            (r#"{"access_token":"sk-one","expires_in":"60"}"#, Some(now + 60_000)),
            (r#"{"accessToken":"sk-one","expiresOn":"2100-01-01 01:00:00.0","expires_on":4102444800}"#, at),
            (
                r#"{"kind":"ExecCredential","status":{"token":"sk-one","expirationTimestamp":"2100-01-01T00:00:00Z"}}"#,
                at,
            ),
            (r#"{"credential":{"access_token":"sk-one","token_expiry":"2100-01-01T00:00:00Z"}}"#, at),
            (r#"{"lease_duration":60,"data":{"api_key":"sk-one"}}"#, Some(now + 60_000)),
            (r#"{"lease_duration":0,"data":{"api_key":"sk-one"}}"#, None),
        ] {
            let read = read(text).unwrap();
            assert_eq!(read.secret.expose(), "sk-one", "{text}");
            assert_eq!(read.expires_at.map(Timestamp::as_unix_ms), expected, "{text}");
        }
    }

    #[test]
    fn aws_credentials_are_one_secret() {
        let own = r#""AccessKeyId":"AKIA1","SecretAccessKey":"s/+","Expiration":"2100-01-01T00:00:00+00:00""#;
        for (text, expected) in [
            (format!(r#"{{"Version":1,{own}}}"#), "AKIA1:s/+"),
            (format!(r#"{{{own},"SessionToken":"t="}}"#), "AKIA1:s/+:t="),
            (format!(r#"{{"Code":"Success",{own},"Token":"t="}}"#), "AKIA1:s/+:t="),
            (format!(r#"{{"Credentials":{{{own},"SessionToken":"t="}}}}"#), "AKIA1:s/+:t="),
        ] {
            let read = read(&text).unwrap();
            assert_eq!(read.secret.expose(), expected);
            assert_eq!(read.expires_at.map(Timestamp::as_unix_ms), Some(4_102_444_800_000));
        }
        assert_eq!(read(r#"{"AccessKeyId":"AKIA1"}"#).unwrap_err(), NoSecret::Member);
    }

    #[test]
    fn a_text_without_a_secret_is_not_shown() {
        for text in ["", "two tkrmarker", "{tkrmarker", r#"{"tkrmarker":1}"#, r#"{"token":"a tkrmarker"}"#] {
            let error = read(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("tkrmarker"), "{error}");
        }
    }
}
