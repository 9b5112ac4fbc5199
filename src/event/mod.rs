//! Events for operators: one stream of events, log lines, and metrics.
//!
//! Everything that happens to keys, requests and providers is an [`Event`]. There are three ways to receive
//! events:
//!
//! - Subscribe to an [`Events`] hub with [`subscribe`](Events::subscribe). Each pool has a hub of its own
//!   ([`KeyPool::subscribe`](crate::KeyPool::subscribe)). Give one hub to several pools and to their chain to
//!   get all events in one stream.
//! - Collect `tracing` events of the target `tower_key_rotation`: see [below](#log-lines).
//! - Enable metrics on a hub with `Events::with_metrics` (feature `metrics`): see `event::metrics` for the
//!   names.
//!
//! # No effect on requests
//!
//! No decision depends on whether there is a listener. Emitting an event never waits, and takes no lock for
//! longer than it takes to put an event into its slot. A subscriber that is too slow misses the oldest events
//! and learns how many; it slows no request. Without a listener an event is not even created, which costs two
//! loads and a comparison (three loads with the feature `metrics`).
//!
//! No event contains a secret. Keys are named by their ids. A request id that a provider sends is left out if
//! it shows a part of the key.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use tower_key_rotation::classify::{Fault, Reason, Scope};
//! use tower_key_rotation::event::{Events, EventKind};
//! use tower_key_rotation::{ApiKey, KeyPool, Provider};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let events = Events::new();
//! let (one, two) = (ApiKey::new("sk-one")?.id("a"), ApiKey::new("sk-two")?.id("a"));
//! let openai = KeyPool::builder(Provider::openai()).key(one).events(&events).build()?;
//! let anthropic = KeyPool::builder(Provider::anthropic()).key(two).events(&events).build()?;
//! // A chain uses the same hub with `ProviderFallbackLayer::events(&events)`.
//! let mut stream = events.subscribe();
//! # drop(openai);
//!
//! let fault = Fault::new(Reason::RateLimited, Scope::Key).with_retry_after(Duration::from_secs(20));
//! anthropic.acquire(())?.fail(&fault, None);
//!
//! let event = stream.next().await.expect("the hub is still there")?;
//! assert_eq!(&*event.provider, "anthropic");
//! assert!(matches!(event.kind, EventKind::CooledDown { key, .. } if key.as_str() == "a"));
//! # Ok(())
//! # }
//! ```
//!
//! # Log lines
//!
//! The level tells who the line is for: `warn` if an operator may have to act, `info` if a state has changed,
//! `debug` for what one request did. Fields have the names of OpenTelemetry's semantic conventions for
//! generative AI, version 1.41.0, where those have a name. (All `gen_ai.*` names are in development there.)
//!
//! | field | value |
//! |---|---|
//! | `provider` | the name of the provider in the pool, or of the link in a chain |
//! | `gen_ai.provider.name` | the conventions' name of the API: `gcp.gemini`, `aws.bedrock`, `x_ai` …; the name of the provider if they have none. Absent for links |
//! | `gen_ai.request.model` | the model that the request asks for |
//! | `error.type` | the cause of the failure: a [`Reason`](crate::classify::Reason), or another word that the event's docs name |
//! | `http.response.status_code` | the status of a response |
//! | `gen_ai.usage.input_tokens`, `gen_ai.usage.output_tokens` | tokens that a response reports |
//! | `caller` | the [name of the caller](CallerName), if the request has one |
//! | `key`, `account`, `scope`, `outcome`, `request_id`, `attempts`, `providers`, `from`, `to` | as in the event |
//! | `wait_ms`, `hint_ms`, `duration_ms` | milliseconds |
//! | `dimension`, `window`, `used`, `threshold`, `remaining`, `limit`, `resets_at_ms` | the state of a quota |

mod caller_name;
mod hub;
mod kind;
mod log;
#[cfg(feature = "metrics")]
pub mod metrics;
mod millis;
mod operator;
mod outcome;
#[cfg(any(feature = "file-store", feature = "redis"))]
mod store_note;
mod subscription;

use std::sync::Arc;

use serde::Serialize;

pub use self::caller_name::CallerName;
pub use self::hub::Events;
pub(crate) use self::hub::{EventSource, Severity};
pub use self::kind::EventKind;
pub use self::operator::OperatorEvent;
pub use self::outcome::AttemptOutcome;
#[cfg(any(feature = "file-store", feature = "redis"))]
pub(crate) use self::store_note::StoreNote;
pub use self::subscription::{Missed, Subscription};
use crate::clock::Timestamp;

/// One event, received from a [`Subscription`].
///
/// It serializes to one flat object: `at` (milliseconds since the Unix epoch), `provider`, `event` (the kind
/// in snake case), and the fields of the kind, with times in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// Time of the event.
    pub at: Timestamp,
    /// Name of the provider that the event is about: the pool's name for it, or the name of its link in the
    /// chain. For an event about a whole chain, the name of the first link.
    pub provider: Arc<str>,
    /// The kind of the event, with its details.
    #[serde(flatten)]
    pub kind: EventKind,
}
