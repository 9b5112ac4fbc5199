//! History and statistics: the latest changes of keys and providers, and the usage of each key and model.
//!
//! A [`Recorder`] listens to an event hub and samples the pools, in a task of its own. No request waits for it. Its
//! memory is bounded: the history keeps the latest [`Recorder::CHANGES`] changes of state and as many of what
//! requests did, and statistics keep at most [`Recorder::SERIES`] combinations of key and model.
//!
//! # Statistics
//!
//! Statistics cover the last minute, hour and day, in steps of 5 seconds, a minute and 15 minutes. The oldest step
//! may have begun a little earlier. A request that is sent with three keys is three attempts.
//!
//! | field | content |
//! |---|---|
//! | `attempts` | attempts that have ended |
//! | `successes` | attempts that the provider served |
//! | `errors` | other attempts by reason: a [`Reason`](tower_key_rotation::classify::Reason), `request_error` or `abandoned` |
//! | `input_tokens`, `output_tokens` | tokens that responses report, output with thinking |
//! | `p50_ms`, `p95_ms` | time from sending an attempt to its verdict, in steps of 19 % |
//!
//! Callers choose the names of models. A name has statistics of its own once a provider has served it; other
//! names are counted together as `other`, and requests without a known model as `unknown`.

mod breaker;
mod counts;
mod latency;
mod log;
mod names;
mod recorder;
pub(crate) mod ring;
mod state_times;
mod statistics;
pub(crate) mod usage;

pub use self::breaker::{BreakerState, BreakerStatus};
pub use self::counts::Counts;
pub use self::log::{Entry, HistoryQuery};
pub use self::recorder::Recorder;
pub use self::state_times::StateTimes;
pub use self::statistics::Totals;
pub use self::usage::{KeyTimes, ModelUsage, Point, ProviderUsage, Spans, UsageReport};
