//! The cost of classifying a response: a success, and a refusal of 2 KB that no rule knows.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::Response;
use tower_key_rotation::Provider;
use tower_key_rotation::classify::{Outcome, Verdict};
use tower_key_rotation::clock::Timestamp;
use tower_service::Service;

fn classify(criterion: &mut Criterion) {
    let text = "The service could not handle this request for the project that it belongs to. ".repeat(24);
    let refusal =
        format!(r#"{{"error":{{"type":"error","message":"{text} Your plan's weekly limit is reached."}}}}"#);
    for (name, status, body) in
        [("success", 200, Bytes::new()), ("refusal of 2 KB", 403, Bytes::from(refusal))]
    {
        let (head, ()) = Response::builder().status(status).body(()).unwrap().into_parts();
        let mut classifier = Provider::compatible("nobody").classifier();
        let mut ask = || -> Verdict {
            let outcome = Outcome::response(&head, body.clone(), Timestamp::EPOCH);
            classifier.call(outcome).into_inner().unwrap()
        };
        assert_eq!(ask() == Verdict::Success, status == 200);
        criterion.bench_function(name, |bencher| bencher.iter(&mut ask));
    }
}

criterion_group!(benches, classify);
criterion_main!(benches);
