//! From events to alerts: each incident fires once and is resolved once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tower_key_rotation::ModelId;
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::event::{Event, EventKind, OperatorEvent};
use tower_key_rotation::key::{AccountId, KeyId};

use crate::alert::incident::{Alert, Severity};
use crate::alert::rotation_rate::RotationRate;
use crate::alert::rules::Rules;

/// Time after which a used quota is no incident any more, if the time at which it is full again is not known (1 h).
const UNKNOWN_RESET: Duration = Duration::from_secs(60 * 60);

/// Maximum number of open incidents. Callers choose the names of models, so they must not fill the memory.
const MAX_OPEN: usize = 1_000;

/// The open incidents of one webhook.
pub(super) struct Detector {
    rules: Rules,
    /// The alerts that began them, by incident.
    open: BTreeMap<String, Incident>,
    rates: BTreeMap<Arc<str>, RotationRate>,
    /// The stores that fail, with the provider for which each does.
    failing: BTreeSet<(&'static str, Arc<str>)>,
}

struct Incident {
    alert: Alert,
    /// Time at which it ends without an event.
    until: Option<Timestamp>,
}

// === impl Detector ===

impl Detector {
    pub(super) const fn new(rules: Rules) -> Self {
        Self { rules, open: BTreeMap::new(), rates: BTreeMap::new(), failing: BTreeSet::new() }
    }

    /// Returns the alert of an event, if it begins or ends an incident.
    pub(super) fn see(&mut self, event: &Event) -> Vec<Alert> {
        let new = |rule, severity| Alert::new(rule, severity, &event.provider, event.at);
        let name = &event.provider;
        match &event.kind {
            EventKind::Exhausted { model, retry_after, .. } if self.rules.exhausted => {
                let model = model.as_ref().map(ModelId::as_str);
                let back = retry_after.map(|wait| format!(", the first is back in {} s", wait.as_secs()));
                let of = model.map(|model| format!(" for {model}")).unwrap_or_default();
                let says = format!("{name} has no usable key{of}{}.", back.unwrap_or_default());
                self.begin(new("exhausted", Severity::Critical).model(model).says(says), None)
            }
            EventKind::Available { model, .. } => {
                let model = model.as_ref().map(ModelId::as_str);
                self.end(&new("exhausted", Severity::Critical).model(model).incident, event.at)
            }
            EventKind::InvalidKey { key, .. } if self.rules.key_invalid => {
                let says = format!("{name} refuses the key {key} as invalid: replace it.");
                self.begin(new("key_invalid", Severity::Critical).key(key.as_str()).says(says), None)
            }
            EventKind::BreakerOpened { .. } if self.rules.breaker => {
                let says = format!("{name} fails and is skipped: its circuit breaker is open.");
                self.begin(new("breaker", Severity::Critical).says(says), None)
            }
            EventKind::BreakerClosed => self.end(&new("breaker", Severity::Critical).incident, event.at),
            EventKind::StoreFailed { store, .. } if self.rules.state_lost => self.store_fails(store, event),
            EventKind::StoreRecovered { store, .. } => self.store_works(store, event),
            EventKind::QuotaWarning { .. } => self.quota(event),
            EventKind::Rotated { .. } if self.rules.rotations.is_some() => {
                self.rates.entry(Arc::clone(name)).or_default().add(event.at);
                Vec::new()
            }
            EventKind::Recovered { key, model: None, .. }
            | EventKind::Operator(
                OperatorEvent::Reset { key: Some(key), .. }
                | OperatorEvent::Disabled { key, .. }
                | OperatorEvent::Replaced { key, .. }
                | OperatorEvent::Removed { key, .. },
            ) => self.key_is_well(event, key),
            EventKind::Operator(OperatorEvent::Reset { key: None, .. }) => self.end_all("key_invalid", event),
            _ => Vec::new(),
        }
    }

    /// Returns the alerts that are due by time.
    pub(super) fn tick(&mut self, now: Timestamp) -> Vec<Alert> {
        let over = self.open.iter().filter(|(_, incident)| incident.until.is_some_and(|until| until <= now));
        let over: Vec<_> = over.map(|(incident, _)| incident.clone()).collect();
        let mut alerts: Vec<_> = over.iter().flat_map(|incident| self.end(incident, now)).collect();
        let Some(allowed) = self.rules.rotations else { return alerts };
        let counts: Vec<_> =
            self.rates.iter_mut().map(|(provider, rate)| (Arc::clone(provider), rate.count(now))).collect();
        for (provider, count) in counts {
            let alert = Alert::new("rotations", Severity::Warning, &provider, now);
            if count > allowed {
                let says = format!("{provider}: {count} rotations within a minute.");
                alerts.extend(self.begin(alert.says(says), None));
            } else {
                alerts.extend(self.end(&alert.incident, now));
            }
        }
        alerts
    }

    fn quota(&mut self, event: &Event) -> Vec<Alert> {
        let EventKind::QuotaWarning { key, account, model, dimension, window, used, resets_at, .. } =
            &event.kind
        else {
            return Vec::new();
        };
        if self.rules.quota.is_none_or(|share| *used < share) {
            return Vec::new();
        }
        let owner = key.as_ref().map(KeyId::as_str).or_else(|| account.as_ref().map(AccountId::as_str));
        let owner = owner.unwrap_or_default();
        let window = window.map(|window| format!(" per {window}")).unwrap_or_default();
        let of = model.as_ref().map(|model| format!(" for {model}")).unwrap_or_default();
        let percent = (used * 100.0).round();
        let says =
            format!("{}: {percent} % of the {dimension}{window} of {owner}{of} are used.", event.provider);
        let alert = Alert::new("quota", Severity::Warning, &event.provider, event.at);
        let alert = alert.key(owner).model(model.as_ref().map(ModelId::as_str));
        let alert = alert.about(&format!("{dimension}{window}")).says(says);
        let until = resets_at.unwrap_or_else(|| event.at.saturating_add(UNKNOWN_RESET));
        self.begin(alert, Some(until))
    }

    fn key_is_well(&mut self, event: &Event, key: &KeyId) -> Vec<Alert> {
        let alert = Alert::new("key_invalid", Severity::Critical, &event.provider, event.at);
        self.end(&alert.key(key.as_str()).incident, event.at)
    }

    /// Each pool of a store has an event, and they are one incident.
    fn store_fails(&mut self, store: &'static str, event: &Event) -> Vec<Alert> {
        self.failing.insert((store, Arc::clone(&event.provider)));
        let meaning = match store {
            "file" => "a restart would forget what happens to keys now",
            _ => "other gateways do not know what this one sees, and limits are shared no more",
        };
        let says = format!("The {store} store of the keys' state fails: {meaning}.");
        self.begin(Alert::new("state_lost", Severity::Warning, store, event.at).says(says), None)
    }

    /// The incident is over when the store works for all its pools.
    fn store_works(&mut self, store: &'static str, event: &Event) -> Vec<Alert> {
        self.failing.remove(&(store, Arc::clone(&event.provider)));
        if self.failing.iter().any(|(other, _)| *other == store) {
            return Vec::new();
        }
        self.end(&Alert::new("state_lost", Severity::Warning, store, event.at).incident, event.at)
    }

    /// Ends the incidents of one rule at one provider.
    fn end_all(&mut self, rule: &str, event: &Event) -> Vec<Alert> {
        let is_it = |alert: &Alert| alert.rule == rule && alert.provider == *event.provider;
        let over = self.open.iter().filter(|(_, incident)| is_it(&incident.alert));
        let over: Vec<_> = over.map(|(incident, _)| incident.clone()).collect();
        over.iter().flat_map(|incident| self.end(incident, event.at)).collect()
    }

    fn begin(&mut self, alert: Alert, until: Option<Timestamp>) -> Vec<Alert> {
        if self.open.contains_key(&alert.incident) || self.open.len() >= MAX_OPEN {
            return Vec::new();
        }
        self.open.insert(alert.incident.clone(), Incident { alert: alert.clone(), until });
        vec![alert]
    }

    fn end(&mut self, incident: &str, at: Timestamp) -> Vec<Alert> {
        self.open.remove(incident).map(|incident| incident.alert.resolved(at)).into_iter().collect()
    }
}
