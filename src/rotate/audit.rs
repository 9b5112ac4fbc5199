//! The audit trail: one event for each attempt.

use std::sync::Arc;
use std::time::Duration;

use http::response::Parts;
use http::{HeaderMap, HeaderName};

use crate::classify::Verdict;
use crate::clock::Moment;
use crate::error::Error;
use crate::event::{AttemptOutcome, EventKind, Severity};
use crate::key::KeyId;
use crate::pool::{KeyPool, Lease};
use crate::provider::ModelId;
use crate::rotate::request::Template;
use crate::scrub::shows_part;

/// An attempt under way that will be reported in the audit trail: with its outcome, or as abandoned if it is dropped
/// before the outcome is known.
pub(super) struct Audit {
    began: Moment,
    /// The pool that emits the event, and the key. `None`: there is no subscriber, or the event was emitted.
    heard: Option<(KeyPool, KeyId)>,
}

/// Headers with a provider's request id: OpenAI and most compatible providers, Anthropic, AWS, Azure.
static REQUEST_ID: [HeaderName; 4] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("apim-request-id"),
];

/// Maximum length of a request id that is kept, in characters, all of them ASCII (128).
const LONGEST_ID: usize = 128;

// === impl Audit ===

impl Audit {
    /// Begins the audit of an attempt.
    pub(super) fn begin(pool: &KeyPool, lease: &Lease) -> Self {
        let heard = pool.is_heard(Severity::Detail).then(|| (pool.clone(), lease.key_id().clone()));
        Self { began: lease.began(), heard }
    }

    fn duration(&self) -> Duration {
        Moment::now().saturating_since(self.began)
    }

    /// Reports nothing, because nothing was sent, and the attempt costs the key nothing. Returns the error.
    pub(super) fn unsent(mut self, lease: &mut Lease, error: Error) -> Error {
        self.heard = None;
        lease.set_unsent();
        error
    }

    /// Reports the outcome. Returns the model that the request names, for later events. `None` if there is no
    /// subscriber.
    pub(super) fn end(
        mut self,
        request: &Template,
        lease: &Lease,
        verdict: &Verdict,
        head: Option<&Parts>,
    ) -> Option<ModelId> {
        let (pool, key) = self.heard.take()?;
        let model = request.told_model(pool.provider());
        pool.emit(Severity::Detail, || EventKind::Attempt {
            key,
            model: model.clone(),
            outcome: AttemptOutcome::from(verdict),
            status: head.map(|head| head.status.as_u16()),
            duration: self.duration(),
            request_id: head.and_then(|head| request_id(&head.headers, lease.secret().expose())),
        });
        model
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let Some((pool, key)) = self.heard.take() else { return };
        pool.emit(Severity::Detail, || EventKind::Attempt {
            key,
            model: None,
            outcome: AttemptOutcome::Abandoned,
            status: None,
            duration: self.duration(),
            request_id: None,
        });
    }
}

/// Returns the provider's id of the request, cut to [`LONGEST_ID`]. `None` if it contains a part of the key, or
/// characters that no such id has and an encoded key might have.
fn request_id(headers: &HeaderMap, secret: &str) -> Option<Arc<str>> {
    let id = REQUEST_ID.iter().find_map(|name| headers.get(name))?;
    let id = id.to_str().ok().filter(|id| !id.is_empty())?;
    let id = &id[..id.len().min(LONGEST_ID)];
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'=' | b'~' | b'@' | b'|')
    };
    (id.bytes().all(is_plain) && !shows_part(id, secret)).then(|| Arc::from(id))
}
