//! The limits of keys and accounts: their settings, their state, and the numbers that headers show.

mod bucket;
mod day;
mod gauge;
mod limits;
mod meter;
mod model_meter;
mod periods;

pub use self::gauge::Headroom;
pub(crate) use self::gauge::{Gauge, Gauges};
pub use self::limits::Limits;
pub(crate) use self::meter::Meter;
pub(crate) use self::periods::Periods;
