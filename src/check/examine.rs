//! The calls of one check, in order: ask; confirm a refusal; make sure that a success proves something.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body::Body;
use tokio::time::sleep;
use tower::BoxError;
use tower_service::Service;

use crate::body::ReplayBody;
use crate::check::ask::{Call, CallResult};
use crate::classify::Classify;
use crate::clock::Timestamp;
use crate::key::{CheckResult, Issued};
use crate::pool::CheckedKey;
use crate::provider::{CheckCall, Proof};

/// One check of one key.
pub(super) struct Examination<'a, S, C> {
    pub(super) service: S,
    pub(super) classifier: &'a C,
    pub(super) checked: &'a CheckedKey,
    pub(super) uri: &'a Uri,
    pub(super) proof: Proof,
    pub(super) call: CheckCall,
    pub(super) look_into_success: bool,
    pub(super) confirm_after: Duration,
    pub(super) timeout: Duration,
}

// === impl Examination ===

impl<S, C, B> Examination<'_, S, C>
where
    S: Service<Request<ReplayBody>, Response = Response<B>, Error: Into<BoxError>>,
    C: Classify,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    /// Asks the provider, and applies the result to the key.
    pub(super) async fn examine(mut self) -> CallResult {
        let issued = match self.checked.source() {
            None => None,
            Some(source) => match source.fetch().await {
                Ok(issued) => Some(issued),
                Err(_) => return CallResult::new(CheckResult::Unreachable, None),
            },
        };
        let found = self.ask(issued.as_deref(), true).await;
        match found.result {
            CheckResult::Valid => self.prove(found, issued.as_deref()).await,
            CheckResult::Invalid => self.confirm(issued).await,
            _ => found,
        }
    }

    /// Asks again after a refusal.
    async fn confirm(&mut self, issued: Option<Arc<Issued>>) -> CallResult {
        sleep(self.confirm_after).await;
        let renewed = match (self.checked.source(), &issued) {
            (Some(source), Some(issued)) => source.after(issued.number).await,
            _ => None,
        };
        let issued = renewed.or(issued);
        let found = self.ask(issued.as_deref(), true).await;
        match (found.result, &found.fault) {
            (CheckResult::Valid, _) => self.prove(found, issued.as_deref()).await,
            (CheckResult::Invalid, Some(fault)) if !self.checked.has_served() => {
                self.checked.refuse(fault, Timestamp::now());
                found
            }
            _ => CallResult::new(CheckResult::Unconfirmed, found.status),
        }
    }

    /// Decides whether a success proves that the key is valid.
    async fn prove(&mut self, found: CallResult, issued: Option<&Issued>) -> CallResult {
        let proven = match self.proof {
            Proof::Key => found,
            Proof::Nothing => CallResult::new(CheckResult::OpenList, found.status),
            Proof::Unknown => {
                let without = self.ask(issued, false).await;
                match without.status {
                    Some(status) if status.is_success() => {
                        CallResult::new(CheckResult::OpenList, found.status)
                    }
                    Some(status) if is_refusal(status) => found,
                    _ => without,
                }
            }
        };
        if proven.result == CheckResult::Valid {
            self.checked.prove_valid(Timestamp::now());
        }
        proven
    }

    async fn ask(&mut self, issued: Option<&Issued>, with_key: bool) -> CallResult {
        let Self { classifier, checked, uri, call: kind, look_into_success, timeout: limit, .. } = *self;
        let call = Call { classifier, checked, uri, kind, issued, with_key, look_into_success, limit };
        call.make(&mut self.service).await
    }
}

/// Returns whether the status refuses a call for what it lacks, rather than for its time or its number.
fn is_refusal(status: StatusCode) -> bool {
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_client_error() && !passing.contains(&status)
}
