//! A simulated provider with a key that is limited and one that is not, and their pool.

#![allow(dead_code, reason = "no test uses all of it")]

use std::time::Duration;

use tower_key_rotation::{ApiKey, KeyPool, Provider};
use tower_key_rotation_sim::{Script, SimBuilder, SimFault, SimKey, SimServer, Simulator};

/// The secrets of the two keys, in the order of the pool.
pub(crate) const SECRETS: [&str; 2] = ["sk-limited-0123456789", "sk-good-0123456789"];

/// A provider on a loopback port that always refuses the key `limited`.
pub(crate) struct Upstream {
    pub(crate) sim: Simulator,
    pub(crate) server: SimServer,
}

impl Upstream {
    pub(crate) async fn start(sim: SimBuilder) -> Self {
        let limit = Script::always(SimFault::rate_limited(Duration::from_secs(60)));
        let limited = SimKey::new("limited", SECRETS[0]).script(limit);
        let sim = sim.keys([limited, SimKey::new("good", SECRETS[1])]).build();
        let server = sim.serve().await.unwrap();
        Self { sim, server }
    }

    pub(crate) async fn openai() -> Self {
        Self::start(Simulator::openai()).await
    }

    /// Returns a pool with both keys of OpenAI at this server.
    pub(crate) fn pool(&self) -> KeyPool {
        pool(Provider::openai().with_origin(self.server.origin().parse().unwrap()))
    }

    /// Checks that the limited key was tried once, and that the other served this number of requests.
    pub(crate) fn assert_rotated(&self, served: u64) {
        assert_eq!((self.sim.key("limited").calls(), self.sim.key("good").calls()), (1, served));
        assert!(self.sim.log().iter().all(|call| !call.foreign_credentials), "no key but those of the pool");
    }
}

/// Returns a pool with both keys. The first is used first.
pub(crate) fn pool(provider: Provider) -> KeyPool {
    let [limited, good] = SECRETS.map(|secret| ApiKey::new(secret).unwrap());
    KeyPool::builder(provider).keys([limited.id("limited"), good.id("good").backup()]).build().unwrap()
}
