//! The files for operation name only metrics and labels that exist, and Prometheus' own tool accepts the rules.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const PREFIX: &str = "tower_key_rotation_";
const LIBRARY: &str = "../../src/event/metrics.rs";
const GUIDE: &str = "../../docs/guide/operating.md";

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

/// The metrics of the tables of the library and of the guide for operators, with their labels. `None` in a package, which
/// has neither.
fn metrics() -> Option<BTreeMap<String, BTreeSet<String>>> {
    let (Some(library), Some(guide)) = (read(LIBRARY), read(GUIDE)) else {
        eprintln!("skipped: the tables of the metrics are no part of this package");
        return None;
    };
    let row = |row: &str, labels: usize| {
        let cells: Vec<_> = row.split('|').collect();
        let labels = cells[labels].split('`').skip(1).step_by(2).map(str::to_owned);
        (cells[1].trim().trim_matches('`').to_owned(), labels.collect())
    };
    let of_library = library.lines().filter(|line| line.starts_with("//! | `tower_key_rotation"));
    let of_gateway = guide.lines().filter(|line| line.starts_with("| `tower_key_rotation_gateway"));
    let rows = of_library.map(|line| row(line, 4)).chain(of_gateway.map(|line| row(line, 3)));
    let found: BTreeMap<_, _> = rows.collect();
    assert!(found.len() > 25, "{found:?}");
    Some(found)
}

/// The text of all files of Rust below a folder.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: std::path::PathBuf| match path.extension().and_then(|it| it.to_str()) {
        _ if path.is_dir() => sources(&path),
        Some("rs") => fs::read_to_string(path).unwrap(),
        _ => String::new(),
    };
    entries.map(text).collect()
}

#[test]
fn each_metric_of_the_gateway_is_in_the_guide_and_each_name_in_texts_exists() {
    let Some(metrics) = metrics() else { return };
    let code = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let own: BTreeSet<_> =
        code.split('"').flat_map(|text| names(text, "tower_key_rotation_gateway_")).collect();
    let is_metric = |name: &&&str| code.contains(&format!("\"{name}\""));
    let own: BTreeSet<_> = own.iter().filter(is_metric).map(|name| (*name).to_owned()).collect();
    let listed =
        metrics.keys().filter(|name| name.starts_with("tower_key_rotation_gateway_")).cloned().collect();
    assert_eq!(own, listed);
    let texts = [GUIDE, "../../README.md", "README.md", "ops/README.md", "ops/TROUBLESHOOTING.md"];
    for text in texts.into_iter().filter_map(read) {
        for name in names(&text, PREFIX).filter(|name| !name.ends_with('_')) {
            let is_crate = ["tower_key_rotation_gateway", "tower_key_rotation_sim"].contains(&name);
            assert!(is_crate || metrics.contains_key(name), "{name}");
        }
    }
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
fn each_metric_is_on_the_dashboard_or_in_a_rule() {
    let Some(metrics) = metrics() else { return };
    let all = expressions().join(" ");
    let missing: Vec<_> = metrics.keys().filter(|name| !all.contains(&name[..])).collect();
    assert_eq!(missing, Vec::<&String>::new());
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
