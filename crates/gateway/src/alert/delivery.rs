//! Delivery of messages to one webhook: grouped, signed, and sent again until the receiver confirms them.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt};
use tower_key_rotation::clock::Timestamp;

use crate::alert::incident::Alert;
use crate::alert::message::WebhookFormat;
use crate::alert::signature;
use crate::alert::webhook::Webhook;
use crate::userinfo;

/// Maximum time for which a message is sent again (1 h).
const GIVE_UP: Duration = Duration::from_secs(60 * 60);

/// Maximum number of alerts that wait for one webhook.
pub(super) const QUEUE: usize = 1_000;

/// Maximum number of alerts in one message.
const GROUP: usize = 100;

/// The parts of a response that matter.
type Confirmed = (StatusCode, HeaderMap);
type Client = BoxCloneSyncService<Request<Full<Bytes>>, Confirmed, BoxError>;

/// A webhook and the client for it.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) webhook: Webhook,
    client: Client,
}

/// The reason why a message was not confirmed. Contains neither the URL nor the secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The receiver responded with another status than 2xx.
    #[error("the receiver responded with status {0}")]
    Status(StatusCode, Option<Duration>),
    /// The receiver did not respond in time.
    #[error("the receiver did not respond in time")]
    Timeout,
    /// The receiver could not be reached.
    #[error("the receiver can't be reached")]
    Unreachable,
}

// === impl DeliveryError ===

impl DeliveryError {
    /// Returns whether the same message may be accepted later.
    fn is_temporary(&self) -> bool {
        match self {
            Self::Status(status, _) => {
                status.is_server_error()
                    || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(status)
            }
            Self::Timeout | Self::Unreachable => true,
        }
    }

    const fn stated_wait(&self) -> Option<Duration> {
        match self {
            Self::Status(_, wait) => *wait,
            Self::Timeout | Self::Unreachable => None,
        }
    }
}

// === impl Target ===

impl Target {
    pub(super) fn new<S, B>(webhook: Webhook, client: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body + 'static,
    {
        let parts = |response: Response<B>| (response.status(), response.headers().clone());
        let client = client.map_response(parts).map_err(Into::into);
        Self { webhook, client: BoxCloneSyncService::new(client) }
    }

    /// Delivers alerts until the sender is gone.
    pub(super) async fn run(self, mut alerts: mpsc::Receiver<Alert>) {
        while let Some(first) = alerts.recv().await {
            sleep(self.webhook.group_wait).await;
            let mut group = vec![first];
            while let Some(next) = alerts.try_recv().ok().filter(|_| group.len() < GROUP) {
                group.push(next);
            }
            for body in self.bodies(&group) {
                self.deliver(&body).await;
            }
        }
    }

    /// Sends one message once.
    pub(super) async fn send_once(&self, alert: &Alert) -> Result<(), DeliveryError> {
        for body in self.bodies(std::slice::from_ref(alert)) {
            self.attempt(&body).await?;
        }
        Ok(())
    }

    fn bodies(&self, alerts: &[Alert]) -> Vec<Bytes> {
        let key = self.webhook.secret.as_ref().map_or("", ExposeSecret::expose_secret);
        let bodies = self.webhook.format.bodies(alerts, key).into_iter();
        bodies.map(|body: Value| Bytes::from(body.to_string())).collect()
    }

    /// Sends a message until it is confirmed, refused, or an hour old.
    async fn deliver(&self, body: &Bytes) {
        let (give_up, webhook) = (Instant::now() + GIVE_UP, self.webhook.name.as_str());
        let (mut pause, longest) = self.webhook.backoff;
        loop {
            let Err(error) = self.attempt(body).await else { return };
            let wait = error.stated_wait().unwrap_or(pause).min(longest);
            if !error.is_temporary() || Instant::now() + wait > give_up {
                tracing::warn!(target: "gateway", webhook, %error, "an alert is not delivered");
                return;
            }
            tracing::info!(target: "gateway", webhook, %error, wait_ms = wait.as_millis() as u64, "an alert is sent again");
            sleep(wait).await;
            pause = (pause * 2).min(longest);
        }
    }

    async fn attempt(&self, body: &Bytes) -> Result<(), DeliveryError> {
        let sending = self.client.clone().oneshot(self.request(body));
        let sent = timeout(self.webhook.timeout, sending).await.map_err(|_| DeliveryError::Timeout)?;
        // The error of a client may contain the URL.
        let (status, headers) = sent.map_err(|_| DeliveryError::Unreachable)?;
        if status.is_success() {
            return Ok(());
        }
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Err(DeliveryError::Status(status, seconds.map(Duration::from_secs)))
    }

    fn request(&self, body: &Bytes) -> Request<Full<Bytes>> {
        let Webhook { url, format, secret, .. } = &self.webhook;
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = url.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let signing = secret.as_ref().filter(|_: &&SecretString| *format != WebhookFormat::PagerDuty);
        if let Some(secret) = signing {
            signature::sign(request.headers_mut(), secret, body, Timestamp::now());
        }
        userinfo::move_to_header(&mut request);
        request
    }
}
