//! The same cases over loopback connections.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tower::{BoxError, Service};
use tower_key_rotation::body::ReplayBody;

use crate::case::{Case, Fault, GARBAGE};
use crate::judge;
use crate::raw::{Raw, Step};
use crate::stage::{Got, Limits, run as ask, scripts};
use crate::wire::exchange;

/// A client that connects for each request.
#[derive(Clone)]
struct Tcp {
    address: String,
}

/// Tries a case over sockets. If nothing stalls, the limits hold on a machine under any load.
pub(crate) async fn run(case: Case) -> Result<(Vec<String>, Got), String> {
    let phase = Duration::from_secs(if case.fault == Fault::Stall { 2 } else { 30 });
    let limits = Limits { phase, deadline: 2 * phase, slack: Duration::from_secs(30) };
    let [first, second] = scripts(case);
    let (first, second) = (upstream(first).await, upstream(second).await);
    let [one, two] = [&first, &second].map(|raw| Tcp { address: raw.origin().replace("http://", "") });
    let got = ask(case, limits, one, two).await?;
    let got = Got { calls: [first.calls(), second.calls()], ..got };
    Ok((judge::faults(case, limits, &got), got))
}

async fn upstream((bytes, fault): (Vec<u8>, Fault)) -> Raw {
    let end = match fault {
        Fault::Cut => vec![Step::Cut],
        Fault::Stall => vec![Step::Stall],
        Fault::Garbage => vec![Step::send(GARBAGE), Step::Cut],
        // A reset discards data that were not read yet.
        Fault::Reset => vec![Step::Pause(Duration::from_millis(50)), Step::Reset],
    };
    Raw::serving([Step::Send(bytes)].into_iter().chain(end)).await
}

impl Service<Request<ReplayBody>> for Tcp {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReplayBody>) -> Self::Future {
        let address = self.address.clone();
        Box::pin(async move { exchange(TcpStream::connect(address).await?, request).await })
    }
}
