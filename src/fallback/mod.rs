//! A chain of providers behind one service.
//!
//! [`ProviderFallbackLayer`] wraps the service of the provider that is asked first, usually one with a
//! [`KeyRotationLayer`](crate::KeyRotationLayer) on it, and has others after it. A request goes down the
//! chain until one serves it:
//!
//! | what the link brings | the chain |
//! |---|---|
//! | a whole JSON response, a stream's first content, the head of any other success | delivers it |
//! | the caller's own fault, a content filter | delivers it: the next provider would say the same |
//! | context length exceeded | delivers it, or moves on if [told so](ProviderFallbackLayer::context_length) |
//! | all keys failed, or all cooling (no call is made then) | moves on |
//! | overloaded, broken, silent, unreachable, a stream that breaks before the commit | moves on; the link's breaker counts it |
//! | its breaker is open, its route knows no such model | skips it without a call |
//!
//! # It never hangs
//!
//! The head of an answer, its first content and each pause in a stream have a limit, and the whole request
//! has a deadline. A link that is silent is left at its limit, and not asked again by the same request unless that
//! is idempotent.
//!
//! # It never multiplies
//!
//! Attempts are counted over the whole chain, and layers inside do not retry by themselves: sleeping on a
//! provider that is down, while another is up, helps nobody. Only when no other link is usable is a fault of a
//! provider retried, once, after a back-off and within the retry budget; and only then does a request wait for
//! a key, if the wait fits the deadline. Otherwise it fails at once, with the true time to come back.
//!
//! # Truncated responses are errors
//!
//! Until the [commit](Commit) a response that breaks is asked for elsewhere, and the caller sees nothing of it.
//! A stream is committed to at its first content. A successful JSON response that is not streamed is read up to
//! [a cap](ProviderFallbackLayer::complete_cap) and has to parse; other media types are committed to at their head.
//! After the commit nothing is sent again: a stream that stops without its terminator ends in a
//! [`StreamError`](crate::body::StreamError), at the place where it fails.
//!
//! Such a failure is counted by the link's breaker, in a row of its own that only a body that came to its end
//! interrupts. [`Served::stream_error`](crate::Served::stream_error), the event
//! [`StreamFailed`](crate::event::EventKind::StreamFailed) and a metric tell of it.
//!
//! # Paying twice
//!
//! A provider that is silent, loses the connection or breaks off its response may have run the request, and may bill
//! it. A chain moves on to the next provider then. [`resend_ambiguous(false)`](ProviderFallbackLayer::resend_ambiguous)
//! ends the request instead. The same provider is not asked again unless the request is idempotent: it has a safe
//! method or an `Idempotency-Key`. [Paid once](crate::rotate::paid_once) lists each fault and setting.
//!
//! # Readiness
//!
//! The chain is always ready and drives each link to readiness when its turn comes, within the limit for the
//! head of an answer: a link that is never ready must not block the others. The price is that load shedding
//! outside the chain does not see a busy link.
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
//! // Two providers in a box, the first of them down. In their place: your HTTP client, twice.
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
mod rename;
mod route;
mod service;
mod settings;
mod state;

pub use self::breaker::BreakerPolicy;
pub use self::commit::Commit;
pub use self::layer::ProviderFallbackLayer;
pub use self::pin::ProviderPin;
pub use self::route::{InvalidRoute, Route, Unroutable};
pub use self::service::ProviderFallback;
pub use self::settings::{ContextLength, Start};
pub use crate::error::{AllProvidersFailed, ProviderFailed, SkipReason, UnknownLink};
pub use crate::exchange::future::ResponseFuture;
