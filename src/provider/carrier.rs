//! Detection of headers and query parameters that carry a credential or name the account that pays.
//!
//! Providers differ in names and agree in words: `x-goog-api-key`, `ocp-apim-subscription-key`,
//! `anthropic-workspace-id`. Names are therefore recognised by their last words, and only those without such
//! a word are listed.
//!
//! Sources of the names: the API references of OpenAI (`OpenAI-Organization`, `OpenAI-Project`), Google
//! (`x-goog-user-project` and the system parameters `key`, `access_token`, `oauth_token`, `userProject` and
//! `httpHeaders`, also with a `$` before them), Azure, AWS, Cloudflare, Hugging Face (`X-HF-Bill-To`) and
//! DashScope (`X-DashScope-WorkSpace`).

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

/// A request extension with the headers that name the account, as the operator of a chain has set them. They
/// are restored after those of the caller have been removed.
#[derive(Clone)]
pub(crate) struct AccountHeaders(Arc<[(HeaderName, HeaderValue)]>);

impl AccountHeaders {
    /// Selects the headers that name an account; `None` if there are none.
    pub(crate) fn among(headers: &[(HeaderName, HeaderValue)]) -> Option<Self> {
        let of_account = |(name, _): &&(HeaderName, HeaderValue)| is_account(name.as_str());
        headers.iter().find(of_account)?;
        Some(Self(headers.iter().filter(of_account).cloned().collect()))
    }

    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in self.0.iter() {
            headers.insert(name, value.clone());
        }
    }
}

/// Returns whether a request header carries a credential or names the account that pays.
pub(super) fn is_carrier(name: &HeaderName) -> bool {
    let name = name.as_str();
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    match last_word(name) {
        "key" => !ends(&["idempotency-key", "cache-key", "websocket-key", "session-key", "affinity-key"]),
        "token" => ends(&[
            "auth-token",
            "access-token",
            "security-token",
            "api-token",
            "id-token",
            "authorization-token",
        ]),
        "apikey" | "authorization" | "authentication" | "auxiliary" | "cookie" => true,
        "protocol" => name == "sec-websocket-protocol",
        "id" => is_listed(name) || is_account(name),
        "email" | "secret" | "auth" | "to" => is_listed(name),
        word => names_account(word),
    }
}

fn is_listed(name: &str) -> bool {
    matches!(
        name,
        "helicone-auth" | "x-hf-bill-to" | "x-auth-email" | "cf-access-client-id" | "cf-access-client-secret"
    )
}

/// Returns whether a request header names the account that pays, without carrying a credential.
fn is_account(name: &str) -> bool {
    names_account(last_word(name.strip_suffix("-id").unwrap_or(name)))
}

fn names_account(word: &str) -> bool {
    matches!(
        word,
        "organization" | "organisation" | "project" | "workspace" | "tenant" | "subscription" | "account"
    )
}

fn last_word(name: &str) -> &str {
    let start = name.bytes().rposition(|byte| matches!(byte, b'-' | b'_')).map_or(0, |at| at + 1);
    name.get(start..).unwrap_or_default()
}

/// Returns whether a pair of a query carries a credential or names the account that pays. Case, `-`, `_` and
/// `$` are ignored.
pub(super) fn is_carrier_parameter(pair: &str) -> bool {
    const NAMES: [&[u8]; 14] = [
        b"key",
        b"apikey",
        b"accesstoken",
        b"accesskey",
        b"oauthtoken",
        b"authtoken",
        b"token",
        b"authorization",
        b"subscriptionkey",
        b"userproject",
        // A list of headers, which replace those of the request.
        b"httpheaders",
        b"xamzcredential",
        b"xamzsignature",
        b"xamzsecuritytoken",
    ];
    let written = name_of(pair);
    let plain = || {
        let bytes = percent_decode_str(written).filter(|byte| !matches!(byte, b'-' | b'_' | b'$'));
        bytes.map(|byte| byte.to_ascii_lowercase())
    };
    NAMES.iter().any(|name| plain().eq(name.iter().copied()))
}

/// Returns whether a pair of a query has this name.
pub(crate) fn is_parameter(pair: &str, name: &str) -> bool {
    percent_decode_str(name_of(pair)).eq(name.bytes())
}

/// Returns the name of a pair of a query, as it is written there.
pub(super) fn name_of(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carrier(name: &str) -> bool {
        is_carrier(&name.parse().unwrap())
    }

    #[test]
    fn credentials_and_accounts_are_told_by_their_words() {
        for name in [
            "authorization",
            "cookie",
            "proxy-authorization",
            "x-api-key",
            "api-key",
            "apikey",
            "x-goog-api-key",
            "x-litellm-api-key",
            "ocp-apim-subscription-key",
            "x-auth-key",
            "x-auth-email",
            "x-auth-token",
            "cf-aig-authorization",
            "x-amz-security-token",
            "x-ms-token-aad-access-token",
            "x-goog-iam-authorization-token",
            "x-ms-authorization-auxiliary",
            "openai-organization",
            "openai-project",
            "x-goog-user-project",
            "anthropic-workspace-id",
            "anthropic-organization-id",
            "x-ms-tenant-id",
            "x-ms-subscription-id",
            "x-hf-bill-to",
            "x-dashscope-workspace",
            "cf-access-client-secret",
            "cf-access-token",
            "sec-websocket-protocol",
        ] {
            assert!(carrier(name), "{name}");
        }
    }

    #[test]
    fn what_only_tunes_a_request_stays() {
        for name in [
            "content-type",
            "accept",
            "user-agent",
            "anthropic-version",
            "anthropic-beta",
            "openai-beta",
            "idempotency-key",
            "sec-websocket-key",
            "x-stainless-retry-count",
            "x-request-id",
            "x-ms-client-request-id",
            "x-max-tokens",
            "x-prompt-cache-key",
            "traceparent",
            "http-referer",
            "x-title",
        ] {
            assert!(!carrier(name), "{name}");
        }
    }

    #[test]
    fn parameters_are_told_however_they_are_written() {
        for pair in [
            "key=x",
            "%6Bey=x",
            "KEY",
            "api_key=x",
            "api-key=",
            "apiKey=x",
            "access_token=x",
            "userProject=x",
            "%24userProject=x",
            "$key=x",
            "$httpHeaders=authorization:Bearer%20x",
        ] {
            assert!(is_carrier_parameter(pair), "{pair}");
        }
        for pair in
            ["", "alt=sse", "keyring=x", "api-version=2024-10-21", "pageToken=x", "max_tokens=1", "model=key"]
        {
            assert!(!is_carrier_parameter(pair), "{pair}");
        }
    }
}
