//! Up to the commit an answer is the chain's; after it, the caller's.
//!
//! A commit is a success for the link's breaker, and closes it after a probe, so that a probe is not out for as
//! long as a stream takes. How the body ends is booked when it ends: one that fails is a fault of the provider of
//! its own, and so many in a row open the breaker however many commits lie between them.

use std::sync::Arc;

use http::Response;
use tokio::time::Instant;

use crate::body::meter::Usage;
use crate::body::{
    BodyEnd, EndListener, EventDialect, Guard, ResponseBody, Settle, StreamErrorKind, UsageCell,
};
use crate::clock::Timestamp;
use crate::event::{Kind, Severity};
use crate::fallback::breaker::Passage;
use crate::fallback::link::{Chain, Link};
use crate::fallback::settings::Settings;
use crate::inspect::is_stream;
use crate::rotate::Served;

/// When an answer belongs to the caller, so that nothing is asked for elsewhere any more.
///
/// Also a request extension: a request that has one is committed to so, whatever the chain's own setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Commit {
    /// At its head.
    Head,
    /// At the first content of a stream. A successful JSON response that is not streamed is held back until it
    /// is complete, up to [a cap](crate::fallback::ProviderFallbackLayer::complete_cap), and has to parse. Any other
    /// response is committed to at its head.
    #[default]
    FirstContent,
    /// When it is complete. Every successful response is held back, up to
    /// [the cap](crate::fallback::ProviderFallbackLayer::complete_cap), and checked: a stream has to have its terminator,
    /// and JSON has to parse.
    Complete,
}

/// What is left to do for a response of a link without keys when its body is over.
struct Keyless(Arc<Link>);

/// Has the pauses of the answer limited and its end checked, and gives what hears of its end. A rotation layer
/// that has adopted the ticket has seen to that, if it could read the answer; of whatever it could not, somebody
/// between may have made more.
pub(super) fn guard<B>(
    response: &mut Response<ResponseBody<B>>,
    link: &Arc<Link>,
    settings: &Settings,
    adopted: bool,
    dialect: EventDialect,
) -> UsageCell {
    let served = response.extensions().get::<Served>().filter(|_| adopted);
    let cell = served.map_or_else(|| UsageCell::new(Keyless(Arc::clone(link))), Served::usage_cell);
    if !served.is_some_and(Served::is_guarded) {
        let guard = Guard::strict(is_stream(response), Some(cell.clone()), settings.idle_timeout);
        let told = settings.error_events && !response.headers().contains_key(http::header::CONTENT_LENGTH);
        response.body_mut().watch(guard.telling_errors(told.then_some(dialect)));
    }
    cell
}

/// Books the commit, and has the link hear how the body of a success ends.
pub(super) fn book<B, T>(
    passage: Passage,
    response: &Response<T>,
    cell: Option<&UsageCell>,
    link: &Arc<Link>,
    chain: &Chain<B>,
    now: Instant,
) {
    let committed = passage.committed(now.into());
    if committed.closed {
        chain.emit(link, Severity::Change, || Kind::BreakerClosed);
    }
    let cell = cell.or_else(|| response.extensions().get::<Served>().map(Served::usage_cell_ref));
    if let Some(cell) = cell.filter(|_| response.status().is_success()) {
        cell.listen(Arc::clone(link) as Arc<dyn EndListener>, committed.generation);
    }
}

impl EndListener for Link {
    fn ended(&self, generation: u64, end: BodyEnd) {
        let failed = match end {
            BodyEnd::Complete => false,
            BodyEnd::Failed(_) => true,
            BodyEnd::Abandoned => return,
        };
        if let Some(wait) = self.breaker.body_ended(generation, failed, Timestamp::now()) {
            self.emit(Severity::Change, || Kind::BreakerOpened { wait });
        }
    }
}

impl Settle for Keyless {
    fn wants_usage(&self) -> bool {
        false
    }

    fn settle(&self, _: Option<Usage>) {}

    fn failed(&self, kind: StreamErrorKind) {
        let reason = kind.as_str();
        self.0.emit(Severity::Change, || Kind::StreamFailed { key: None, model: None, reason });
    }
}
