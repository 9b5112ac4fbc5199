//! The spans of a request and of its tries.

use http::uri::Authority;
use http::{Method, StatusCode, request};
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, Span};
use tower_key_rotation::Attempt;
use tower_key_rotation::ModelId;
use tower_key_rotation::Served;
use tower_key_rotation::body::StreamErrorKind;

use crate::trace::tries::Try;
use crate::trace::{Facts, RequestSpan};

/// Error type of what the caller did not wait for.
const CANCELLED: &str = "cancelled";

/// Maximum length of a path in bytes.
const LONGEST_PATH: usize = 200;

/// The span of a request.
pub(super) struct Request {
    tracer: SdkTracer,
    span: Span,
    method: Method,
    operation: Option<&'static str>,
}

// === impl Request ===

impl Request {
    pub(super) fn begin(
        tracer: SdkTracer,
        mut span: Span,
        head: &request::Parts,
        operation: Option<&'static str>,
    ) -> Box<dyn RequestSpan> {
        let path: String = head.uri.path().chars().take(LONGEST_PATH).collect();
        span.set_attribute(KeyValue::new("url.path", path));
        Box::new(Self { tracer, span, method: head.method.clone(), operation })
    }

    /// Returns the attributes that a request and its tries share.
    fn common(&self, facts: &Facts<'_>) -> Vec<KeyValue> {
        let mut attributes = vec![KeyValue::new("http.request.method", self.method.to_string())];
        add(&mut attributes, "gen_ai.operation.name", self.operation);
        add(&mut attributes, "gen_ai.request.model", facts.model.map(ModelId::as_str).map(str::to_owned));
        attributes
    }

    fn name(&self, facts: &Facts<'_>) -> String {
        let first = self.operation.unwrap_or_else(|| self.method.as_str());
        facts.model.map_or_else(|| first.to_owned(), |model| format!("{first} {model}"))
    }

    /// Makes the span of a try. `fault` is the failed attempt that it belongs to.
    fn try_span(&self, facts: &Facts<'_>, number: usize, it: &Try, fault: Option<&Attempt>, serves: bool) {
        let mut attributes = self.common(facts);
        let status = it.result.as_ref().and_then(|result| result.status);
        let server = it.server.as_ref();
        add(&mut attributes, "server.address", server.map(|server| server.host().to_owned()));
        add(&mut attributes, "server.port", server.and_then(Authority::port_u16).map(i64::from));
        add(&mut attributes, "http.request.resend_count", Some(number).filter(|it| *it > 0).map(integer));
        let company = Some(it.provider.company.clone());
        add(&mut attributes, "gen_ai.provider.name", company.filter(|_| self.operation.is_some()));
        add(&mut attributes, "tower_key_rotation.provider", Some(it.provider.name.clone()));
        add(&mut attributes, "tower_key_rotation.key", it.key.as_ref().map(ToString::to_string));
        add(&mut attributes, "http.response.status_code", status.map(|it| i64::from(it.as_u16())));
        if serves {
            self.response(&mut attributes, facts);
        }
        let error = match (&it.result, fault) {
            (_, Some(fault)) => Some(fault.fault.reason().as_str().to_owned()),
            (None, None) => Some(CANCELLED.to_owned()),
            (Some(result), None) => error_of(result.status).or_else(|| broken(facts).filter(|_| serves)),
        };
        add(&mut attributes, "error.type", error.clone());
        let parent = Context::new().with_remote_span_context(self.span.span_context().clone());
        let span = self.tracer.span_builder(self.name(facts)).with_kind(SpanKind::Client);
        let span = span.with_start_time(it.began).with_attributes(attributes);
        let mut span = span.start_with_context(&self.tracer, &parent);
        if error.is_some() {
            span.set_status(Status::error(""));
        }
        let end = match (&it.result, fault) {
            (Some(result), _) if !serves => result.at,
            (None, Some(fault)) => it.began + fault.duration,
            _ => facts.ended,
        };
        span.end_with_timestamp(end);
    }

    /// Adds the attributes of the response's content.
    fn response(&self, attributes: &mut Vec<KeyValue>, facts: &Facts<'_>) {
        // Other bodies are files, whose content belongs in no trace.
        if self.operation.is_none() {
            return;
        }
        add(attributes, "gen_ai.response.model", facts.response_model.map(str::to_owned));
        let count = |tokens: Option<u64>| tokens.and_then(|it| i64::try_from(it).ok());
        add(attributes, "gen_ai.usage.input_tokens", count(facts.usage.and_then(|usage| usage.input_tokens)));
        add(
            attributes,
            "gen_ai.usage.output_tokens",
            count(facts.usage.and_then(|usage| usage.output_tokens)),
        );
    }

    fn try_spans(&self, facts: &Facts<'_>, tries: &[Try]) {
        let mut failed = facts.failed.iter();
        for (number, it) in tries.iter().enumerate() {
            let is_last = number + 1 == tries.len();
            let serves = is_last && facts.served.is_some();
            // An attempt may have failed before it was sent, so some attempts have no try.
            let is_its = |attempt: &Attempt| attempt.key.as_ref() == it.key.as_ref();
            let fault = match serves {
                true => None,
                false => failed.by_ref().find(|attempt| is_its(attempt)),
            };
            self.try_span(facts, number, it, fault, serves);
        }
    }
}

impl RequestSpan for Request {
    fn end(mut self: Box<Self>, facts: Facts<'_>, tries: Vec<Try>) {
        self.try_spans(&facts, &tries);
        let mut attributes = self.common(&facts);
        let company = tries.last().filter(|_| self.operation.is_some()).map(|it| it.provider.company.clone());
        add(&mut attributes, "gen_ai.provider.name", company);
        add(&mut attributes, "http.response.status_code", facts.status.map(|it| i64::from(it.as_u16())));
        add(&mut attributes, "tower_key_rotation.attempts", Some(integer(tries.len())));
        add(&mut attributes, "tower_key_rotation.caller", facts.caller.map(str::to_owned));
        add(&mut attributes, "tower_key_rotation.provider", facts.served.map(|it| it.provider().to_owned()));
        add(&mut attributes, "tower_key_rotation.key", facts.served.map(|it| it.key_id().to_string()));
        self.response(&mut attributes, &facts);
        let error = match facts.status {
            None => Some(CANCELLED.to_owned()),
            Some(status) => broken(&facts).or_else(|| error_of(Some(status))),
        };
        // A status below 500 is no error of the server, by the conventions.
        if error.is_some()
            && facts.status.is_none_or(|status| status.is_server_error() || status.is_success())
        {
            self.span.set_status(Status::error(""));
        }
        add(&mut attributes, "error.type", error);
        self.span.set_attributes(attributes);
        self.span.update_name(self.name(&facts));
        self.span.end_with_timestamp(facts.ended);
    }
}

/// Returns the error that broke the response off.
fn broken(facts: &Facts<'_>) -> Option<String> {
    facts.served.and_then(Served::stream_error).map(StreamErrorKind::as_str).map(str::to_owned)
}

/// Returns the error type of a response with an error status, or of a call without a response.
fn error_of(status: Option<StatusCode>) -> Option<String> {
    match status {
        None => Some("no_response".to_owned()),
        Some(status) if status.is_client_error() || status.is_server_error() => {
            Some(status.as_str().to_owned())
        }
        Some(_) => None,
    }
}

fn add(attributes: &mut Vec<KeyValue>, name: &'static str, value: Option<impl Into<Value>>) {
    attributes.extend(value.map(|value| KeyValue::new(name, value)));
}

fn integer(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
