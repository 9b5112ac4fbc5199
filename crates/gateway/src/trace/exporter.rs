//! The HTTP client that sends spans to a collector.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use opentelemetry_http::{HttpClient as ExporterClient, HttpError};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tower::Service;
use tower_key_rotation::body::ReplayBody;

use crate::client::{self, HttpClient};
use crate::log_throttle::LogThrottle;
use crate::userinfo;

/// Maximum time of one call (10 s), as the specification of OTLP sets it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of a collector's response (64 KiB).
const LARGEST: usize = 64 * 1024;

/// The gateway's HTTP client, for the thread of the exporter. The calls run on the runtime of the gateway.
#[derive(Debug)]
pub(super) struct Collector {
    client: HttpClient,
    runtime: Handle,
    failures: LogThrottle,
}

// === impl Collector ===

impl Collector {
    /// Creates the client. Must be called within a tokio runtime.
    pub(super) fn new() -> Self {
        Self { client: client::client(), runtime: Handle::current(), failures: LogThrottle::default() }
    }

    /// Logs a failure. The URL of a collector and its headers may hold credentials, so they are not logged.
    fn report(&self, reason: &dyn std::fmt::Display) {
        if let Some(times) = self.failures.count() {
            tracing::warn!(target: "gateway", %reason, times, "can't export traces");
        }
    }
}

#[async_trait::async_trait]
impl ExporterClient for Collector {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        userinfo::move_to_header(&mut request);
        let mut client = self.client.clone();
        let call = async move {
            let response = timeout(TIMEOUT, client.call(request.map(ReplayBody::from))).await??;
            let (head, body) = response.into_parts();
            let body = timeout(TIMEOUT, Limited::new(body, LARGEST).collect()).await??;
            Ok::<_, HttpError>(Response::from_parts(head, body.to_bytes()))
        };
        let called = match self.runtime.spawn(call).await {
            Ok(called) => called,
            Err(error) => Err(error.into()),
        };
        match &called {
            Ok(response) if !response.status().is_success() => self.report(&response.status()),
            Ok(_) => {}
            Err(error) => self.report(&innermost(&**error)),
        }
        called
    }
}

/// Returns the first cause of an error: the system's reason, such as a refused connection.
fn innermost<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}
