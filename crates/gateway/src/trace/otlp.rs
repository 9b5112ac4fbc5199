//! Traces that are exported by OTLP.

use std::env;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span as _, SpanKind, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::task::spawn_blocking;

use crate::trace::exporter::Collector;
use crate::trace::span::Request;
use crate::trace::{RequestSpan, Tracer, operation, tries};

/// Variables that name a collector, the more specific one first.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Name of the service, unless a variable sets one.
const SERVICE: &str = "key-rotation-gateway";

/// Maximum time to export the last spans when the process ends (5 s).
const LAST_SPANS: Duration = Duration::from_secs(5);

/// Traces of the requests to providers, exported by OTLP (HTTP, protobuf). Needs the feature `otlp`.
///
/// Each request has a span of kind *server*, whose parent is the caller's if the request has a W3C `traceparent`, and
/// each call of a provider a span of kind *client* below it. The attributes are those of OpenTelemetry's semantic
/// conventions for generative AI and HTTP, and the gateway's own:
///
/// | attribute | on | content |
/// |---|---|---|
/// | `gen_ai.operation.name` | both | `chat`, `text_completion`, `embeddings` or `generate_content`; absent for other requests |
/// | `gen_ai.provider.name` | both | the conventions' name of the API that was called, last |
/// | `gen_ai.request.model`, `gen_ai.response.model` | both | the model that the request names, and the one that the response names |
/// | `gen_ai.usage.input_tokens`, `gen_ai.usage.output_tokens` | both | tokens that the response reports |
/// | `http.request.method`, `http.response.status_code` | both | |
/// | `url.path` | request | path without query |
/// | `server.address`, `server.port` | call | the provider's host |
/// | `http.request.resend_count` | call | number of calls before this one |
/// | `error.type` | both | reason of the fault as the classifier names it, or the status, or `cancelled` if the caller left |
/// | `tower_key_rotation.provider`, `tower_key_rotation.key` | both | names in the configuration; of the request, those that served it |
/// | `tower_key_rotation.attempts`, `tower_key_rotation.caller` | request | number of calls; name of the caller |
///
/// No attribute holds a secret or content of a request.
///
/// Spans are made when a request has ended, and go through a bounded queue to a thread of their own: a collector that
/// hangs delays no request. Spans that do not fit the queue are dropped. A collector that can't be reached is logged, at
/// most every 10 s.
///
/// # Examples
///
/// ```no_run
/// use tower_key_rotation_gateway::config::Loader;
/// use tower_key_rotation_gateway::{Gateway, Options, Traces};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let traces = Traces::to("http://localhost:4318/v1/traces")?;
/// let gateway = Gateway::new(Loader::new().load("gateway.toml")?, Options::new().traces(traces.clone()));
/// // when the gateway has stopped:
/// traces.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Traces(Arc<Exporting>);

struct Exporting {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
}

/// An error: a setting of traces is wrong. The variables that hold it have names that begin with `OTEL_`.
#[derive(Debug, thiserror::Error)]
#[error("traces can't be exported: the endpoint or another OTEL_ variable is wrong")]
pub struct InvalidTraces(());

// === impl Traces ===

impl Traces {
    /// Creates the traces that the standard variables describe: `OTEL_EXPORTER_OTLP_ENDPOINT` or
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` for the collector, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`,
    /// `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, and `OTEL_BSP_…` for the queue (2,048 spans, every 5 s).
    ///
    /// Returns `None` if no endpoint is set, or if `OTEL_SDK_DISABLED` is `true` or `OTEL_TRACES_EXPORTER` is not
    /// `otlp`.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidTraces`] if the endpoint is no URL.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn from_env() -> Result<Option<Self>, InvalidTraces> {
        let set = |name: &&str| env::var(name).is_ok_and(|value| !value.trim().is_empty());
        let is_off = env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        let is_other = env::var("OTEL_TRACES_EXPORTER").is_ok_and(|value| value != "otlp");
        if is_off || is_other || !ENDPOINTS.iter().any(set) {
            return Ok(None);
        }
        Self::build(None).map(Some)
    }

    /// Creates traces that are sent to this URL, such as `http://localhost:4318/v1/traces`. All other settings are those
    /// of the [variables](Self::from_env).
    ///
    /// # Errors
    ///
    /// Returns [`InvalidTraces`] if it is no URL.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn to(url: &str) -> Result<Self, InvalidTraces> {
        Self::build(Some(url))
    }

    /// Exports the last spans, for at most 5 s. Spans that end later are dropped.
    pub async fn stop(&self) {
        let provider = self.0.provider.clone();
        let stopped = spawn_blocking(move || provider.shutdown_with_timeout(LAST_SPANS)).await;
        if !matches!(stopped, Ok(Ok(()))) {
            tracing::warn!(target: "gateway", "the last traces could not be exported");
        }
    }

    fn build(url: Option<&str>) -> Result<Self, InvalidTraces> {
        let exporter = SpanExporter::builder().with_http().with_http_client(Collector::new());
        let exporter = url.into_iter().fold(exporter, WithExportConfig::with_endpoint);
        // The exporter's own error quotes the URL, which may hold credentials.
        let exporter = exporter.build().map_err(|_quotes| InvalidTraces(()))?;
        let provider = SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter);
        let provider = provider.build();
        let tracer = provider.tracer(SERVICE);
        Ok(Self(Arc::new(Exporting { provider, tracer, propagator: TraceContextPropagator::new() })))
    }
}

/// Returns the description of this process.
fn resource() -> Resource {
    let attributes = env::var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let is_named = env::var_os("OTEL_SERVICE_NAME").is_some() || attributes.contains("service.name=");
    let resource = Resource::builder();
    let resource = if is_named { resource } else { resource.with_service_name(SERVICE) };
    resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build()
}

impl Tracer for Traces {
    fn begin(&self, head: &request::Parts) -> Option<Box<dyn RequestSpan>> {
        let Exporting { tracer, propagator, .. } = &*self.0;
        let parent = propagator.extract_with_context(&Context::new(), &HeaderExtractor(&head.headers));
        let operation = operation::of(head);
        let name = operation.map_or_else(|| head.method.to_string(), str::to_owned);
        let span = tracer.span_builder(name).with_kind(SpanKind::Server).with_start_time(tries::now());
        let span = span.start_with_context(tracer, &parent);
        span.is_recording().then(|| Request::begin(tracer.clone(), span, head, operation))
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").finish_non_exhaustive()
    }
}
