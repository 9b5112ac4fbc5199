//! The limits of the simulated provider: the requests that they admit, precisely, and the headers that report
//! them.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::time::advance;
use tower::ServiceExt;
use tower_key_rotation_sim::{Headroom, Limits, SimAccount, SimBody, SimKey, Simulator};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test(start_paused = true)]
async fn a_bucket_knows_fractions_of_a_millisecond() {
    let sim = openai(Limits::new().requests_per_second(50).burst(1));
    let served = ask(&sim, "a").await;
    assert_eq!(limits(&served, "requests"), ["1", "0", "20ms"]);
    advance(Duration::from_micros(19_900)).await;
    let refused = ask(&sim, "a").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(limits(&refused, "requests"), ["1", "0", "1ms"]);
    assert_eq!((header(&refused, "retry-after-ms"), header(&refused, "retry-after")), ("1", "1"));
    advance(Duration::from_micros(100)).await;
    assert_eq!(ask(&sim, "a").await.status(), 200);
    advance(Duration::from_micros(20_300)).await;
    assert_eq!(ask(&sim, "a").await.status(), 200, "what is over when it is full is lost");
    advance(Duration::from_micros(19_700)).await;
    assert_eq!(ask(&sim, "a").await.status(), 429);
}

#[tokio::test(start_paused = true)]
async fn the_reset_is_the_time_until_full() {
    let sim = openai(Limits::new().requests_per_second(50).burst(10).tokens_per_minute(6_000));
    assert_eq!(limits(&ask(&sim, "a").await, "requests"), ["10", "9", "20ms"]);
    assert_eq!(limits(&ask(&sim, "a").await, "requests"), ["10", "8", "40ms"]);
    advance(Duration::from_millis(30)).await;
    let third = ask(&sim, "a").await;
    assert_eq!(limits(&third, "requests"), ["10", "8", "30ms"], "what has begun to come back is no request");
    // Six tokens of the request and nine of the response: 15 at 10 ms each are 150 ms. Three calls used 450
    // ms, of which 30 ms have passed.
    assert_eq!(limits(&third, "tokens"), ["6000", "5958", "420ms"]);
}

#[tokio::test(start_paused = true)]
async fn a_day_of_openai_rolls_and_one_of_gemini_ends() {
    let limits = Limits::new().requests_per_day(2);
    let sim = openai(limits);
    assert_eq!(self::limits(&ask(&sim, "a").await, "requests"), ["2", "1", "12h0m0s"]);
    assert_eq!(ask(&sim, "a").await.status(), 200);
    let refused = ask(&sim, "a").await;
    assert_eq!(header(&refused, "retry-after"), "43200");
    assert!(
        text(refused).await.contains("(RPD): Limit 2, Used 2, Requested 1. Please try again in 12h0m0s.")
    );
    advance(DAY / 2).await;
    assert_eq!(ask(&sim, "a").await.status(), 200);
    assert_eq!(ask(&sim, "a").await.status(), 429);
    sim.new_day();
    assert_eq!(sim.key("a").headroom("m").requests, Some(2.0));

    let sim = Simulator::gemini().key(SimKey::new("a", "a").limits(limits)).build();
    let ask = || sim.clone().oneshot(gemini());
    for expected in [200, 200, 429] {
        assert_eq!(ask().await.unwrap().status(), expected);
    }
    advance(DAY / 2).await;
    assert_eq!(ask().await.unwrap().status(), 429, "half a day brings nothing back");
    advance(DAY / 2).await;
    assert_eq!(ask().await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn gemini_tells_nothing_until_it_refuses() {
    let key = SimKey::new("a", "a").limits(Limits::new().requests_per_second(50).burst(1));
    let sim = Simulator::gemini().key(key).build();
    let served = sim.clone().oneshot(gemini()).await.unwrap();
    let tells = |name: &str| name.contains("limit") || name.contains("retry");
    assert!(!served.headers().keys().any(|name| tells(name.as_str())), "{:?}", served.headers());
    advance(Duration::from_micros(10_500)).await;
    let refused = sim.clone().oneshot(gemini()).await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(!refused.headers().keys().any(|name| tells(name.as_str())), "{:?}", refused.headers());
    assert!(text(refused).await.contains(r#""retryDelay": "0.0095s""#));
}

#[tokio::test(start_paused = true)]
async fn every_response_names_its_limits() {
    let account = SimAccount::new("org").limits(Limits::new().requests_per_minute(100));
    let key = |label: &str| SimKey::new(label, label).account("org");
    let sim = Simulator::openai().account(account).keys([key("a"), key("b")]).minute(MINUTE / 60).build();
    for (label, expected) in [("a", ["100", "99", "10ms"]), ("b", ["100", "98", "20ms"])] {
        let served = ask(&sim, label).await;
        assert_eq!(header(&served, "openai-organization"), "org");
        assert_eq!(limits(&served, "requests"), expected, "one bucket for both keys");
    }
    for _ in 0..98 {
        assert_eq!(ask(&sim, "a").await.status(), 200);
    }
    let refused = ask(&sim, "b").await;
    assert_eq!((refused.status().as_u16(), header(&refused, "openai-organization")), (429, "org"));
    assert_eq!(limits(&refused, "requests"), ["100", "0", "1s"]);
    assert_eq!(header(&refused, "retry-after-ms"), "10");

    let sim = Simulator::anthropic().keys([key("a"), key("b")]).key(("c", "c")).build();
    let mut ids = Vec::new();
    for label in ["a", "b", "c"] {
        ids.push(header(&sim.clone().oneshot(anthropic(label)).await.unwrap(), ORGANIZATION).to_owned());
    }
    assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn headroom_is_the_amount_available_now() {
    let limits = Limits::new().requests_per_second(50).requests_per_minute(2).tokens_per_minute(600);
    let account = SimAccount::new("org").limits(Limits::new().requests_per_day(25));
    let key = SimKey::new("a", "a").account("org").limits(limits);
    let sim = Simulator::openai().account(account).key(key).key(("free", "free")).build();
    let of_key = || sim.key("a").headroom("m");
    assert_eq!((of_key().requests, of_key().tokens), (Some(2.0), Some(600.0)));
    ask(&sim, "a").await;
    assert_eq!((of_key().requests, of_key().tokens), (Some(1.0), Some(585.0)));
    assert_eq!(sim.account("org").headroom("m").requests, Some(24.0));
    advance(Duration::from_secs(15)).await;
    assert_eq!((of_key().requests, of_key().tokens), (Some(1.5), Some(600.0)));
    assert_eq!(sim.key("free").headroom("m"), Headroom::default());
}

const ORGANIZATION: &str = "anthropic-organization-id";
const BODY: &str = r#"{"model":"m","messages":[]}"#;

fn openai(limits: Limits) -> Simulator {
    Simulator::openai().key(SimKey::new("a", "a").limits(limits)).build()
}

async fn ask(sim: &Simulator, secret: &str) -> Response<SimBody> {
    let request = Request::post("/v1/chat/completions").header("authorization", format!("Bearer {secret}"));
    sim.clone().oneshot(request.body(Full::<Bytes>::from(BODY)).unwrap()).await.unwrap()
}

fn anthropic(secret: &str) -> Request<Full<Bytes>> {
    let request = Request::post("/v1/messages").header("x-api-key", secret);
    request.header("anthropic-version", "2023-06-01").body(BODY.into()).unwrap()
}

fn gemini() -> Request<Full<Bytes>> {
    let request = Request::post("/v1beta/models/m:generateContent").header("x-goog-api-key", "a");
    request.body(BODY.into()).unwrap()
}

/// Returns the values of limit, remaining and reset.
fn limits<'a>(response: &'a Response<SimBody>, of: &str) -> [&'a str; 3] {
    ["limit", "remaining", "reset"].map(|what| header(response, &format!("x-ratelimit-{what}-{of}")))
}

fn header<'a>(response: &'a Response<SimBody>, name: &str) -> &'a str {
    response.headers().get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
}

async fn text(response: Response<SimBody>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}
