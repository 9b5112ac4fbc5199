//! A `tracing` subscriber that panics at every event does no harm to requests and to the process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{chat, key, openai, pool, rotating, send, text};
use tokio_test::{assert_pending, task};
use tower::ServiceExt;
use tower_key_rotation_sim::{Script, SimFault};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Acts like a full output under a subscriber that panics when it can't write.
#[derive(Default)]
struct Broken(AtomicUsize);

impl Subscriber for Broken {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tower_key_rotation")
    }

    fn event(&self, _event: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("the log is full");
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_request_is_served_when_logging_panics() {
    let _guard = tracing::subscriber::set_default(Broken::default());
    let sim = openai([key("a"), key("b")]);
    sim.key("a").fail(1, SimFault::status(429));
    let pool = pool(&["a", "b"]);
    let response = send(&rotating(&pool, &sim), chat("m")).await.unwrap();
    assert!(text(response).await.contains("fox"));
    assert_eq!(pool.snapshot().keys[0].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_request_does_not_panic() {
    let sim = openai([key("a")]);
    sim.script(Script::always(SimFault::Silent));
    let pool = pool(&["a"]);
    for unwinding in [false, true] {
        let mut request = task::spawn(rotating(&pool, &sim).oneshot(chat("m")));
        let _guard = tracing::subscriber::set_default(Broken::default());
        assert_pending!(request.poll());
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            let _request = request;
            assert!(!unwinding, "the panic while which the request is dropped");
        }));
        assert_eq!(dropped.is_err(), unwinding);
        assert_eq!(pool.snapshot().keys[0].in_flight, 0);
    }
}
