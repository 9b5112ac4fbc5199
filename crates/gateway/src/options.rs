//! Settings of a gateway that are not in its configuration file.

use std::fmt;
use std::sync::Arc;

use crate::trace::Tracer;
#[cfg(feature = "otlp")]
use crate::trace::Traces;

/// Settings of a [`Gateway`](crate::Gateway) that belong to the process and not to the configuration file.
///
/// ```
/// use tower_key_rotation_gateway::Options;
///
/// let options = Options::new().max_request(1024 * 1024).metrics(|| "# no metric yet\n".to_owned());
/// ```
#[derive(Clone)]
#[must_use = "give it to a gateway or a router"]
pub struct Options {
    pub(crate) max_request: usize,
    pub(crate) metrics: Option<Arc<dyn Fn() -> String + Send + Sync>>,
    pub(crate) lost_log_lines: Option<Arc<dyn Fn() -> u64 + Send + Sync>>,
    pub(crate) tracer: Option<Arc<dyn Tracer>>,
}

// === impl Options ===

impl Options {
    /// Default of [`max_request`](Self::max_request): 32 MiB, the limit of Anthropic's Messages API.
    pub const MAX_REQUEST: usize = 32 * 1024 * 1024;

    /// Creates the default options: requests up to [`MAX_REQUEST`](Self::MAX_REQUEST), no metrics.
    pub fn new() -> Self {
        Self { max_request: Self::MAX_REQUEST, metrics: None, lost_log_lines: None, tracer: None }
    }

    /// Sets the maximum size of a request body in bytes. A larger request gets status 413. A request of any size up to it
    /// can be sent again with another key or to another provider; `max_body_memory` in the configuration limits the
    /// memory that all of them take.
    pub const fn max_request(mut self, bytes: usize) -> Self {
        self.max_request = bytes;
        self
    }

    /// Serves `/metrics` with the text that `render` returns, in Prometheus' text format.
    ///
    /// The gateway records through the [`metrics`] facade, from the first request for `/metrics` on: install a
    /// recorder, and let `render` return what it has recorded. Default: `/metrics` gets status 404.
    pub fn metrics(mut self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Arc::new(render));
        self
    }

    /// Sets a function that returns how many lines of the log were lost, for `/api/key-status`. Default: 0.
    pub fn lost_log_lines(mut self, count: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.lost_log_lines = Some(Arc::new(count));
        self
    }

    /// Exports traces of the requests to providers. Default: none.
    #[cfg(feature = "otlp")]
    pub fn traces(mut self, traces: Traces) -> Self {
        self.tracer = Some(Arc::new(traces));
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max_request, metrics, lost_log_lines, tracer } = self;
        f.debug_struct("Options")
            .field("max_request", max_request)
            .field("metrics", &metrics.is_some())
            .field("lost_log_lines", &lost_log_lines.is_some())
            .field("traces", &tracer.is_some())
            .finish()
    }
}
