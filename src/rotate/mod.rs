//! Rotating keys inside one request.
//!
//! [`KeyRotationLayer`] wraps a client service. For each request it acquires a key from a
//! [`KeyPool`](crate::KeyPool), applies it, sends the request, and inspects as much of the response as the
//! [classifier](crate::classify) needs for a verdict. Then it settles the key, and either delivers the response or
//! starts again with another key. The whole course is one `async fn`, `drive`.
//!
//! Effects of each verdict:
//!
//! | verdict | this request | the key |
//! |---|---|---|
//! | success | delivered | its probe, if this was one, ends the cooldown |
//! | the caller's own fault | delivered byte for byte | nothing |
//! | rate limited, or a quota used up until a stated time as a 429 says | the next key, at once | a cooldown |
//! | invalid, forbidden, quota exceeded | the next key, at once | in doubt until the request is over, see below |
//! | the same, of one resource only | the next key, at once | nothing |
//! | the same, alike on two keys in good standing, for no reason that lies in the account | delivered; in a chain given up, unless forbidden | nothing: the request is at fault |
//! | overloaded, server error, unreachable, truncated, timeout | one retry after a back-off, if the retry budget allows it and nothing is [paid twice](paid_once) | nothing |
//! | blocked | given up: another key can't help | nothing |
//!
//! [Paid once](paid_once) lists how often a provider is called, for each fault and setting.
//!
//! # Keys in doubt
//!
//! A refusal can be the fault of the key or of the request. One caller's request must not take keys away from all
//! others, so refusals that concern keys are settled when the request is over:
//!
//! | then | the refused keys |
//! |---|---|
//! | another key has served the request | a cooldown; if the refusal names no reason in the account, the next request for another endpoint tries the key once, and its success ends the cooldown |
//! | two keys in good standing were refused alike | nothing |
//! | no key has served it | nothing, unless there is evidence beyond this request |
//!
//! A key is in *good standing* for 60 s after it served any request. Evidence is a refusal more than 60 s after the
//! first that nothing confirmed, a refusal of a key that never served at another endpoint than its first, or a
//! refused probe after a cooldown for a refusal. Until then a key in good standing stays usable. Another key is kept out
//! only while each model keeps a usable key, so one request never disables the last one. Events report a cooldown when
//! it is certain.
//!
//! # Recovery
//!
//! A refused key is probed by one request when its cooldown ends. Invalid keys have no such end. If all keys are
//! invalid, or several turned invalid together, one of them is probed once a minute, and at intervals of up to 64 minutes
//! while other keys are usable. The endpoint of that request may fail with every key, so it is not the only one: after each
//! such probe, the next request for every other endpoint tries the key once. It does so whatever the probe's response
//! was, and also if other keys are usable, unless another key has served the probe's request.
//!
//! So a caller who is refused with every key delays the recovery of no other caller. When a provider accepts the keys again, a
//! request for an endpoint without faults is served at the latest after the next probe: within a minute if all keys were
//! invalid, and at the end of the first cooldown if they were forbidden or out of quota. To that adds the time until the
//! endpoint's next request, and the time of responses to other probes of the key, of which one is in flight at a time.
//!
//! An endpoint is a method and a path, in which all segments with a digit and all longer than 32 bytes count as equal.
//!
//! A refusal that [names a reason in the account](crate::classify::Fault::account_reason) (money, a quota, a plan, a
//! revoked key) goes on to every account that was not tried, up to the attempt limit. A refusal
//! [of one resource](crate::classify::Fault::one_resource) does so too, and is delivered if no key may serve it.
//!
//! # WebSockets
//!
//! The handshake of a WebSocket is a request like any other, and rotates while it is refused. The inner client must speak
//! HTTP/1.1 and keep the `hyper::upgrade::OnUpgrade` extension of its response, as hyper-util's client does.
//!
//! - Status 101 is a success. The response keeps its extensions, so `hyper::upgrade::on` returns the connection.
//! - The request counts as in flight at its key and account until the last clone of [`Served`] is
//!   dropped: keep the one of the response as long as the connection.
//! - Credentials in `Sec-WebSocket-Protocol` and in the query are removed, and the rest of the list stays.
//! - A [chain](crate::fallback) asks only links whose [endpoints](crate::provider::Endpoints) have the WebSocket:
//!   [`Realtime`](crate::provider::Endpoint::Realtime), [`Live`](crate::provider::Endpoint::Live) or
//!   [`ResponsesWebSocket`](crate::provider::Endpoint::ResponsesWebSocket).
//! - A route renames a model in the query, as in `/v1/realtime?model=gpt-realtime`.
//! - Frames are not read. A limit of a model that only a frame names is not counted, and neither are tokens.
//!
//! `examples/websocket.rs` opens one, and `key-rotation-gateway` passes WebSockets of its callers on.
//!
//! # Readiness
//!
//! The first attempt uses the instance that was polled ready; each later one drives a clone to readiness.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//! use tower_key_rotation::body::ReplayBody;
//! use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, Served};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let pool = KeyPool::builder(Provider::openai())
//!     .key(ApiKey::new("sk-one")?.id("one"))
//!     .key(ApiKey::new("sk-two")?.id("two"))
//!     .build()?;
//!
//! // Any client will do; this one refuses the first key.
//! let client = service_fn(|request: Request<ReplayBody>| async move {
//!     let first = request.headers()["authorization"] == "Bearer sk-one";
//!     let status = if first { 429 } else { 200 };
//!     Ok::<_, BoxError>(Response::builder().status(status).body(Full::<Bytes>::default())?)
//! });
//! let service = ServiceBuilder::new().layer(KeyRotationLayer::new(pool)).service(client);
//!
//! let request = Request::post("https://api.openai.com/v1/chat/completions")
//!     .body(Full::<Bytes>::from(r#"{"model":"gpt-4o","messages":[]}"#))?;
//! let response = service.oneshot(request).await?;
//! assert_eq!(response.status(), 200);
//! let served = response.extensions().get::<Served>().expect("every response has one");
//! assert_eq!(served.key_id().as_str(), "two");
//! # Ok(())
//! # }
//! ```

mod acquire;
mod attempt;
mod audit;
mod config;
mod drive;
mod endpoint;
mod estimate;
mod hand_over;
mod layer;
#[doc = include_str!("paid_once.md")]
pub mod paid_once {}
mod policy;
mod request;
mod secret;
mod service;
mod settle;
mod state;
mod tried;
mod unserved;

pub use self::layer::KeyRotationLayer;
pub use self::service::KeyRotation;
pub use crate::error::Attempt;
pub use crate::exchange::deadline::Deadline;
pub use crate::exchange::future::ResponseFuture;
pub use crate::exchange::served::Served;
