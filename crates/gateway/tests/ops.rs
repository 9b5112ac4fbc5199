//! The files for operation name only metrics and labels that exist, and Prometheus' own tool accepts the rules.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

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

/// The metrics of the tables of the library and of callers with their labels, and those of the program.
fn metrics() -> Option<BTreeMap<String, BTreeSet<String>>> {
    let (Some(library), Some(callers), Some(program)) = (
        read("../../src/event/metrics.rs"),
        read("src/caller/mod.rs"),
        read("src/bin/key-rotation-gateway/recorder.rs"),
    ) else {
        eprintln!("skipped: the source of the metrics is no part of this package");
        return None;
    };
    let row = |row: &str, labels: usize| {
        let cells: Vec<_> = row.split('|').collect();
        let labels = cells[labels].split('`').skip(1).step_by(2).map(str::to_owned);
        (cells[1].trim().trim_matches('`').to_owned(), labels.collect())
    };
    let is_row = |line: &&str| line.starts_with("//! | `tower_key_rotation");
    let of_callers = callers.lines().filter(is_row).map(|line| row(line, 2));
    let rows = library.lines().filter(is_row).map(|line| row(line, 4)).chain(of_callers);
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
fn promtool_accepts_the_rules_and_each_fires() {
    let ops = Path::new(env!("CARGO_MANIFEST_DIR")).join("ops");
    for arguments in
        [["check", "rules", "prometheus-rules.yaml"], ["test", "rules", "prometheus-rules.test.yaml"]]
    {
        let run = Command::new("promtool").args(arguments).current_dir(&ops).output();
        let Ok(output) = run else {
            let what = "promtool can't be started: install Debian's package `prometheus`";
            assert!(std::env::var("REQUIRE_SERVICES").as_deref() != Ok("1"), "{what}");
            eprintln!("skipped: {what}");
            return;
        };
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
    let (rules, tests) = (read("ops/prometheus-rules.yaml"), read("ops/prometheus-rules.test.yaml"));
    let (rules, tests) = (rules.unwrap(), tests.unwrap());
    for rule in names_after(&rules, "- alert: ").map(|rest| rest.lines().next().unwrap()) {
        let fires = format!("alertname: {rule}\n        exp_alerts:\n          - ");
        let is_quiet = format!("alertname: {rule}, exp_alerts: []");
        assert!(tests.contains(&fires) && tests.contains(&is_quiet), "{rule} has no test");
    }
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
