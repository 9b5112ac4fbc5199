//! The `[[provider.limit]]` and `[[provider.key.limit]]` tables.

use std::num::NonZeroU64;

use crate::config::error::{ConfigError, Problem};
use crate::config::file::LimitTable;
use crate::config::location::ValuePath;
use crate::config::text::is_printable;
use tower_key_rotation::limits::{Allowance, Quota, Zone};

/// Value of `reset` for a daily limit that refills evenly instead of at midnight.
const ROLLING: &str = "rolling";

/// Constructor of a dimension, and its amounts per second, minute and day.
type Rates = (fn(u64) -> Allowance, [Option<NonZeroU64>; 3]);

/// The way in which a daily quota refills.
enum Reset {
    /// All at once at the provider's midnight.
    Provider,
    Midnight(Zone),
    Rolling,
}

/// Returns the quotas of a table, at least one.
pub(super) fn quotas(table: &LimitTable, at: &ValuePath) -> Result<Vec<Quota>, ConfigError> {
    let model = table.model.as_deref();
    if model.is_some_and(|model| model.is_empty() || !is_printable(model)) {
        return Err(Problem::Model.at(at.field("model")));
    }
    let reset = reset(table.reset.as_deref()).map_err(|problem| problem.at(at.field("reset")))?;
    let rates = rates(table);
    let per = |window: usize| rates.iter().any(|(_, amounts)| amounts[window].is_some());
    let (fast, daily) = (per(0) || per(1), per(2));
    if !fast && !daily && table.concurrent.is_none() {
        return Err(Problem::NoLimit.at(at.clone()));
    }
    if table.burst.is_some() && !fast {
        return Err(Problem::UnusedBurst.at(at.field("burst")));
    }
    if table.reset.is_some() && !daily {
        return Err(Problem::UnusedReset.at(at.field("reset")));
    }
    Ok(declared(table, rates, &reset))
}

fn declared(table: &LimitTable, rates: [Rates; 4], reset: &Reset) -> Vec<Quota> {
    let bursts = |quota: Quota| match table.burst {
        Some(burst) => quota.burst(burst.get()),
        None => quota,
    };
    let mut quotas = Vec::new();
    for (count, [second, minute, day]) in rates {
        quotas.extend(second.map(|amount| bursts(count(amount.get()).per_second())));
        quotas.extend(minute.map(|amount| bursts(count(amount.get()).per_minute())));
        quotas.extend(day.map(|amount| reset.of(count(amount.get()).per_day())));
    }
    quotas.extend(table.concurrent.map(|amount| Quota::concurrent(amount.get())));
    match &table.model {
        Some(model) => quotas.into_iter().map(|quota| quota.for_models(model.as_str())).collect(),
        None => quotas,
    }
}

fn rates(table: &LimitTable) -> [Rates; 4] {
    let LimitTable {
        requests_per_second,
        requests_per_minute,
        requests_per_day,
        tokens_per_second,
        tokens_per_minute,
        tokens_per_day,
        input_tokens_per_second,
        input_tokens_per_minute,
        input_tokens_per_day,
        output_tokens_per_second,
        output_tokens_per_minute,
        output_tokens_per_day,
        ..
    } = *table;
    [
        (Quota::requests, [requests_per_second, requests_per_minute, requests_per_day]),
        (Quota::tokens, [tokens_per_second, tokens_per_minute, tokens_per_day]),
        (Quota::input_tokens, [input_tokens_per_second, input_tokens_per_minute, input_tokens_per_day]),
        (Quota::output_tokens, [output_tokens_per_second, output_tokens_per_minute, output_tokens_per_day]),
    ]
}

fn reset(word: Option<&str>) -> Result<Reset, Problem> {
    match word.map(str::trim) {
        None => Ok(Reset::Provider),
        Some(ROLLING) => Ok(Reset::Rolling),
        // The text may be anything, and the parser's error quotes it, so that error is dropped.
        Some(zone) => zone.parse().map(Reset::Midnight).map_err(|_| Problem::Reset),
    }
}

// === impl Reset ===

impl Reset {
    fn of(&self, quota: Quota) -> Quota {
        match self {
            Self::Provider => quota,
            Self::Midnight(zone) => quota.resets_at_midnight(zone.clone()),
            Self::Rolling => quota.rolling(),
        }
    }
}
