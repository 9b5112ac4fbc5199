//! Tokens of GitHub as a pool, against a server that limits as GitHub does.

mod support;

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use integrations::with_octocrab::{client, github};
use octocrab::Octocrab;
use support::{SECRETS, pool};
use tokio::net::TcpListener;
use tower::BoxError;
use tower_key_rotation::KeyPool;
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::pool::{KeyState, ModelSnapshot};

/// The response to the first token below a path.
#[derive(Clone)]
struct Limit {
    path: &'static str,
    status: StatusCode,
    headers: HeaderMap,
}

/// Responds to the first token with the limit, and serves the second.
async fn respond(State(limit): State<Limit>, request: Request) -> impl IntoResponse {
    let is_first = request.headers()["authorization"] == format!("Bearer {}", SECRETS[0]);
    if is_first && request.uri().path().starts_with(limit.path) {
        let body = r#"{"id":1,"message":"You have exceeded a limit."}"#;
        return (limit.status, limit.headers, body);
    }
    (StatusCode::OK, HeaderMap::new(), r#"{"id":1}"#)
}

/// Starts the server, and returns its client with the two tokens.
async fn start(
    (path, status): (&'static str, StatusCode),
    headers: &[(&'static str, String)],
) -> Result<(Octocrab, KeyPool), BoxError> {
    let header = |(name, value): &(&'static str, String)| Ok((name.parse()?, value.parse()?));
    let headers = headers.iter().map(header).collect::<Result<HeaderMap, BoxError>>()?;
    let app = Router::new().fallback(respond).with_state(Limit { path, status, headers });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let pool = pool(github(origin.parse()?)?);
    Ok((client(pool.clone(), origin.parse()?)?, pool))
}

async fn get(github: &Octocrab, path: &str) -> Result<(), BoxError> {
    let object: serde_json::Value = github.get(path, None::<&()>).await?;
    assert_eq!(object["id"], 1);
    Ok(())
}

/// Returns the headers of a limit that is used up, and its reset.
fn used_up() -> (Timestamp, [(&'static str, String); 3]) {
    let reset = Timestamp::now().saturating_add(Duration::from_secs(3_000));
    let [limit, remaining] = ["x-ratelimit-limit", "x-ratelimit-remaining"];
    let seconds = (reset.as_unix_ms() / 1_000).to_string();
    (reset, [(limit, "30".to_owned()), (remaining, "0".to_owned()), ("x-ratelimit-reset", seconds)])
}

/// Returns the number of calls of both tokens.
fn calls(pool: &KeyPool) -> [u64; 2] {
    let keys = pool.snapshot().keys;
    [keys[0].calls, keys[1].calls]
}

#[tokio::test]
async fn a_used_up_resource_rests_until_its_reset() -> Result<(), BoxError> {
    let (reset, headers) = used_up();
    let (github, pool) = start(("/search", StatusCode::FORBIDDEN), &headers).await?;
    get(&github, "/search/issues?q=tower").await?;
    get(&github, "/search/users?q=tower").await?;
    assert_eq!(calls(&pool), [1, 2], "one refusal is enough");

    let limited = &pool.snapshot().keys[0];
    let [ModelSnapshot { model, state, until: Some(until), .. }] = &limited.models[..] else {
        panic!("{limited:?}");
    };
    assert_eq!((model.as_str(), *state), ("search", KeyState::QuotaExceeded));
    let apart = until.saturating_since(reset).max(reset.saturating_since(*until));
    assert!(apart < Duration::from_secs(200), "{apart:?}");

    get(&github, "/repos/tower-rs/tower").await?;
    assert_eq!(calls(&pool), [2, 2], "other resources have limits of their own");
    Ok(())
}

#[tokio::test]
async fn a_secondary_limit_rests_the_whole_token() -> Result<(), BoxError> {
    let (github, pool) =
        start(("/repos", StatusCode::FORBIDDEN), &[("retry-after", "60".to_owned())]).await?;
    get(&github, "/repos/tower-rs/tower").await?;
    get(&github, "/search/issues?q=tower").await?;
    assert_eq!(calls(&pool), [1, 2]);
    assert_eq!(pool.snapshot().keys[0].state, KeyState::RateLimited);
    Ok(())
}

#[tokio::test]
async fn a_limit_that_is_used_up_is_not_hit() -> Result<(), BoxError> {
    let (github, pool) = start(("/search", StatusCode::OK), &used_up().1).await?;
    for _ in 0..3 {
        get(&github, "/search/issues?q=tower").await?;
    }
    assert_eq!(calls(&pool), [1, 2], "its last success said that nothing is left");
    get(&github, "/repos/tower-rs/tower").await?;
    assert_eq!(calls(&pool), [2, 2]);
    Ok(())
}
