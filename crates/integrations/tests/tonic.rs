//! Rotation around a channel of tonic, against a server of a generated service.

mod support;

use std::error::Error as _;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use integrations::with_tonic::{RotatingChannel, rotating};
use support::{SECRETS, pool};
use tokio::net::TcpListener;
use tonic::transport::Endpoint;
use tonic::transport::server::{Server, TcpIncoming};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::{ErrorDetails, StatusExt};
use tower::BoxError;
use tower_key_rotation::provider::{AuthScheme, X_GOOG_API_KEY};
use tower_key_rotation::{Error, KeyPool, Provider};

/// A service that reports a status to the first key, and serves the second.
#[derive(Clone)]
struct Limiting {
    status: Status,
    keys: Arc<Mutex<Vec<String>>>,
}

impl Limiting {
    fn check(&self, request: &Request<HealthCheckRequest>) -> Result<HealthCheckResponse, Status> {
        assert_eq!(request.get_ref().service, "a.Service");
        let key = request.metadata().get("x-goog-api-key").unwrap().to_str().unwrap();
        self.keys.lock().unwrap().push(key.to_owned());
        if key == SECRETS[0] { Err(self.status.clone()) } else { Ok(HealthCheckResponse { status: 1 }) }
    }
}

#[tonic::async_trait]
impl Health for Limiting {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(Self::check(self, &request)?))
    }

    /// Fails in the trailers, after a head without a status.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let replies = match Self::check(self, &request) {
            Ok(reply) => vec![Ok(reply), Ok(reply), Err(Status::aborted("the end"))],
            refused => vec![refused],
        };
        Ok(Response::new(stream::iter(replies).boxed()))
    }
}

struct Running {
    client: HealthClient<RotatingChannel>,
    pool: KeyPool,
    keys: Arc<Mutex<Vec<String>>>,
}

/// Starts the server, and returns its generated client with the two keys.
async fn start(status: Status) -> Result<Running, BoxError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let keys = Arc::default();
    let service = HealthServer::new(Limiting { status, keys: Arc::clone(&keys) });
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));

    let scheme = AuthScheme::Header(X_GOOG_API_KEY);
    let pool = pool(Provider::builder("health").origin(origin.parse()?).auth(scheme).build());
    let endpoint = Endpoint::from_shared(origin)?;
    let service = rotating(endpoint.connect_lazy(), pool.clone());
    let client = HealthClient::with_origin(service, endpoint.uri().clone());
    Ok(Running { client, pool, keys })
}

fn question() -> HealthCheckRequest {
    HealthCheckRequest { service: "a.Service".to_owned() }
}

fn limited() -> Status {
    let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(30)));
    Status::with_error_details(Code::ResourceExhausted, "Quota exceeded.", details)
}

/// Returns the seconds until the first key is usable again.
fn wait(pool: &KeyPool) -> Option<u64> {
    let snapshot = pool.snapshot();
    Some(snapshot.keys[0].until?.saturating_since(snapshot.at).as_secs())
}

#[tokio::test]
async fn a_limit_in_the_head_rotates() -> Result<(), BoxError> {
    let Running { mut client, pool, keys } = start(limited()).await?;
    for _ in 0..2 {
        assert_eq!(client.check(question()).await?.into_inner().status, 1);
    }
    assert_eq!(*keys.lock().unwrap(), [SECRETS[0], SECRETS[1], SECRETS[1]], "one refusal is enough");
    assert!(matches!(wait(&pool), Some(29..=35)), "as long as the server says: {:?}", wait(&pool));
    Ok(())
}

#[tokio::test]
async fn a_limit_in_the_trailers_rotates() -> Result<(), BoxError> {
    let Running { mut client, keys, .. } = start(limited()).await?;
    let mut replies = client.watch(question()).await?.into_inner();
    assert_eq!(replies.message().await?.unwrap().status, 1);
    assert_eq!(replies.message().await?.unwrap().status, 1);
    assert_eq!(replies.message().await.unwrap_err().code(), Code::Aborted, "the trailers pass");
    assert_eq!(*keys.lock().unwrap(), SECRETS);
    Ok(())
}

#[tokio::test]
async fn a_fault_of_the_call_is_delivered() -> Result<(), BoxError> {
    let Running { mut client, pool, keys } = start(Status::not_found("no such service")).await?;
    let status = client.check(question()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no such service"));
    assert_eq!((keys.lock().unwrap().len(), wait(&pool)), (1, None));
    Ok(())
}

#[tokio::test]
async fn an_invalid_key_is_left_out() -> Result<(), BoxError> {
    let details = ErrorDetails::with_error_info(
        "API_KEY_INVALID",
        "googleapis.com",
        [("service", "a.Service")].map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let status = Status::with_error_details(Code::InvalidArgument, "API key not valid.", details);
    let Running { mut client, pool, .. } = start(status).await?;
    client.check(question()).await?;
    assert_eq!(pool.usable(None), 1);
    Ok(())
}

#[tokio::test]
async fn a_call_without_a_usable_key_has_a_status() -> Result<(), BoxError> {
    let Running { mut client, pool, keys } = start(limited()).await?;
    pool.disable(&"good".into())?;
    for _ in 0..2 {
        let status = client.check(question()).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let text = format!("{status:?}");
        assert!(!text.contains(SECRETS[0]), "{text}");
    }
    assert_eq!(keys.lock().unwrap().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_refused_connection_sent_nothing() -> Result<(), BoxError> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let origin = format!("http://{}", listener.local_addr()?);
    drop(listener);
    let pool = pool(Provider::builder("health").origin(origin.parse()?).build());
    let endpoint = Endpoint::from_shared(origin)?;
    let service = rotating(endpoint.connect_lazy(), pool);
    let mut client = HealthClient::with_origin(service, endpoint.uri().clone());
    let status = client.check(question()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let error = status.source().and_then(|source| source.downcast_ref::<Error>());
    let Some(Error::AllKeysFailed(failed)) = error else { panic!("{status:?}") };
    assert!(!failed.may_have_run(), "{failed}");
    assert_eq!(failed.attempts().len(), 2, "sent again, since it never left: {failed}");
    Ok(())
}
