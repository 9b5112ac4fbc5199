//! The phases of the run: the faults of the providers, one after another.

use std::time::Duration;

use tower_key_rotation_sim::{Script, SimFault};

/// Requests per second.
pub(crate) const PER_SECOND: u32 = 40;

/// A few seconds of load.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) requests: u32,
    /// Scripts of the first and the second provider. The third has no faults.
    pub(crate) troubles: [Script; 2],
}

pub(crate) fn all() -> [Phase; 7] {
    [
        Phase::new("all well", 80, Script::new()),
        // The stated wait outlasts the phase: a client that obeys it calls once.
        Phase::new("exhausted", 120, Script::always(SimFault::rate_limited(Duration::from_secs(5)))),
        // The stated wait ends after about two seconds. Then a probe ends the cooldown of the keys.
        Phase::new("refilled", 160, Script::new()),
        // Errors at first, and then no response to any probe.
        Phase::new(
            "broken",
            120,
            Script::new().then_times(5, SimFault::status(503)).then_forever(SimFault::Silent),
        ),
        Phase::new("two broken", 80, Script::always(SimFault::Silent))
            .second(Script::always(SimFault::overloaded())),
        Phase::new("flapping", 240, flapping()),
        Phase::new("well again", 80, Script::new()),
    ]
}

fn flapping() -> Script {
    Script::flapping(SimFault::status(503), Duration::from_millis(500), Duration::from_millis(1500))
}

impl Phase {
    fn new(name: &'static str, requests: u32, first: Script) -> Self {
        Self { name, requests, troubles: [first, Script::new()] }
    }

    fn second(mut self, trouble: Script) -> Self {
        self.troubles[1] = trouble;
        self
    }
}
