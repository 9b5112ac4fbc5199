//! WebSocket handshakes: requests that ask to switch the protocol.
//!
//! Browsers can't set headers for a WebSocket, so some APIs accept a credential in the list of subprotocols:
//! `Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.KEY`
//! (<https://platform.openai.com/docs/guides/realtime-websocket>). Others take two items, a word and the credential:
//! `token, KEY` (<https://developers.deepgram.com/docs/using-the-sec-websocket-protocol>).

use std::borrow::Cow;

use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;

use crate::provider::carrier::name_of;
use crate::provider::document::NamedModel;
use crate::provider::endpoint::Endpoint;
use crate::provider::model::{ModelId, decoded};

/// Last words of names that stand before a credential, or before the account that pays.
const WORDS: [&str; 15] = [
    "key",
    "apikey",
    "token",
    "secret",
    "password",
    "bearer",
    "basic",
    "authorization",
    "auth",
    "jwt",
    "organization",
    "organisation",
    "project",
    "account",
    "workspace",
];

/// Returns whether a request asks to switch to WebSocket: its `Upgrade` header names that protocol.
///
/// ```
/// use http::Request;
/// use tower_key_rotation::provider::asks_for_websocket;
///
/// let request = Request::get("/v1/realtime").header("connection", "Upgrade").header("upgrade", "websocket").body(())?;
/// assert!(asks_for_websocket(request.headers()));
/// # Ok::<(), http::Error>(())
/// ```
pub fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter().filter_map(|protocols| protocols.to_str().ok());
    protocols.any(|protocols| protocols.split(',').any(|it| it.trim().eq_ignore_ascii_case("websocket")))
}

/// Returns the endpoint of a WebSocket handshake at a path. [`Endpoint::Other`] if no API is known that has one there.
pub fn websocket_endpoint(path: &str) -> Endpoint {
    let has = |name: &str| path.split('/').any(|segment| segment == name);
    match () {
        () if has("ws") || path.contains("BidiGenerateContent") => Endpoint::Live,
        () if has("realtime") => Endpoint::Realtime,
        () if has("responses") => Endpoint::ResponsesWebSocket,
        () => Endpoint::Other,
    }
}

/// Returns the model in the query of a WebSocket handshake: `/v1/realtime?model=gpt-realtime`. `None` if it is not there,
/// or is no [`ModelId`], or if the query names several.
pub fn websocket_model(uri: &Uri) -> Option<ModelId> {
    decoded(encoded_model(uri)?)
}

/// Returns the model in the query of a realtime session, and whether it is certain: providers differ in which of several
/// counts, and in what they make of an invalid name.
pub(crate) fn model_in_query(uri: &Uri) -> NamedModel {
    let names_any = uri.query().is_some_and(|query| query.split('&').any(names_model));
    let model = websocket_model(uri);
    NamedModel { is_sure: model.is_some() || !names_any, model }
}

/// Returns the model in a query, as it is written there, or the deployment of Azure's preview API. `None` if there are
/// several: providers differ in which one counts.
pub(super) fn encoded_model(uri: &Uri) -> Option<&str> {
    let mut models = uri.query()?.split('&').filter(|pair| names_model(pair));
    let (_, model) = models.next()?.split_once('=')?;
    models.next().is_none().then_some(model)
}

/// Returns whether a pair of a query names a model. Azure reads names in any case.
fn names_model(pair: &str) -> bool {
    let name: Cow<'_, [u8]> = percent_decode_str(name_of(pair)).into();
    ["model", "deployment"].iter().any(|it| name.eq_ignore_ascii_case(it.as_bytes()))
}

/// Iterates over the credentials in the list of subprotocols of a handshake.
pub fn subprotocol_credentials(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let mut is_next = false;
    items(headers).filter_map(move |item| {
        let found = std::mem::take(&mut is_next).then_some(item);
        is_next = found.is_none() && is_word(item);
        found.or_else(|| Some(item.split_once('.').filter(|(name, _)| is_word(name))?.1))
    })
}

/// Returns the list of subprotocols without credentials; `None` if nothing is left.
pub(super) fn without_credentials(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut is_next = false;
    let kept = items(headers).filter(|item| {
        let is_credential = std::mem::take(&mut is_next);
        is_next = !is_credential && is_word(item);
        !is_credential && !is_next && !item.split('.').any(is_word)
    });
    let kept: Vec<_> = kept.collect();
    HeaderValue::try_from(kept.join(", ")).ok().filter(|list| !list.is_empty())
}

fn items(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim).filter(|item| !item.is_empty())
}

/// Returns whether a name stands before a credential: `openai-insecure-api-key`, `token`.
fn is_word(name: &str) -> bool {
    let last = name.rsplit(['-', '_']).next().unwrap_or_default();
    WORDS.iter().any(|word| last.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(items: &str) -> HeaderMap {
        [(SEC_WEBSOCKET_PROTOCOL, items.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn credentials_leave_the_list_of_subprotocols() {
        for (items, kept, found) in [
            ("realtime, openai-insecure-api-key.sk-a.b", Some("realtime"), &["sk-a.b"][..]),
            ("realtime,openai-beta.realtime-v1", Some("realtime, openai-beta.realtime-v1"), &[]),
            (
                "OpenAI-Organization.org-1, openai-project.proj_1, realtime",
                Some("realtime"),
                &["org-1", "proj_1"],
            ),
            ("xai-client-secret.xai-1", None, &["xai-1"]),
            ("token, sk-a, v1.json", Some("v1.json"), &["sk-a"]),
            ("v1.json, Bearer, token", Some("v1.json"), &["token"]),
            ("base64url.bearer.authorization.k8s.io.QQ, chat", Some("chat"), &[]),
            ("graphql-transport-ws", Some("graphql-transport-ws"), &[]),
            ("token", None, &[]),
            (" , ", None, &[]),
        ] {
            let headers = listed(items);
            let list = without_credentials(&headers);
            assert_eq!(list.as_ref().map(|list| list.to_str().unwrap()), kept, "{items}");
            assert_eq!(subprotocol_credentials(&headers).collect::<Vec<_>>(), found, "{items}");
        }
    }

    #[test]
    fn a_handshake_names_one_model_or_none() {
        for (query, model) in [
            ("model=gpt-realtime", Some("gpt-realtime")),
            ("a=b&%6Dodel=gpt%2Drealtime", Some("gpt-realtime")),
            ("model=cheap&model=dear", None),
            ("model=cheap&%6dodel=dear", None),
            ("model=cheap&deployment=dear", None),
            ("MODEL=dear&model=cheap", None),
            ("api-version=1&deployment=gpt-realtime", Some("gpt-realtime")),
            ("models=x", None),
        ] {
            let uri = format!("https://h/v1/realtime?{query}").parse().unwrap();
            assert_eq!(websocket_model(&uri).as_ref().map(ModelId::as_str), model, "{query}");
        }
    }

    #[test]
    fn a_handshake_has_an_endpoint() {
        for (path, endpoint) in [
            ("/v1/responses", Endpoint::ResponsesWebSocket),
            ("/v1/realtime", Endpoint::Realtime),
            ("/openai/realtime", Endpoint::Realtime),
            ("/v1/audio/transcriptions/realtime", Endpoint::Realtime),
            ("/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent", Endpoint::Live),
            ("/v1/listen", Endpoint::Other),
        ] {
            assert_eq!(websocket_endpoint(path), endpoint, "{path}");
        }
    }
}
