//! Alerts: messages to people when keys or providers fail, and when they are back.
//!
//! [`Alerts`] listens to an event hub in a task of its own and sends messages to webhooks, each by any tower HTTP
//! service. No request waits for it.
//!
//! - An *incident* begins with an alert that fires and ends with one that resolves it. Further events of the same
//!   incident send nothing, so a provider that is down for an hour is two messages.
//! - Alerts that arrive within the [group wait](Webhook::group_wait) are one message.
//! - A message that fails is sent again with a growing pause, for up to an hour, in order. A webhook that hangs or
//!   fails delays no other. At most 1,000 alerts wait for one webhook; further ones are dropped and logged.
//! - A receiver that got a message and did not confirm it gets it again with the same `id`.
//!
//! # Rules
//!
//! | rule | fires | resolves |
//! |---|---|---|
//! | `exhausted` | a pool, or one of its models, has no usable key | it served a request again |
//! | `key_invalid` | the provider refuses a key as invalid | the key served, was reset, replaced, disabled or removed |
//! | `breaker` | the circuit breaker of a provider opened | it closed |
//! | `state_lost` | the store that shares or keeps the state of keys fails | it works again |
//! | `quota` | a share of a limit is used, see [`Rules::quota`] | the limit is full again; after an hour if that time is not known |
//! | `rotations` | a provider has more rotations within a minute than [`Rules::rotations`] allows | it had fewer for a minute |
//!
//! The quota rule reads the pool's warnings: its share should be one of the pool's
//! [`warn_at`](tower_key_rotation::pool::KeyPoolBuilder::warn_at), or the next one above it counts.
//!
//! # Signatures
//!
//! With a [secret](Webhook::secret), each request has the headers `x-signature-timestamp` (seconds since the Unix
//! epoch) and `x-signature-256`: `sha256=` and the hexadecimal HMAC-SHA256 of the timestamp, a dot and the body.

mod alerts;
mod delivery;
mod detector;
mod https;
mod incident;
mod message;
mod rotation_rate;
mod rules;
mod shape;
mod signature;
mod webhook;

pub use self::alerts::Alerts;
pub use self::delivery::DeliveryError;
pub use self::incident::{Alert, AlertState, Severity};
pub use self::message::WebhookFormat;
pub use self::rules::Rules;
pub use self::webhook::Webhook;
