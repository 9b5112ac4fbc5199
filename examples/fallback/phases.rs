//! What befalls the providers, one thing after the other.

use std::time::Duration;

use tower_key_rotation_sim::{Fault, Script};

/// How fast requests come.
pub(crate) const PER_SECOND: u32 = 40;

/// Some seconds of load.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) requests: u32,
    /// What happens to the calls of the first provider, and of the second. The third is always well.
    pub(crate) troubles: [Script; 2],
}

pub(crate) fn all() -> [Phase; 7] {
    [
        Phase::new("all well", 80, Script::new()),
        // The hint outlasts the phase: whoever believes it calls once.
        Phase::new("exhausted", 120, Script::always(Fault::rate_limited(Duration::from_secs(5)))),
        // The hint is over after some two seconds; then a probe brings the keys back.
        Phase::new("refilled", 160, Script::new()),
        // Errors first, and nothing but silence for those who come to see if it is back.
        Phase::new(
            "broken",
            120,
            Script::new().then_times(5, Fault::status(503)).then_forever(Fault::Silent),
        ),
        Phase::new("two broken", 80, Script::always(Fault::Silent))
            .second(Script::always(Fault::overloaded())),
        Phase::new("flapping", 240, flapping()),
        Phase::new("well again", 80, Script::new()),
    ]
}

fn flapping() -> Script {
    Script::flapping(Fault::status(503), Duration::from_millis(500), Duration::from_millis(1500))
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
