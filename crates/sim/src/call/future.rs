//! The response future of the simulator.

use std::fmt;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::upgrade::OnUpgrade;

use super::arrival::Arrival;
use super::body::SimBody;
use super::plan::{End, Plan};
use super::socket::{self, Stopped};
use crate::error::SimError;
use crate::state::Shared;

/// Maximum size of a request body, in bytes (32 MiB).
const MAX_REQUEST: usize = 32 * 1024 * 1024;

/// The response future of a [`Simulator`](crate::Simulator).
///
/// The call arrives when the future is polled for the first time. A future that is dropped before is not
/// logged.
pub struct SimFuture {
    inner: Pin<Box<dyn Future<Output = Result<Response<SimBody>, SimError>> + Send>>,
}

// === impl SimFuture ===

impl SimFuture {
    /// Starts a call at the provider.
    pub(crate) fn new<B>(shared: Arc<Shared>, request: Request<B>) -> Self
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self { inner: Box::pin(serve_one(shared, request)) }
    }
}

impl Future for SimFuture {
    type Output = Result<Response<SimBody>, SimError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(context)
    }
}

impl fmt::Debug for SimFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFuture").finish_non_exhaustive()
    }
}

/// Reads the request, decides the call and carries out its outcome.
async fn serve_one<B>(shared: Arc<Shared>, request: Request<B>) -> Result<Response<SimBody>, SimError>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut head, body) = request.into_parts();
    let stopped = head.extensions.remove::<Stopped>();
    let arrival = Arrival::new(shared, &head);
    let (body, too_large) = receive(body).await?;
    let (Plan { delay, end }, in_flight) = arrival.decide(&body, too_large);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match end {
        End::Respond(response) => Ok(response.into_response(in_flight)),
        End::Switch(response, session) => {
            let on_upgrade = head.extensions.remove::<OnUpgrade>();
            Ok(socket::open(response.into_head(), on_upgrade, stopped, *session, in_flight))
        }
        End::Fail(error) => Err(error),
        End::Silence => {
            let _in_flight = in_flight;
            pending().await
        }
    }
}

/// Reads the whole body. Returns its first [`MAX_REQUEST`] bytes at most, and whether there were more.
async fn receive<B>(body: B) -> Result<(Bytes, bool), SimError>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = pin!(body);
    let mut received = Vec::new();
    let mut too_large = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| SimError::request_body(error.into()))?;
        let Ok(mut data) = frame.into_data() else { continue };
        too_large |= received.len() + data.remaining() > MAX_REQUEST;
        while data.has_remaining() {
            let chunk = data.chunk();
            if !too_large {
                received.extend_from_slice(chunk);
            }
            data.advance(data.chunk().len());
        }
    }
    Ok((received.into(), too_large))
}
