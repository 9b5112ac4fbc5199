//! Waiting for a key.
//!
//! Waiters stand in a queue: one queue for each model that was ever at fault, and one for everything else, so
//! that no request stands behind one that needs another key. Requests that were refused before have a queue
//! of their own beside each, so that a refusal does not cost them their place. Only the head of a queue looks for a key: when
//! the earliest cooldown ends, when something was freed before its time, and when a probe has failed, because the
//! endpoint of the waiter may then try that key too (see `probe_rounds`). A waiter holds nothing but its place, and
//! gives it up when it leaves.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::time::{Instant, timeout_at};

use crate::clock::{Moment, Timestamp};
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::keys::refresh::state_of;
use crate::pool::scope::queue::WaitQueues;
use crate::pool::{AcquireRequest, Exhausted, KeyPool, Lease, Rounds};

/// Minimum wait. It doubles each time in a row that less than this was left and no key was available.
const LEAST: Duration = Duration::from_millis(1);

/// Maximum of the doubled minimum wait.
const LEAST_CAP: Duration = Duration::from_millis(128);

/// Leases a key, and waits no longer than until `until`. `endpoint` returns the hash of the request's destination, for a
/// request that may try a key that refusals keep out.
pub(in crate::pool) async fn acquire_until(
    pool: &KeyPool,
    request: &AcquireRequest<'_>,
    endpoint: Option<&(dyn Fn() -> u64 + Sync)>,
    until: Instant,
) -> Result<Lease, Exhausted> {
    let set = pool.0.set.load_full();
    let model_state = request.model.and_then(|model| state_of(&set, model, Timestamp::now()));
    let own = own_queues(&set, model_state.as_deref(), request);
    let shared = model_state.as_ref().map_or(&set.common.queues, |model_state| &model_state.queues);
    let queues = own.as_deref().unwrap_or(shared);
    let queue = queues.of(request.was_refused);
    // With other waiters in the queue, only the expected wait counts: taking a key would be jumping the
    // queue.
    let alone = queue.is_empty();
    match if alone { pool.acquire(request) } else { Err(pool.earliest(request, Moment::now())) } {
        Err(exhausted) if exhausted.wait().ends_by(until) => {}
        done => return done,
    }
    let _place = queue.enter();
    match timeout_at(until, queue.head()).await {
        Ok(_head) => wait_at_head(pool, request, endpoint, until).await,
        Err(_late) => Err(pool.earliest(request, Moment::now())),
    }
}

/// Returns the queues of the requests that wait for the same keys, if some keys may not serve the request. In a queue
/// with others it could stand behind one that waits for another key.
fn own_queues(
    set: &KeySet,
    model_state: Option<&ModelState>,
    request: &AcquireRequest<'_>,
) -> Option<Arc<WaitQueues>> {
    let serving = set.serving.as_deref()?;
    let mask = serving.mask(request.model, request.endpoint);
    Some(serving.queues(model_state.map(|model_state| &model_state.model), &mask))
}

async fn wait_at_head(
    pool: &KeyPool,
    request: &AcquireRequest<'_>,
    endpoint: Option<&(dyn Fn() -> u64 + Sync)>,
    until: Instant,
) -> Result<Lease, Exhausted> {
    let released = &pool.0.common.released;
    let _listening = released.listen();
    let mut least = LEAST;
    loop {
        // Listen before looking. Otherwise a notification in between would be missed.
        let mut news = pin!(released.news());
        Notified::enable(news.as_mut());
        let wait = match pool.acquire(request) {
            Err(exhausted) if exhausted.wait().ends_by(until) => exhausted.wait(),
            done => return done,
        };
        // The request of another endpoint may have made the probe in vain, which woke this one.
        if let Some(lease) =
            endpoint.and_then(|endpoint| pool.probe_at(Rounds::All, endpoint, || Some(*request)))
        {
            return Ok(lease);
        }
        let early = match pool.acquire_early(request, Moment::now()) {
            Ok(lease) => return Ok(lease),
            Err(next) => next,
        };
        let now = Instant::now();
        let left = until.saturating_duration_since(now);
        // Never wait for zero: a usable key that is refused nevertheless is being taken by another
        // request right now.
        let wait = wait.limited.into_iter().chain(early).fold(left, Duration::min);
        // A notification and a timeout both lead to another look.
        let _ = timeout_at(now + wait.max(least), news).await;
        least = if wait < LEAST { (least * 2).min(LEAST_CAP) } else { LEAST };
    }
}
