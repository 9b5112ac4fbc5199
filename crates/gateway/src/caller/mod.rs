//! Callers with tokens of their own: what they may ask for, and how much.
//!
//! A `[[caller]]` table of the configuration gives a caller a token and a name. A caller may be limited to some models
//! and paths, and to amounts of requests and tokens. Its limits count over the last minute and the last 24 hours; a
//! request is counted when it is passed on, and its tokens at the end of the response, so the last requests may exceed
//! a limit of tokens. Where a response does not report its tokens, they are estimated. A caller may also be limited to a share of `max_requests`, the requests in flight of all callers.
//! Over a limit, a caller gets status 429 with `retry-after`, without a call to a provider. No key is blamed for it.
//!
//! A request of a caller that is limited to models is read as a whole, and refused if a name in it is not permitted or
//! can't be read. A request that names no model is passed on: limit the `endpoints`, too.
//!
//! A caller uses providers only: the status of keys needs the gateway's `token` or the operator token. The name of a
//! caller is in the history of its rotations, fallbacks and failures. The usage of callers is in `/api/usage`, in the
//! access line of each request, and in the metrics `tower_key_rotation_gateway_caller_…`.

mod estimate;
mod meter;
mod model_names;
mod places;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode, Uri, request};
use metrics::counter;
use serde::Serialize;
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::event::CallerName;

pub(crate) use self::estimate::Estimate;
pub use self::meter::CallerCounts;
use self::meter::Meter;
pub(crate) use self::model_names::{likely_model, model_names};
use self::places::Places;
pub(crate) use self::places::{Place, in_place};
use crate::access;
use crate::config::{CallerSettings, Config, ServerSettings};
use crate::history::Spans;
use crate::refusal::Refusal;

const REQUESTS: &str = "tower_key_rotation_gateway_caller_requests_total";
const TOKENS: &str = "tower_key_rotation_gateway_caller_tokens_total";

/// The callers of a configuration.
#[derive(Clone, Default)]
pub(crate) struct Callers(Arc<[Arc<Caller>]>);

/// One caller and its usage.
pub(crate) struct Caller {
    settings: CallerSettings,
    event_name: CallerName,
    meter: Arc<Meter>,
    places: Arc<Places>,
    /// Maximum number of its requests in flight.
    most_places: u32,
}

/// The usage of one caller.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CallerUsage {
    /// Name of the caller.
    pub caller: String,
    /// Number of its requests in flight.
    pub in_flight: u32,
    /// Its usage.
    #[serde(flatten)]
    pub usage: Spans<CallerCounts>,
}

// === impl Callers ===

impl Callers {
    pub(crate) fn new(config: &Config) -> Self {
        Self::default().follow(config)
    }

    /// Returns the callers of a configuration that follows this one. A caller with the same name keeps its counts.
    pub(crate) fn follow(&self, config: &Config) -> Self {
        let all_places = config.server().max_requests().map_or(ServerSettings::MAX_REQUESTS, NonZeroU32::get);
        let caller = |settings: &CallerSettings| {
            let known = self.0.iter().find(|caller| caller.name() == settings.name());
            let meter = known.map_or_else(Arc::default, |known| Arc::clone(&known.meter));
            let places = known.map_or_else(Arc::default, |known| Arc::clone(&known.places));
            let most_places = settings.limits().places_of(all_places);
            let event_name = CallerName::new(settings.name());
            Arc::new(Caller { settings: settings.clone(), event_name, meter, places, most_places })
        };
        Self(config.callers().iter().map(caller).collect())
    }

    /// Returns the caller whose token a request has. Looks at every caller, so that the time does not tell which it is.
    pub(crate) fn find(&self, headers: &HeaderMap, uri: &Uri) -> Option<&Arc<Caller>> {
        let mut found = None;
        for shown in access::credentials(headers, uri) {
            for caller in self.0.iter() {
                if caller.settings.token().matches(&shown) {
                    found = Some(caller);
                }
            }
        }
        found
    }

    /// Returns the usage of every caller, in the order of the file.
    pub(crate) fn usage(&self, now: Timestamp) -> Vec<CallerUsage> {
        let usage = |caller: &Arc<Caller>| CallerUsage {
            caller: caller.name().to_owned(),
            in_flight: caller.places.taken(),
            usage: caller.meter.usage(now),
        };
        self.0.iter().map(usage).collect()
    }
}

// === impl Caller ===

impl Caller {
    pub(crate) fn name(&self) -> &str {
        self.settings.name()
    }

    /// Counts a request, if the caller may send it, and names the caller in its events. Returns its place among the
    /// requests in flight.
    pub(crate) fn admit(&self, head: &mut request::Parts, now: Timestamp) -> Result<Place, Refusal> {
        if self.settings.expires().is_some_and(|end| end <= now) {
            return Err(Refusal::Expired);
        }
        if !self.may_use(head.uri.path()) {
            return Err(Refusal::Endpoint);
        }
        let Some(place) = self.places.take(self.most_places) else {
            self.meter.refuse(now);
            return Err(Refusal::CallerShare);
        };
        let admitted = self.meter.admit(self.settings.limits(), now);
        let seconds = |wait: Duration| u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
        admitted.map_err(|wait| Refusal::CallerLimit(seconds(wait)))?;
        head.extensions.insert(self.event_name.clone());
        Ok(place)
    }

    /// Returns whether the caller is limited to some models. The body of its requests must then be read.
    pub(crate) fn limits_models(&self) -> bool {
        !self.settings.models().is_empty()
    }

    /// Returns whether the caller may use a model.
    pub(crate) fn may_ask(&self, model: &str) -> bool {
        let model = model.strip_prefix("models/").unwrap_or(model);
        self.settings.models().iter().any(|pattern| pattern.matches(model))
    }

    /// Counts a response and its tokens.
    pub(crate) fn count(&self, status: StatusCode, (input, output): (u64, u64), now: Timestamp) {
        self.meter.tokens(input, output, now);
        let name = || self.name().to_owned();
        counter!(REQUESTS, "caller" => name(), "status" => status.as_str().to_owned()).increment(1);
        for (direction, tokens) in [("input", input), ("output", output)] {
            counter!(TOKENS, "caller" => name(), "direction" => direction).increment(tokens);
        }
    }

    /// Returns whether the caller may use an endpoint. A path that a provider may read as another one is none.
    fn may_use(&self, path: &str) -> bool {
        let endpoints = self.settings.endpoints();
        let lower = path.to_ascii_lowercase();
        let is_plain =
            !["..", "//", "\\", "%2e", "%2f", "%5c", "%25"].iter().any(|part| lower.contains(part));
        endpoints.is_empty() || is_plain && endpoints.iter().any(|pattern| pattern.matches(path))
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|caller| caller.name())).finish()
    }
}
