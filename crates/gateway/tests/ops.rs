//! The files for operation name only metrics and labels that exist.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

const PREFIX: &str = "tower_key_rotation_";

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// The names that begin at each place of a text.
fn names<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(start).map(|(at, _)| {
        let rest = &text[at..];
        &rest[..rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '_').unwrap_or(rest.len())]
    })
}

/// The metrics of the library's table with their labels, and those of the program.
fn metrics() -> Option<BTreeMap<String, BTreeSet<String>>> {
    let (Some(library), Some(program)) =
        (read("../../src/event/metrics.rs"), read("src/bin/key-rotation-gateway/recorder.rs"))
    else {
        eprintln!("skipped: the source of the metrics is no part of this package");
        return None;
    };
    let rows = library.lines().filter(|line| line.starts_with("//! | `tower_key_rotation"));
    let rows = rows.map(|row| {
        let cells: Vec<_> = row.split('|').collect();
        let labels = cells[4].split('`').skip(1).step_by(2).map(str::to_owned);
        (cells[1].trim().trim_matches('`').to_owned(), labels.collect())
    });
    let own = names(&program, PREFIX).map(|name| (name.to_owned(), BTreeSet::new()));
    let found: BTreeMap<_, _> = rows.chain(own).collect();
    assert!(found.len() > 15, "{found:?}");
    Some(found)
}

/// The expressions of both files.
fn expressions() -> Vec<String> {
    let rules = read("ops/prometheus-rules.yaml").unwrap();
    let rules = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned);
    let dashboard: Value = serde_json::from_str(&read("ops/grafana.json").unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().clone();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap().clone());
    rules.chain(targets.map(|target| target["expr"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn each_expression_uses_metrics_and_labels_that_exist() {
    let Some(metrics) = metrics() else { return };
    let expressions = expressions();
    assert!(expressions.len() > 20);
    for expression in &expressions {
        let mut labels = BTreeSet::from(["le".to_owned()]);
        let mut count = 0;
        for name in names(expression, PREFIX) {
            let known = metrics.get(name).or_else(|| metrics.get(name.strip_suffix("_bucket")?));
            labels.extend(known.unwrap_or_else(|| panic!("{name} in {expression}")).clone());
            count += 1;
        }
        assert!(count > 0, "{expression}");
        let grouped = expression.split(" by (").skip(1).map(|rest| rest.split(')').next().unwrap());
        let grouped = grouped.flat_map(|list| list.split(", "));
        let filters = expression.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
        let filtered =
            filters.flat_map(|list| list.split(',')).map(|it| it.split(['=', '!']).next().unwrap());
        for label in grouped.chain(filtered) {
            assert!(labels.contains(label), "{label} in {expression}");
        }
    }
}

#[test]
fn each_metric_of_keys_and_requests_is_on_the_dashboard_or_in_a_rule() {
    let Some(metrics) = metrics() else { return };
    let all = expressions().join(" ");
    let missing: Vec<_> = metrics.keys().filter(|name| !all.contains(&name[..])).collect();
    assert!(missing.len() <= 6, "{missing:?}");
}

#[test]
fn the_paths_of_probes_are_served() {
    let manifest = read("ops/kubernetes.yaml").unwrap();
    let described: Value = serde_json::from_str(&read("src/status/openapi.json").unwrap()).unwrap();
    let probes: Vec<_> = names_after(&manifest, "httpGet: {path: ").collect();
    assert_eq!(probes.len(), 2);
    assert!(probes.iter().all(|path| described["paths"].get(path).is_some()), "{probes:?}");
}

fn names_after<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).map(|rest| rest.split(',').next().unwrap())
}
