//! A webhook: where alerts go, in which format, and by which rules.

use std::fmt;
use std::time::Duration;

use http::Uri;
use secrecy::{ExposeSecret, SecretString};

use crate::alert::message::WebhookFormat;
use crate::alert::rules::Rules;

/// A receiver of alerts. Its URL and its secret are shown nowhere: the URL of a chat's webhook is a credential.
///
/// ```
/// use tower_key_rotation_gateway::alert::{Rules, Webhook, WebhookFormat};
///
/// let webhook = Webhook::new("chat", "https://hooks.slack.com/services/x".parse()?)
///     .format(WebhookFormat::Slack)
///     .rules(Rules::new().quota(0.9));
/// assert_eq!(format!("{webhook:?}").contains("services"), false);
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
#[derive(Clone)]
#[must_use = "give it to `Alerts`"]
pub struct Webhook {
    pub(super) name: String,
    pub(super) url: Uri,
    pub(super) format: WebhookFormat,
    pub(super) secret: Option<SecretString>,
    pub(super) rules: Rules,
    pub(super) group_wait: Duration,
    pub(super) timeout: Duration,
    pub(super) backoff: (Duration, Duration),
}

// === impl Webhook ===

impl Webhook {
    /// Creates a webhook with the default rules, in the format [`Json`](WebhookFormat::Json). `name` is for logs.
    pub fn new(name: impl Into<String>, url: Uri) -> Self {
        Self {
            name: name.into(),
            url,
            format: WebhookFormat::default(),
            secret: None,
            rules: Rules::new(),
            group_wait: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
            backoff: (Duration::from_secs(1), Duration::from_secs(5 * 60)),
        }
    }

    /// Returns whether both are the same receiver with the same settings.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let secrets = [self, other].map(|it| it.secret.as_ref().map(ExposeSecret::expose_secret));
        let settings = |it: &Self| (it.format, it.rules, it.group_wait, it.timeout, it.backoff);
        (&self.name, &self.url) == (&other.name, &other.url)
            && secrets[0] == secrets[1]
            && settings(self) == settings(other)
    }

    /// Sets the format.
    pub const fn format(mut self, format: WebhookFormat) -> Self {
        self.format = format;
        self
    }

    /// Signs requests with this secret. For [`PagerDuty`](WebhookFormat::PagerDuty) it is the routing key instead.
    pub fn secret(mut self, secret: SecretString) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Sets the rules.
    pub const fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Sets the time for which further alerts are collected into one message. Default: 2 s.
    pub const fn group_wait(mut self, wait: Duration) -> Self {
        self.group_wait = wait;
        self
    }

    /// Sets the maximum time until the receiver responds. Default: 10 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the first pause before a message is sent again, and the longest. Each is twice the one before. Default:
    /// 1 s and 5 min.
    pub const fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff = (first, longest);
        self
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("name", &self.name)
            .field("format", &self.format)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
