//! A call while its request arrives.

use std::sync::Arc;

use bytes::Bytes;
use http::request;
use tokio::time::Instant;

use super::in_flight::InFlight;
use super::plan::Plan;
use crate::answer::{SimAnswer, SimRequest};
use crate::log::Call;
use crate::state::Shared;
use crate::wire::ReceivedRequest;

/// A call whose request is still arriving. If it is dropped before the decision, it is logged as cut off.
pub(super) struct Arrival {
    shared: Arc<Shared>,
    request: ReceivedRequest,
    at: Instant,
    decided: bool,
}

// === impl Arrival ===

impl Arrival {
    pub(super) fn new(shared: Arc<Shared>, head: &request::Parts) -> Self {
        let request = ReceivedRequest::from_head(shared.dialect, head);
        Self { shared, request, at: Instant::now(), decided: false }
    }

    /// Decides the call. `body` is the request body, up to the size that a provider accepts; `too_large` says
    /// that there was more.
    pub(super) fn decide(mut self, body: &Bytes, too_large: bool) -> (Plan, InFlight) {
        self.decided = true;
        self.request.read_body(body);
        let request =
            SimRequest { path: &self.request.path, model: self.request.model(), body: &self.request.body };
        let answer = self.shared.responder.as_ref().map(|responder| responder.answer(&request));
        let mut state = self.shared.lock();
        let answer = answer.unwrap_or_else(SimAnswer::usual);
        let (mut plan, key, fault) = Plan::decide(&mut state, &self.request, too_large, answer);
        let mut call = self.call(key.clone());
        call.status = plan.status();
        call.fault = fault;
        call.body_complete = !too_large && self.request.is_whole(body.len() as u64);
        state.record(call);
        let latency = key.as_deref().and_then(|label| state.key(label));
        let latency = latency.and_then(|key| key.settings.latency.clone());
        let latency = latency.unwrap_or_else(|| state.latency.clone());
        plan.delay += latency.draw(&mut state.rng);
        drop(state);
        (plan, InFlight::new(self.shared.clone(), key))
    }

    /// Returns the log entry of a call that got no response.
    fn call(&self, key: Option<String>) -> Call {
        let request = &self.request;
        Call {
            at: self.at,
            key,
            path: request.path.clone(),
            model: request.fields.model.clone(),
            status: None,
            fault: None,
            streamed: request.fields.streamed,
            foreign_credentials: request.foreign_credentials,
            idempotency_key: request.idempotency_key.clone(),
            body_complete: false,
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if self.decided {
            return;
        }
        let mut state = self.shared.lock();
        let key = self.request.secret.as_deref().and_then(|secret| state.label_of(secret));
        let call = self.call(key);
        state.record(call);
    }
}
