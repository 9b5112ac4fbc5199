//! Inspection of responses, no further than necessary.
//!
//! A plain success is not read at all. An error response is read up to a cap, since its body says which scope it
//! concerns. An event stream is read event by event until the classifier has decided: many providers send preambles
//! and keep-alives first, and then an error under status 200. Everything that is read is handed on byte for byte,
//! except for the key, which is removed.

mod delivery;
mod limits;
mod look;
mod media;
pub(in crate::exchange) mod response;

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http::uri::PathAndQuery;
use http::{Response, StatusCode};
use http_body::Body;
use tower::{BoxError, ServiceExt};

pub(crate) use self::limits::Limits;
pub(crate) use self::media::{BodyFacts, Media, forget_length, has_body, is_stream, shape};
pub(crate) use self::response::UpstreamResponse;
use crate::body::meter::begins_thinking;
use crate::body::sse::{Decoder, Event};
use crate::body::{Decoded, Redactor, Rest, Search, decode};
use crate::classify::{Classify, Fault, Outcome, Reason, Scope, Verdict};
use crate::clock::Timestamp;
use crate::exchange::inspect::delivery::Delivery;
use crate::exchange::inspect::look::{Look, Seen};
use crate::scrub::overwrite;
use crate::scrub::secret::Secret;

/// Inspects a response: reads as much as needed and asks the classifier.
pub(crate) struct Inspector<'a, C> {
    pub(crate) classifier: &'a C,
    pub(crate) limits: &'a Limits,
    /// Whether event streams are inspected at all.
    pub(crate) look_into_streams: bool,
    /// Whether the provider puts errors into the bodies of successes.
    pub(crate) look_into_success: bool,
    /// Whether the request is a HEAD, whose responses have no body.
    pub(crate) is_head: bool,
    /// Path of the request, for the classifier.
    pub(crate) path: Option<&'a PathAndQuery>,
    /// The key that was sent, which must not be disclosed.
    pub(crate) secret: Option<&'a Secret>,
}

impl<'a, C: Classify> Inspector<'a, C> {
    /// Returns the classifier's verdict about a response that came `now`, given in its [parts](into_parts), and the
    /// whole response.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` keeps what it is given twice")]
    pub(crate) fn inspect<B>(
        self,
        (mut head, body): (Arc<Parts>, B),
        now: Timestamp,
    ) -> impl Future<Output = (Verdict, UpstreamResponse<B>)> + use<'a, B, C>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<BoxError>,
    {
        async move {
            let mut facts = BodyFacts::of(&head.headers);
            if head.status.is_success() && !has_body(self.is_head, head.status) {
                // It is no stream or document that ended early.
                facts.media = Media::Other;
            }
            if facts.has_void_length {
                forget_void_length(Arc::make_mut(&mut head));
            }
            if self.is_worth_a_look(&head, facts) {
                // Boxed, because most responses are not inspected.
                return Box::pin(self.look_into(head, body, facts)).await;
            }
            let verdict = self.ask(|| Outcome::with_body(Arc::clone(&head), Bytes::new(), now)).await;
            let matters = facts.media == Media::Events || self.look_into_success;
            let response = UpstreamResponse {
                is_unreadable: matters && !facts.is_readable,
                redactor: self.redactor(&verdict, facts),
                head,
                facts,
                body: Rest::Untouched { body },
                delivery: Delivery::AsItCame,
            };
            (verdict, response)
        }
    }

    fn is_worth_a_look(&self, head: &Parts, facts: BodyFacts) -> bool {
        match facts.media {
            // The bytes after a switch of protocols are no body.
            _ if head.status == StatusCode::SWITCHING_PROTOCOLS => false,
            _ if !head.status.is_success() => true,
            Media::Events => self.look_into_streams && facts.is_readable,
            _ => self.look_into_success && (cfg!(feature = "decompress") || facts.is_readable),
        }
    }

    /// Returns the redactor of the response. It searches for the key in anything that may be an error; the content of
    /// other successes belongs to the caller.
    fn redactor(&self, verdict: &Verdict, facts: BodyFacts) -> Option<Redactor> {
        let may_be_error = *verdict != Verdict::Success || facts.media.has_items();
        Some(Redactor::new(self.secret?, may_be_error && facts.is_readable))
    }

    async fn look_into<B>(
        &self,
        head: Arc<Parts>,
        body: B,
        facts: BodyFacts,
    ) -> (Verdict, UpstreamResponse<B>)
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<BoxError>,
    {
        let readable = facts.is_readable;
        let mut look = Look::new(body, self.limits.time_for(head.status));
        let mut decoded = None;
        let verdict = match (head.status.is_success(), facts.media == Media::Events) {
            (true, true) => self.events(&head, &mut look).await,
            (true, false) if readable => self.success(&head, &mut look).await,
            (false, _) if readable => {
                look.read_up_to(self.limits.error_body).await;
                self.ask_about(&head, self.clean(look.gather())).await
            }
            (_, false) | (false, true) => {
                look.read_up_to(self.limits.error_body).await;
                let decoded = decoded.insert(decode(&head.headers, &look.gather()));
                self.ask_about(&head, self.clean(Bytes::from(decoded.text.clone()))).await
            }
        };
        let redactor = self.redactor(&verdict, facts);
        let is_unreadable = decoded.as_ref().is_some_and(|decoded| look.bytes > 0 && decoded.text.is_empty());
        let (delivery, instead) = self.delivery(&head, &look, decoded.as_ref());
        let body =
            instead.unwrap_or(Rest::Begun { seen: look.seen, body: (!look.ended).then_some(look.body) });
        (verdict, UpstreamResponse { head, is_unreadable, facts, body, redactor, delivery })
    }

    /// Returns the delivery of the response, and its new body if it does not keep its own.
    fn delivery<B>(
        &self,
        head: &Parts,
        look: &Look<B>,
        decoded: Option<&Decoded>,
    ) -> (Delivery, Option<Rest<B>>) {
        match (decoded, self.secret) {
            (Some(decoded), Some(secret)) if look.bytes > 0 && !head.status.is_success() => {
                let encoded = look.ended.then(|| look.gather());
                Delivery::of_encoded(decoded, encoded.as_deref(), secret)
            }
            _ => (Delivery::AsItCame, None),
        }
    }

    /// Returns the text without the key, for the classifier.
    fn clean(&self, text: Bytes) -> Bytes {
        let clean = self.secret.and_then(|secret| overwrite(&text, secret.expose()));
        clean.map_or(text, Bytes::from)
    }

    /// Reads until something other than the blanks has come that keep a connection alive.
    async fn success<B>(&self, head: &Arc<Parts>, look: &mut Look<B>) -> Verdict
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<BoxError>,
    {
        while let Seen::Data(data) = look.next().await {
            if !data.trim_ascii().is_empty() || look.bytes >= self.limits.error_body {
                break;
            }
        }
        self.ask_about(head, look.gather()).await
    }

    /// Shows the classifier one event after the other until it decides or a cap commits to the stream.
    ///
    /// If there is a time limit for the first content, no cap commits: a stream whose preamble is too large to keep
    /// counts as failed. Once a stream has shown that the model thinks, all that it sends prolongs the limit.
    async fn events<B>(&self, head: &Arc<Parts>, look: &mut Look<B>) -> Verdict
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<BoxError>,
    {
        let mut decoder = Decoder::new();
        let mut search = self.secret.cloned().map(Search::new);
        let (mut shown, mut thinks) = (0, false);
        loop {
            let last = match look.next().await {
                Seen::Data(data) => {
                    decoder.push(match &mut search {
                        Some(search) => search.data(data),
                        None => data,
                    });
                    None
                }
                Seen::End => Some(decoder.finish()),
                Seen::Late if self.limits.late_is_fault => {
                    return Fault::new(Reason::Timeout, Scope::Provider).into();
                }
                Seen::Late => return Verdict::Success,
            };
            let complete = std::iter::from_fn(|| decoder.next_event().ok().flatten());
            for event in complete.chain(last.clone().flatten()) {
                shown += 1;
                thinks = thinks || self.limits.late_is_fault && begins_thinking(&event);
                match self.ask_about_stream(head, Some(event)).await {
                    Verdict::Inspect if self.limits.late_is_fault || shown < self.limits.peek_events => {}
                    Verdict::Inspect => return Verdict::Success,
                    decided => return decided,
                }
            }
            if last.is_some() {
                return self.ask_about_stream(head, None).await;
            }
            if thinks {
                look.prolong();
            }
            if self.limits.late_is_fault && look.kept() >= Limits::MOST_PREAMBLE {
                return Fault::new(Reason::Truncated, Scope::Provider).into();
            }
            if !self.limits.late_is_fault && look.bytes >= self.limits.peek_bytes {
                return Verdict::Success;
            }
        }
    }

    async fn ask_about_stream(&self, head: &Arc<Parts>, event: Option<Event>) -> Verdict {
        self.ask(|| Outcome::with_event(Arc::clone(head), event, Timestamp::now())).await
    }

    async fn ask_about(&self, head: &Arc<Parts>, body: Bytes) -> Verdict {
        self.ask(|| Outcome::with_body(Arc::clone(head), body, Timestamp::now())).await
    }

    async fn ask(&self, outcome: impl FnOnce() -> Outcome) -> Verdict {
        classify(self.classifier, || outcome().with_path(self.path.cloned())).await
    }
}

/// Asks the classifier, which can't fail. `outcome` is called when the classifier is ready, because an outcome is large.
pub(crate) async fn classify<C: Classify>(classifier: &C, outcome: impl FnOnce() -> Outcome) -> Verdict {
    let mut classifier = classifier.clone();
    let Ok(ready) = classifier.ready().await;
    let Ok(verdict) = ready.call(outcome()).await;
    verdict
}

/// Splits a response. The head is shared, because the classifier sees it too.
pub(crate) fn into_parts<B>(response: Response<B>) -> (Arc<Parts>, B) {
    let (head, body) = response.into_parts();
    (Arc::new(head), body)
}

/// Removes the length that is stated beside chunks. A body in chunks has the length of its chunks (RFC 9112, section
/// 6.3), and a server that repeats another one would have the caller take the rest of the body for another response. A
/// length that is stated several times, as in `2, 2`, is one that some callers can't read.
#[cold]
fn forget_void_length(head: &mut Parts) {
    head.headers.remove(CONTENT_LENGTH);
}
