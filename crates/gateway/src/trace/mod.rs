//! Traces of requests: one span for a request, and one for each try at a provider.
//!
//! This part collects the facts while a request is served. [`Traces`] makes spans of them at its end, with the feature
//! `otlp`.

#![cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "nothing reads the facts without `otlp`"))]

mod response_model;
mod tries;

#[cfg(feature = "otlp")]
mod exporter;
#[cfg(feature = "otlp")]
mod operation;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "otlp")]
mod span;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Response, StatusCode, request};
use tower_key_rotation::Attempt;
use tower_key_rotation::body::Usage;
use tower_key_rotation::{ModelId, Served};

#[cfg(feature = "otlp")]
pub use self::otlp::{InvalidTraces, Traces};
use self::response_model::ResponseModel;
use self::tries::Try;
pub(crate) use self::tries::{OpenTry, ProviderNames, Tries};

/// Begins the traces of requests.
pub(crate) trait Tracer: Send + Sync {
    /// Begins the trace of a request. `None` if it is not sampled.
    fn begin(&self, head: &request::Parts) -> Option<Box<dyn RequestSpan>>;
}

/// The span of a request.
pub(crate) trait RequestSpan: Send {
    /// Ends the span, and makes a span of each try.
    fn end(self: Box<Self>, facts: Facts<'_>, tries: Vec<Try>);
}

/// Response extension: the attempts of a request that failed.
#[derive(Clone)]
pub(crate) struct FailedAttempts(pub(crate) Arc<[Attempt]>);

/// The facts about a request at its end.
pub(crate) struct Facts<'a> {
    /// `None` if the caller left before the response began.
    pub(crate) status: Option<StatusCode>,
    pub(crate) caller: Option<&'a str>,
    pub(crate) model: Option<&'a ModelId>,
    pub(crate) response_model: Option<&'a str>,
    pub(crate) served: Option<&'a Served>,
    /// The attempts that failed.
    pub(crate) failed: &'a [Attempt],
    pub(crate) usage: Option<Usage>,
    pub(crate) ended: SystemTime,
}

/// The trace of a request that is being served.
pub(crate) struct Trace {
    span: Box<dyn RequestSpan>,
    tries: Tries,
    status: Option<StatusCode>,
    failed: Option<FailedAttempts>,
    model: ResponseModel,
}

// === impl Trace ===

impl Trace {
    /// Begins the trace of a request, which carries its tries from here on. `None` if it is not sampled.
    pub(crate) fn begin(tracer: Option<&Arc<dyn Tracer>>, head: &mut request::Parts) -> Option<Box<Self>> {
        let span = tracer?.begin(head)?;
        let tries = Tries::default();
        head.extensions.insert(tries.clone());
        Some(Box::new(Self { span, tries, status: None, failed: None, model: ResponseModel::default() }))
    }

    /// Notes the facts of a response.
    pub(crate) fn answered<B>(&mut self, response: &mut Response<B>) {
        self.status = Some(response.status());
        self.failed = response.extensions_mut().remove();
    }

    /// Looks for the model in a part of the response's body.
    pub(crate) fn see(&mut self, data: &Bytes) {
        self.model.see(data);
    }

    /// Ends the trace.
    pub(crate) fn end(self, caller: Option<&str>, model: Option<&ModelId>, served: Option<&Served>) {
        let failed = self.failed.as_ref().map(|FailedAttempts(attempts)| &**attempts);
        let facts = Facts {
            status: self.status,
            caller,
            model,
            response_model: self.model.found(),
            served,
            failed: failed.or_else(|| served.map(Served::attempts)).unwrap_or_default(),
            usage: served.and_then(Served::usage),
            ended: tries::now(),
        };
        self.span.end(facts, self.tries.take());
    }
}
