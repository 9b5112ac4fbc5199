//! A tunnel: it passes the bytes of two connections on to each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use metrics::gauge;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::sync::Notify;
use tokio::time::timeout;
use tower_key_rotation::Served;

use crate::websocket::observed::Observed;
use crate::websocket::refused::TunnelKey;
use crate::websocket::traffic::{Limits, Side, TunnelTraffic};

/// Number of open tunnels, by provider.
const OPEN: &str = "tower_key_rotation_gateway_websockets";

/// Maximum time from the provider's switch of protocols to the caller's (10 s).
const OPENING: Duration = Duration::from_secs(10);

/// Maximum time to send a close frame (250 ms).
const FAREWELL: Duration = Duration::from_millis(250);

/// Size of the buffer for each direction (16 KiB). A side that does not read stops the other one when it is full.
const BUFFER: usize = 16 * 1024;

/// A response extension: the tunnel that follows the response. Clones are handles to the same tunnel.
#[derive(Clone)]
pub(crate) struct Tunnel(Arc<State>);

struct State {
    /// Dropped when the tunnel ends. `None` once it has ended.
    attached: Mutex<Option<Vec<Box<dyn Send>>>>,
    traffic: Arc<TunnelTraffic>,
    stop: Notify,
}

/// Ends the tunnel when it is dropped.
struct Running {
    tunnel: Tunnel,
    provider: String,
}

// === impl Tunnel ===

impl Tunnel {
    /// Starts a tunnel between caller and provider. `lease` is its place in the limits of its key.
    pub(super) fn start(
        (caller, provider): (OnUpgrade, OnUpgrade),
        (lease, key): (Option<Served>, TunnelKey),
        limits: Limits,
    ) -> Self {
        let state = State {
            attached: Mutex::new(Some(Vec::new())),
            traffic: TunnelTraffic::new(),
            stop: Notify::new(),
        };
        let tunnel = Self(Arc::new(state));
        let running = Running::new(&tunnel, lease.as_ref());
        tunnel.attach(lease);
        let _task = tokio::spawn(async move {
            let opening = timeout(OPENING, async { tokio::try_join!(caller, provider) });
            let traffic = running.tunnel.traffic();
            match opening.await {
                Ok(Ok(connections)) => running.tunnel.pass(connections, key, limits).await,
                Ok(Err(_)) | Err(_) => traffic.failed("not_opened"),
            }
        });
        tunnel
    }

    /// Keeps a value until the tunnel ends.
    pub(crate) fn attach(&self, value: impl Send + 'static) {
        if let Some(attached) = &mut *self.attached() {
            attached.push(Box::new(value));
        }
    }

    /// Returns the traffic of the tunnel.
    pub(crate) fn traffic(&self) -> &Arc<TunnelTraffic> {
        &self.0.traffic
    }

    /// Ends the tunnel.
    pub(crate) fn stop(&self) {
        self.0.stop.notify_one();
    }

    /// Passes bytes on until both sides have ended, one breaks, or a limit is exceeded.
    async fn pass(&self, (caller, provider): (Upgraded, Upgraded), key: TunnelKey, limits: Limits) {
        let traffic = self.traffic();
        let mut caller = Observed::new(caller, Side::Caller, traffic, key);
        let mut provider = Observed::new(provider, Side::Provider, traffic, TunnelKey::default());
        let copied = copy_bidirectional_with_sizes(&mut caller, &mut provider, BUFFER, BUFFER);
        let error = tokio::select! {
            copied = copied => copied.err().map(|_| "broken"),
            exceeded = traffic.exceeds(limits) => exceeded,
            () = self.0.stop.notified() => Some("shutdown"),
        };
        let Some(error) = error else { return };
        traffic.failed(error);
        // A caller that does not read is not waited for.
        let _late = timeout(FAREWELL, caller.end(error)).await;
    }

    fn attached(&self) -> MutexGuard<'_, Option<Vec<Box<dyn Send>>>> {
        self.0.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Running ===

impl Running {
    fn new(tunnel: &Tunnel, lease: Option<&Served>) -> Self {
        let provider = lease.map_or("", Served::provider).to_owned();
        gauge!(OPEN, "provider" => provider.clone()).increment(1);
        Self { tunnel: tunnel.clone(), provider }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        gauge!(OPEN, "provider" => std::mem::take(&mut self.provider)).decrement(1);
        // Dropped after the lock is free, since what is attached may be anything.
        let attached = self.tunnel.attached().take();
        drop(attached);
    }
}
