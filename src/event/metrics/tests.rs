//! Checks that the table in the module's docs lists all metrics and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use metrics_util::CompositeKey;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use crate::classify::Scope;
use crate::event::metrics::*;
use crate::event::{EventSource, Events, OperatorEvent, Severity, StoreNote};
use crate::key::CheckResult;
use crate::provider::Dimension;

type Row = (String, BTreeSet<String>);

#[test]
fn the_table_has_all_names_with_their_labels_and_no_other() {
    let recorder = DebuggingRecorder::new();
    let events = metrics::with_local_recorder(&recorder, || {
        let events = Events::new().with_metrics();
        say_everything(&events);
        events.count_tokens("openai", Some(&"m".into()), &Usage::default());
        keys("openai", "available", 1);
        key_state("openai", &"a".into(), "available", true);
        events.measure_usable("openai", None, 1);
        events.stores().note(&"openai".into(), "file", StoreNote::Works);
        events.stores().measure(&"openai".into());
        missed(1);
        events
    });
    assert_eq!(recorded(&recorder.snapshotter()), documented());
    drop(events);
}

#[test]
fn a_model_has_a_label_once_it_is_served_or_if_it_is_declared() {
    let counts = counted(|events| {
        events.declare_models(["declared".into()]);
        for number in 0..2 * MODELS {
            exhausted(events, &format!("made-up-{number}"));
        }
        for model in ["declared", "served", &"x".repeat(LONGEST_MODEL + 1)] {
            exhausted(events, model);
            served(events, model);
            exhausted(events, model);
        }
    });
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["declared", "other", "served"]);
    assert_eq!((counts["declared"], counts["served"]), (2, 1));
}

#[test]
fn no_more_models_have_labels_than_the_cap() {
    let counts = counted(|events| {
        events.declare_models(["declared".into()]);
        for number in 0..2 * MODELS {
            served(events, &format!("m-{number}"));
            exhausted(events, &format!("m-{number}"));
        }
        exhausted(events, "m-0");
        exhausted(events, "declared");
    });
    assert_eq!(counts.len(), MODELS + 2);
    assert_eq!((counts["m-0"], counts["m-255"], counts["declared"]), (2, 1, 1));
    assert_eq!(counts["other"], MODELS as u64);
}

/// Returns how often requests of each model found no key, by label.
fn counted(say: impl FnOnce(&Events)) -> BTreeMap<String, u64> {
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || say(&Events::new().with_metrics()));
    let all = recorder.snapshotter().snapshot().into_vec().into_iter();
    let all = all.filter(|(key, ..)| key.key().name() == EXHAUSTED);
    let mut counts = BTreeMap::new();
    for (key, _, _, value) in all {
        let DebugValue::Counter(count) = value else { continue };
        let model = key.key().labels().find(|label| label.key() == "model").unwrap().value().to_owned();
        counts.insert(model, count);
    }
    counts
}

#[test]
fn thinking_is_counted_as_output() {
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || {
        let usage = Usage { input_tokens: Some(10), output_tokens: Some(5), total_tokens: Some(40) };
        Events::new().with_metrics().count_tokens("gemini", None, &usage);
        Events::new().count_tokens("gemini", None, &usage);
    });
    let counts: BTreeSet<_> = recorder
        .snapshotter()
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|it| it.3)
        .filter_map(|value| match value {
            DebugValue::Counter(count) => Some(count),
            _ => None,
        })
        .collect();
    assert_eq!(counts, BTreeSet::from([10, 30]), "and only by a hub that was told to");
}

/// Emits one event of each kind with a metric.
fn say_everything(events: &Events) {
    let (key, model, reason, scope) = (KeyId::from("a"), ModelId::from("m"), Reason::RateLimited, Scope::Key);
    let (wait, link): (_, Arc<str>) = (Duration::from_secs(1), "openai".into());
    let kinds = [
        EventKind::Attempt {
            key: key.clone(),
            model: Some(model.clone()),
            outcome: AttemptOutcome::Failed(reason),
            status: Some(429),
            duration: wait,
            request_id: None,
        },
        EventKind::Rotated {
            key: key.clone(),
            model: None,
            reason,
            scope,
            wait: None,
            why: None,
            caller: None,
        },
        EventKind::CooledDown { key: key.clone(), model: None, reason, scope, wait: Some(wait), hint: None },
        EventKind::Recovered { key: key.clone(), model: None },
        EventKind::InvalidKey { key: key.clone(), scope },
        EventKind::Exhausted { model: Some(model.clone()), attempts: 1, retry_after: None },
        EventKind::QuotaWarning {
            key: Some(key.clone()),
            account: Some("org".into()),
            model: Some(model),
            dimension: Dimension::Tokens,
            window: None,
            used: 0.9,
            threshold: 0.8,
            remaining: Some(10),
            limit: Some(100),
            resets_at: None,
        },
        EventKind::PoolFailed {
            model: None,
            reason: "exhausted",
            attempts: 1,
            retry_after: None,
            caller: None,
        },
        EventKind::StreamFailed { key: Some("a".into()), model: None, reason: "idle" },
        EventKind::FellOver {
            from: Arc::clone(&link),
            to: "gemini".into(),
            reason: "exhausted",
            caller: None,
        },
        EventKind::BreakerOpened { wait },
        EventKind::BreakerHalfOpen,
        EventKind::BreakerClosed,
        EventKind::ChainFailed {
            providers: 2,
            attempts: 2,
            deadline_passed: false,
            retry_after: None,
            caller: None,
        },
        OperatorEvent::Reset { key: None }.into(),
        OperatorEvent::Disabled { key: key.clone() }.into(),
        EventKind::SecretRenewed { key: key.clone(), lifetime: None },
        OperatorEvent::Enabled { key: key.clone() }.into(),
        OperatorEvent::QuotaReset { key: key.clone(), model: None }.into(),
        OperatorEvent::ForcedCooldown { key: key.clone(), model: None, wait }.into(),
        OperatorEvent::Added { key: key.clone() }.into(),
        OperatorEvent::Replaced { key: key.clone() }.into(),
        OperatorEvent::Changed { key: key.clone() }.into(),
        OperatorEvent::Removed { key: key.clone() }.into(),
        OperatorEvent::Drained { key: key.clone() }.into(),
        EventKind::Checked { key, result: CheckResult::Valid, status: Some(200) },
    ];
    for kind in kinds {
        events.emit(Severity::Detail, EventSource { name: &link, system: None }, || kind);
    }
}

fn served(events: &Events, model: &str) {
    let kind = || EventKind::Attempt {
        key: "a".into(),
        model: Some(model.into()),
        outcome: AttemptOutcome::Success,
        status: Some(200),
        duration: Duration::from_secs(1),
        request_id: None,
    };
    events.emit(Severity::Detail, EventSource { name: &Arc::from("openai"), system: None }, kind);
}

fn exhausted(events: &Events, model: &str) {
    let kind = || EventKind::Exhausted { model: Some(model.into()), attempts: 1, retry_after: None };
    events.emit(Severity::Alarm, EventSource { name: &Arc::from("openai"), system: None }, kind);
}

fn recorded(snapshotter: &Snapshotter) -> BTreeMap<String, Row> {
    let all = snapshotter.snapshot().into_vec();
    let row = |(key, unit, description, value): (CompositeKey, _, Option<SharedString>, _)| {
        let (_, key) = key.into_parts();
        let kind = match value {
            DebugValue::Counter(_) => "counter",
            DebugValue::Gauge(_) => "gauge",
            DebugValue::Histogram(_) => "histogram",
        };
        assert!(description.is_some(), "{key} is described");
        let seconds = unit == Some(Unit::Seconds);
        assert_eq!(seconds, key.name().ends_with("_seconds"), "{key}");
        let labels = key.labels().map(|label| label.key().to_owned()).collect();
        (key.name().to_owned(), (kind.to_owned(), labels))
    };
    all.into_iter().map(row).collect()
}

fn documented() -> BTreeMap<String, Row> {
    let rows = include_str!("../metrics.rs").lines().filter_map(|line| line.strip_prefix("//! | `tower_key"));
    let row = |row: &str| {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let labels = cells[3].split(", ").filter(|label| !label.is_empty()).map(str::to_owned).collect();
        (format!("tower_key{}", cells[0]), (cells[1].clone(), labels))
    };
    rows.map(row).collect()
}
