//! The settings of a chain in a file, and their effect on a caller of the gateway.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use http::StatusCode;
use support::{Gateway, Sims, chat, header};
use tower_key_rotation_sim::{Script, SimFault};

/// Returns the name of the provider that serves.
async fn served_by(gateway: &Gateway) -> String {
    let response = gateway.send(chat("")).await;
    assert_eq!(response.status(), 200);
    header(&response, "x-served-by").split('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_configured_breaker_skips_a_provider() {
    for (breaker, calls) in [
        ("consecutive = 1\nopen = \"1m\"\nmax_open = \"1m\"", 1),
        ("consecutive = 3\nopen = \"1m\"\nmax_open = \"1m\"", 3),
        ("enabled = false", 8),
    ] {
        let sims = Sims::new();
        sims.openai.script(Script::always(SimFault::status(503)));
        let gateway = Gateway::start(&sims, &format!("[chain.breaker]\n{breaker}")).await;
        for _ in 0..8 {
            assert_eq!(served_by(&gateway).await, "anthropic", "{breaker}");
        }
        assert_eq!(sims.openai.calls(), calls, "{breaker}");
    }
}

#[tokio::test]
async fn the_configured_patience_waits_for_a_provider() {
    for (chain, provider) in [("", "anthropic"), ("[chain]\npatience = \"3s\"", "openai")] {
        let sims = Sims::new();
        let limited = SimFault::Status {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(Duration::from_millis(50)),
        };
        sims.openai.script(Script::new().then_times(2, limited));
        let gateway = Gateway::start(&sims, chain).await;
        assert_eq!(served_by(&gateway).await, provider, "{chain}");
    }
}
