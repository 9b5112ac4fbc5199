//! The table of keys.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::describe::shown;

const HEAD: [&str; 7] = ["PROVIDER", "KEY", "STATE", "FOR", "LIMITS USED", "CALLS", "SERVED"];

/// One row: its cells, and the colour of the state as an ANSI code.
struct Row {
    cells: [String; 7],
    colour: &'static str,
}

/// Returns the status of a gateway as text.
pub(super) fn render(status: &Value, keys: &Value, is_coloured: bool) -> String {
    let now = keys["at"].as_u64().unwrap_or(0);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let pools = list(&keys["providers"]);
    let rows: Vec<_> = pools
        .iter()
        .flat_map(|pool| list(&pool["keys"]).into_iter().map(|key| row(&pool["provider"], &key, now)))
        .collect();
    let mut text = summary(status);
    text += &aligned(&rows, is_coloured);
    for provider in list(&status["providers"]).iter().filter(|it| it["breaker"]["state"] != "closed") {
        let wait = left(&provider["breaker"]["until"], now);
        let _ = writeln!(
            text,
            "breaker of {}: {} {wait}",
            word(&provider["provider"]),
            word(&provider["breaker"]["state"])
        );
    }
    text
}

fn summary(status: &Value) -> String {
    let uptime = duration(status["uptime_ms"].as_u64().unwrap_or(0));
    let total = |name: &str| status["totals"][name].as_u64().unwrap_or(0);
    format!(
        "{} · version {} · up {uptime} · {} attempts, {} served, {} rotations, {} fallbacks\n\n",
        word(&status["status"]),
        word(&status["version"]),
        total("attempts"),
        total("successes"),
        total("rotations"),
        total("fallbacks"),
    )
}

fn row(provider: &Value, key: &Value, now: u64) -> Row {
    let out = key["models"].as_array().filter(|models| !models.is_empty());
    let (state, until) = match (key["state"].as_str(), out) {
        (Some("available"), Some(models)) => {
            let names: Vec<_> = models.iter().map(|model| word(&model["model"])).collect();
            (format!("out: {}", names.join(", ")), &models[0]["until"])
        }
        _ => (word(&key["state"]), &key["until"]),
    };
    let colour = match state.as_str() {
        "available" => "32",
        "invalid" | "forbidden" => "31",
        "disabled" => "90",
        _ => "33",
    };
    let (calls, served) = (key["calls"].as_u64().unwrap_or(0), key["successes"].as_u64().unwrap_or(0));
    let share =
        (100 * served).checked_div(calls).map_or_else(|| "-".to_owned(), |share| format!("{share} %"));
    let cells =
        [word(provider), word(&key["id"]), state, left(until, now), used(key), calls.to_string(), share];
    Row { cells, colour }
}

/// Returns the two limits of a key that are used most.
fn used(key: &Value) -> String {
    let of_models = key["model_limits"].as_array().into_iter().flatten();
    let of_models = of_models.flat_map(|it| it["limits"].as_array().into_iter().flatten());
    let limits = key["limits"].as_array().into_iter().flatten().chain(of_models);
    let share = |limit: &Value| {
        let (all, left) = (limit["limit"].as_u64()?, limit["remaining"].as_u64()?);
        Some((100 * all.saturating_sub(left) / all.max(1), word(&limit["metric"])))
    };
    let mut shares: Vec<_> = limits.filter_map(share).collect();
    shares.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
    let shown: Vec<_> =
        shares.into_iter().take(2).map(|(used, metric)| format!("{used} % {metric}")).collect();
    if shown.is_empty() { "-".to_owned() } else { shown.join(", ") }
}

/// Returns the time until a timestamp.
fn left(until: &Value, now: u64) -> String {
    until.as_u64().map_or_else(|| "-".to_owned(), |until| duration(until.saturating_sub(now)))
}

fn duration(ms: u64) -> String {
    let seconds = Duration::from_millis(ms).as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// Returns a text without characters that a terminal interprets.
fn word(value: &Value) -> String {
    value.as_str().map(shown).unwrap_or_default()
}

fn aligned(rows: &[Row], is_coloured: bool) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row.cells[column].as_str()).chain([HEAD[column]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |cells: &[String; 7], colour: Option<&str>| {
        let padded = cells.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            let cell = format!("{cell:width$}");
            match colour {
                Some(colour) if column == 2 => format!("\x1b[{colour}m{cell}\x1b[0m"),
                _ => cell,
            }
        });
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut text = line(&HEAD.map(str::to_owned), None);
    rows.iter().for_each(|row| text += &line(&row.cells, is_coloured.then_some(row.colour)));
    text
}
