//! The `[[chain.timeouts]]` tables: time limits for some models.

use std::time::Duration;

use tower_key_rotation::fallback::Timeouts;

use crate::config::duration;
use crate::config::error::{ConfigError, Problem};
use crate::config::file::TimeoutsTable;
use crate::config::location::ValuePath;

/// Returns the patterns of the tables with their limits, in order.
pub(super) fn timeouts(
    tables: Vec<TimeoutsTable>,
    at: &ValuePath,
) -> Result<Vec<(String, Timeouts)>, ConfigError> {
    let mut all = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let at = at.index(index);
        if table.models.is_empty() || table.models.iter().any(String::is_empty) {
            return Err(Problem::Model.at(at.field("models")));
        }
        let limits = limits(&table, &at)?;
        all.extend(table.models.into_iter().map(|pattern| (pattern, limits)));
    }
    Ok(all)
}

fn limits(table: &TimeoutsTable, at: &ValuePath) -> Result<Timeouts, ConfigError> {
    let time = |name, text: &Option<String>| duration::optional(text.clone(), &at.field(name));
    let or = |limits: Timeouts, limit: Option<Duration>, set: fn(Timeouts, Duration) -> Timeouts| match limit
    {
        Some(limit) => set(limits, limit),
        None => limits,
    };
    let limits = or(Timeouts::new(), time("head_timeout", &table.head_timeout)?, Timeouts::head);
    let first_content = time("first_content_timeout", &table.first_content_timeout)?;
    let limits = or(limits, first_content, Timeouts::first_content);
    Ok(or(limits, time("idle_timeout", &table.idle_timeout)?, Timeouts::idle))
}
