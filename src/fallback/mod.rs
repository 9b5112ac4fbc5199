//! A chain of providers behind one service.
//!
//! [`ProviderFallbackLayer`] wraps the service of the provider that is called first, usually one with a
//! [`KeyRotationLayer`](crate::KeyRotationLayer) on it, and holds further providers behind it. A request passes
//! along the chain until one link serves it:
//!
//! | result of the link | action of the chain |
//! |---|---|
//! | a whole JSON response, a stream's first content, the head of any other success | delivers it |
//! | the caller's own fault, a content filter | delivers it: the next provider would say the same |
//! | context length exceeded | delivers it, or moves on if [set so](ProviderFallbackLayer::context_length) |
//! | all keys failed, or all are in cooldown (no call is made then) | moves on |
//! | overloaded, broken, silent, unreachable, a stream that breaks before the commit | moves on; the link's breaker counts it |
//! | its breaker is open, its route does not know the model | skips it without a call |
//!
//! # Timeouts
//!
//! The head of a response, its first content, each pause in a stream and the whole request can each have a time
//! limit. A link that exceeds its limit is abandoned, and the same request is not sent to it again unless that is
//! idempotent.
//!
//! # No multiplied retries
//!
//! Attempts are counted over the whole chain, and layers inside do not retry by themselves: waiting for a
//! provider that is down while another is up is of no use. Only if no other link is usable, a fault of a
//! provider is retried, once, after a back-off and within the retry budget. Likewise a request waits for a key
//! only then, if the wait fits the deadline. Otherwise it fails at once, with the time after which it is worth
//! trying again.
//!
//! # Truncated responses are errors
//!
//! Until the [commit](Commit) a response that breaks is requested elsewhere, and the caller does not notice.
//! A stream is committed to at its first content. A successful JSON response that is not streamed is read up to
//! [a cap](ProviderFallbackLayer::complete_cap) and has to parse; other media types are committed to at their head.
//! After the commit nothing is sent again: a stream that stops without its terminator ends in a
//! [`StreamError`](crate::body::StreamError), at the place of its failure.
//!
//! The link's breaker counts such a failure in a row of its own, which only a body that came to its end interrupts.
//! [`Served::stream_error`](crate::Served::stream_error), the event
//! [`StreamFailed`](crate::event::EventKind::StreamFailed) and a metric report it.
//!
//! # Paying twice
//!
//! A provider that is silent, loses the connection or breaks off its response may have executed the request,
//! and may bill it. A chain moves on to the next provider then.
//! [`resend_ambiguous(false)`](ProviderFallbackLayer::resend_ambiguous) ends the request instead. The same
//! provider is not called again unless the request is idempotent: it has a safe method or an `Idempotency-Key`.
//! [Paid once](crate::rotate::paid_once) lists each fault and setting.
//!
//! # Readiness
//!
//! The chain is always ready. It drives each link to readiness in its turn, within the time limit for the head of a
//! response: a link that is never ready must not block the others. Consequently, load shedding outside the chain
//! does not see a busy link.
//!
//! # Example
//!
//! ```
//! use http::{Request, StatusCode};
//! use http_body_util::Full;
//! use bytes::Bytes;
//! use tower::{BoxError, ServiceBuilder, ServiceExt};
//! use tower_key_rotation::fallback::{ProviderFallbackLayer, Route};
//! use tower_key_rotation_sim::{SimFault, Script, SimKey, Simulator};
//! use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, Served};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! // Two simulated providers, the first of them down. In their place: your HTTP client, twice.
//! let down = Simulator::openai().script(Script::always(SimFault::status(503))).build();
//! let up = Simulator::anthropic().key(SimKey::new("b", "sk-b")).build();
//!
//! let pool = |provider, secret| KeyPool::builder(provider).key(ApiKey::new(secret)?).build().map_err(BoxError::from);
//! let openai = KeyRotationLayer::new(pool(Provider::openai(), "sk-a")?);
//! let anthropic = KeyRotationLayer::new(pool(Provider::anthropic(), "sk-b")?);
//!
//! let chain = ServiceBuilder::new()
//!     .layer(ProviderFallbackLayer::new("openai").fallback(
//!         "anthropic",
//!         ServiceBuilder::new().layer(anthropic).service(up),
//!         Route::anthropic_compatible().any_model("claude-sonnet-4-5"),
//!     ))
//!     .layer(openai)
//!     .service(down);
//!
//! let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
//! let request = Request::post("https://api.openai.com/v1/chat/completions").body(Full::<Bytes>::from(body))?;
//! let response = chain.oneshot(request).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//! assert_eq!(response.extensions().get::<Served>().map(Served::provider), Some("anthropic"));
//! # Ok(())
//! # }
//! ```

mod after_commit;
mod breaker;
mod call;
mod commit;
mod drive;
mod hold_back;
mod judge;
mod layer;
mod link;
mod pin;
mod route;
mod service;
mod settings;
mod state;
mod timeouts;

pub use self::breaker::BreakerPolicy;
pub use self::commit::Commit;
pub use self::layer::ProviderFallbackLayer;
pub use self::pin::ProviderPin;
pub use self::route::{InvalidRoute, Route};
pub use self::service::ProviderFallback;
pub use self::settings::{ContextLength, Start};
pub use self::timeouts::Timeouts;
pub use crate::error::{AllProvidersFailed, ProviderFailed, SkipReason, UnknownLink};
pub use crate::exchange::future::ResponseFuture;
pub use crate::provider::Unroutable;
