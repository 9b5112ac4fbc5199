//! WebSockets: a handshake is sent with a key as any other request, and rotates while it is refused. After the switch of
//! protocols the bytes of both sides are passed on unchanged, until one of them ends.
//!
//! A tunnel holds its place in the limits of key, account and caller, and among the requests in flight, until it ends.
//! Messages are not read: a model that only a message names is not known here, and its usage is not counted. Only close
//! frames are: a caller whose tunnel the gateway or the provider ends without one gets one, and a [refusal](refused) of the
//! key is heeded.

mod frames;
mod handshake;
mod observed;
mod refused;
mod traffic;
mod tunnel;

use axum::body::Body;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response, StatusCode, request};
use http_body_util::Either;
use hyper::upgrade::OnUpgrade;
use tower::{Service, ServiceExt};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::key::{KeyId, SentKey};
use tower_key_rotation::provider::{Endpoint, asks_for_websocket, websocket_endpoint, websocket_model};
use tower_key_rotation::{KeyPool, ModelId, Served};

use self::handshake::Handshake;
use self::refused::TunnelKey;
use self::traffic::Limits;
pub(crate) use self::traffic::TunnelTraffic;
pub(crate) use self::tunnel::Tunnel;
use crate::affinity::Affinity;
use crate::caller::{self, Caller, Place};
use crate::config::{Config, ProviderSettings};
use crate::deliver::{ATTEMPTS, deliver, served};
use crate::destination::Destination;
use crate::prepare;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::response::GatewayBody;
use crate::upstream::ChainBody;

/// Sends a handshake to its destination. Returns the response to it: a switch of protocols, with the running [`Tunnel`]
/// as an extension, or a refusal.
pub(crate) async fn respond(
    (config, affinity): (&Config, &Affinity),
    mut head: request::Parts,
    to: &Destination<'_>,
    caller: Option<&Caller>,
    reply: Reply,
) -> Result<Response<GatewayBody>, Refusal> {
    let handshake = Handshake::take(&mut head)?;
    let model = websocket_model(&head.uri);
    let names_model = model.is_some();
    if !has_websocket(config, to, websocket_endpoint(head.uri.path())) {
        return Err(Refusal::WebSocket);
    }
    let place = caller.map(|caller| admit(caller, &mut head, model.as_ref())).transpose()?;
    prepare::head(config, &mut head, to)?;
    handshake.apply(&mut head.headers);
    if let Some(model) = model {
        head.extensions.get_or_insert_with(|| model);
    }
    affinity.place(&mut head, None, None);
    let mut chain = to.chain.clone();
    let result = match ServiceExt::<http::Request<ReplayBody>>::ready(&mut chain).await {
        Ok(chain) => chain.call(http::Request::from_parts(head, ReplayBody::empty())).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            Ok(caller::in_place(switch(response, handshake.caller, config, reply), place))
        }
        other => {
            let response = deliver(other, reply);
            let is_absent = shows_absence(response.status(), names_model);
            Ok(if is_absent { in_place_of(&response, reply.refuse(Refusal::WebSocket)) } else { response })
        }
    }
}

/// Returns whether some provider of the destination has a WebSocket at this endpoint.
fn has_websocket(config: &Config, to: &Destination<'_>, endpoint: Endpoint) -> bool {
    let mut chain = config.chain().order().iter().filter_map(|name| config.provider(name));
    let has = |provider: &ProviderSettings| provider.endpoints().contains(endpoint);
    to.provider.map_or_else(|| chain.any(has), |provider| provider.endpoints().contains(endpoint))
}

/// Counts the handshake for its caller. A caller that is limited to some models may use the Realtime API only, where the
/// query names the model: the gateway does not read frames, which name it elsewhere.
fn admit(caller: &Caller, head: &mut request::Parts, model: Option<&ModelId>) -> Result<Place, Refusal> {
    if caller.limits_models() {
        let is_sure = websocket_endpoint(head.uri.path()) == Endpoint::Realtime;
        let model = model.filter(|_| is_sure).ok_or(Refusal::UnreadableModel)?;
        if !caller.may_ask(model.as_str()) {
            return Err(Refusal::Model);
        }
    }
    caller.admit(head, Timestamp::now())
}

/// Returns whether a response shows that the provider has no WebSocket at this path. The refusal of a model does not.
fn shows_absence(status: StatusCode, names_model: bool) -> bool {
    status.is_success()
        || matches!(status.as_u16(), 405 | 426 | 501)
        || status == StatusCode::NOT_FOUND && !names_model
}

/// Returns a response of the gateway's in the place of a provider's. The access line names the provider.
fn in_place_of<B>(replaced: &Response<B>, own: Response<Body>) -> Response<GatewayBody> {
    let mut own = own.map(Either::Right);
    if let Some(served) = replaced.extensions().get::<Served>() {
        own.headers_mut().insert(ATTEMPTS, HeaderValue::from(served.attempts().len() + 1));
        own.extensions_mut().insert(served.clone());
    }
    own
}

/// Returns the key that opened a tunnel.
fn key_of(lease: &Served, config: &Config) -> Option<(KeyPool, KeyId)> {
    let pool = config.provider(lease.provider())?.pool().clone();
    Some((pool, lease.key_id().clone()))
}

/// Starts the tunnel between the caller and a provider that has switched the protocol.
fn switch(
    mut response: Response<ChainBody>,
    caller: OnUpgrade,
    config: &Config,
    reply: Reply,
) -> Response<GatewayBody> {
    let provider = response.extensions_mut().remove::<OnUpgrade>();
    let Some(provider) = provider.filter(|_| asks_for_websocket(response.headers())) else {
        return in_place_of(&response, reply.refuse(Refusal::Switched));
    };
    let sent = response.extensions_mut().remove::<SentKey>();
    let lease = response.extensions().get::<Served>().cloned();
    let key = TunnelKey { owner: lease.as_ref().and_then(|lease| key_of(lease, config)), sent };
    let tunnel = Tunnel::start((caller, provider), (lease, key), Limits::of(config.server()));
    let mut response = served(response).map(|_empty| Either::Right(Body::empty()));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response.extensions_mut().insert(tunnel);
    response
}
