//! The simulated provider, and the client in front of it.

use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::{Builder, Runtime};
use tower::{BoxError, ServiceBuilder};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_sim::{Dialect, Latency, SimServer, Simulator, Tally};

use crate::cases::{Case, Limited, Unit, Whose, secret};

/// Number of tokens in a response.
pub(crate) const ANSWER: u32 = 9;

const LATENCY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(60));

pub(crate) type Rotating = KeyRotation<Client<HttpConnector, ReplayBody>>;

/// A simulated provider with threads of its own.
pub(crate) struct InABox {
    simulator: Simulator,
    server: SimServer,
    model: &'static str,
    /// Runtime of the provider. An option, because a runtime can only be stopped by value.
    runtime: Option<Runtime>,
}

// === impl InABox ===

impl InABox {
    pub(crate) async fn start(case: &Case) -> Result<Self, BoxError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let builder = Simulator::builder(case.dialect).keys(case.keys.clone());
        let simulator = case
            .accounts
            .iter()
            .fold(builder, |builder, account| builder.account(account.clone()))
            .minute(case.minute)
            .words(ANSWER as usize)
            .latency(Latency::Uniform(LATENCY.0..LATENCY.1))
            .build();
        let serving = simulator.clone();
        let server = runtime.spawn(async move { serving.serve().await }).await??;
        let model = match case.dialect {
            Dialect::Gemini => "gemini-2.5-flash",
            _ => "gpt-4o-mini",
        };
        Ok(Self { simulator, server, model, runtime: Some(runtime) })
    }

    pub(crate) fn tally(&self) -> Tally {
        self.simulator.tally()
    }

    /// Returns the amount that all limits of the case allow now, in their unit.
    pub(crate) fn headroom(&self, case: &Case) -> f64 {
        case.limited.iter().map(|limited| self.headroom_of(limited)).sum()
    }

    fn headroom_of(&self, limited: &Limited) -> f64 {
        let headroom = match &limited.whose {
            Whose::Key(label) => self.simulator.key(label).headroom(self.model),
            Whose::Account(name) => self.simulator.account(name).headroom(self.model),
        };
        let left = match limited.unit {
            Unit::Requests => headroom.requests,
            Unit::Tokens => headroom.tokens,
        };
        left.unwrap_or_default()
    }

    pub(crate) fn url(&self, dialect: Dialect) -> String {
        let path = match dialect {
            Dialect::Gemini => format!("/v1beta/models/{}:generateContent", self.model),
            _ => "/v1/chat/completions".to_owned(),
        };
        self.server.uri(&path).to_string()
    }

    pub(crate) fn model(&self) -> &'static str {
        self.model
    }

    /// The whole integration: a layer around the client. The limits of OpenAI's keys, and which keys share a
    /// limit, are learned; Gemini's limits are declared.
    pub(crate) fn rotating(&self, case: &Case) -> Result<Rotating, BoxError> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let layer = KeyRotationLayer::new(self.pool(case)?).wait_for_key(true);
        Ok(ServiceBuilder::new().layer(layer).service(client))
    }

    fn pool(&self, case: &Case) -> Result<KeyPool, BoxError> {
        let provider = match case.dialect {
            Dialect::Gemini => Provider::gemini(),
            _ => Provider::openai(),
        };
        let mut pool = KeyPool::builder(provider.with_origin(self.server.origin().parse()?));
        if let Some(quota) = &case.declared {
            pool = pool.quota(quota.clone());
        }
        for label in &case.labels {
            pool = pool.key(ApiKey::new(secret(label))?.id(label.as_str()));
        }
        Ok(pool.build()?)
    }
}

impl Drop for InABox {
    fn drop(&mut self) {
        // A drop must not block here until the threads have ended. They have no work left.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
