//! Tiers: the order of preference between keys.

use crate::text::words;

/// The order of preference between keys of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Tier {
    /// Used while at least one primary key is usable.
    #[default]
    Primary,
    /// Used only while no primary key is usable.
    Backup,
}

words!(Tier {
    Primary => "primary",
    Backup => "backup",
});
