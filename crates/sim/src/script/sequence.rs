//! Scripts: sequences of faults for successive calls.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::fault::SimFault;

/// A sequence of faults for successive calls. After the last step, calls succeed.
///
/// A script belongs to the whole provider ([`SimBuilder::script`](crate::SimBuilder::script)) or to one key
/// ([`SimKey::script`](crate::SimKey::script)). A [`SimFault`] converts into a script that repeats it for every
/// call.
///
/// ```
/// use std::time::Duration;
///
/// use http::Request;
/// use tower::ServiceExt;
/// use tower_key_rotation_sim::{Script, SimFault, SimKey, Simulator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let script = Script::new()
///     .then(SimFault::rate_limited(Duration::from_secs(2)))
///     .then_ok(1)
///     .then_forever(SimFault::overloaded());
/// let sim = Simulator::openai().key(SimKey::new("a", "sk-a").script(script)).build();
///
/// let mut seen = Vec::new();
/// for _ in 0..4 {
///     let chat = Request::post("/v1/chat/completions").header("authorization", "Bearer sk-a");
///     let chat = chat.body(r#"{"model":"gpt-4o","messages":[]}"#.to_owned())?;
///     seen.push(sim.clone().oneshot(chat).await?.status().as_u16());
/// }
/// assert_eq!(seen, [429, 200, 503, 503]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Script {
    steps: VecDeque<Step>,
    /// Applies after the last step.
    flapping: Option<Flapping>,
    /// Whether the first step follows the last.
    cycled: bool,
}

/// One step: successive calls with the same result. Without a fault, the calls succeed.
#[derive(Clone, Debug)]
struct Step {
    fault: Option<SimFault>,
    /// Length of the step as configured. A cycled step starts again with it.
    times: Times,
    /// Number of calls that the step was applied to.
    done: u64,
}

/// Length of a step.
#[derive(Clone, Copy, Debug)]
enum Times {
    Calls(u64),
    Forever,
}

/// Alternation by time: calls succeed for `up`, then fail for `down`.
#[derive(Clone, Debug)]
struct Flapping {
    fault: SimFault,
    up: Duration,
    down: Duration,
    /// Start of the first period. `None` until the script is installed.
    since: Option<Instant>,
}

// === impl Script ===

impl Script {
    /// Creates a script without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a script that fails every call with `fault`.
    pub fn always(fault: SimFault) -> Self {
        Self::new().then_forever(fault)
    }

    /// Creates a script that alternates by time: calls succeed for `up`, then fail with `fault` for `down`,
    /// and so on.
    ///
    /// The periods are counted from the moment at which the script is installed: when the simulator is built,
    /// or when the script is replaced. Steps that are added to the script come before the alternation.
    pub fn flapping(fault: SimFault, up: Duration, down: Duration) -> Self {
        let flapping = Flapping { fault, up, down, since: None };
        Self { flapping: Some(flapping), ..Self::new() }
    }

    /// Adds a step: one call fails with `fault`.
    pub fn then(self, fault: SimFault) -> Self {
        self.then_times(1, fault)
    }

    /// Adds a step: `calls` calls fail with `fault`.
    pub fn then_times(self, calls: u64, fault: SimFault) -> Self {
        self.step(Some(fault), Times::Calls(calls))
    }

    /// Adds a step: `calls` calls succeed.
    pub fn then_ok(self, calls: u64) -> Self {
        self.step(None, Times::Calls(calls))
    }

    /// Adds a last step: every further call fails with `fault`.
    pub fn then_forever(self, fault: SimFault) -> Self {
        self.step(Some(fault), Times::Forever)
    }

    /// Repeats the steps: the first follows the last. Default: each step applies once.
    pub fn cycled(mut self) -> Self {
        self.cycled = true;
        self
    }

    fn step(mut self, fault: Option<SimFault>, times: Times) -> Self {
        self.steps.push_back(Step { fault, times, done: 0 });
        self
    }

    /// Installs the script: its periods are counted from `now`.
    pub(crate) fn start(mut self, now: Instant) -> Self {
        if let Some(flapping) = &mut self.flapping {
            flapping.since = Some(now);
        }
        self
    }

    /// Returns the fault of the next call, and moves on. `None` if the call succeeds.
    pub(crate) fn next_fault(&mut self, now: Instant) -> Option<SimFault> {
        for _ in 0..=self.steps.len() {
            let Some(step) = self.steps.front_mut() else { break };
            if step.is_due() {
                step.done += 1;
                return step.fault.clone();
            }
            self.advance();
        }
        self.flapping.as_ref()?.fault_at(now)
    }

    fn advance(&mut self) {
        let Some(mut step) = self.steps.pop_front() else { return };
        if self.cycled {
            step.done = 0;
            self.steps.push_back(step);
        }
    }
}

impl From<SimFault> for Script {
    fn from(fault: SimFault) -> Self {
        Self::always(fault)
    }
}

// === impl Step ===

impl Step {
    fn is_due(&self) -> bool {
        match self.times {
            Times::Forever => true,
            Times::Calls(calls) => self.done < calls,
        }
    }
}

// === impl Flapping ===

impl Flapping {
    fn fault_at(&self, now: Instant) -> Option<SimFault> {
        let passed = now.saturating_duration_since(self.since?).as_nanos();
        let period = (self.up + self.down).as_nanos().max(1);
        (passed % period >= self.up.as_nanos()).then(|| self.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(script: &mut Script, calls: usize) -> Vec<bool> {
        (0..calls).map(|_| script.next_fault(Instant::now()).is_some()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn steps_come_in_order_and_end() {
        let mut script = Script::new().then_times(2, SimFault::Reset).then_ok(1).then(SimFault::Silent);
        assert_eq!(fails(&mut script, 6), [true, true, false, true, false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cycle_repeats() {
        let mut script = Script::new().then(SimFault::Reset).then_ok(2).cycled();
        assert_eq!(fails(&mut script, 7), [true, false, false, true, false, false, true]);
        let mut empty = Script::new().then_ok(0).cycled();
        assert_eq!(fails(&mut empty, 2), [false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn flapping_follows_the_clock() {
        let second = Duration::from_secs(1);
        let mut script = Script::flapping(SimFault::Reset, second * 2, second).start(Instant::now());
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.extend(fails(&mut script, 1));
            tokio::time::advance(second).await;
        }
        assert_eq!(seen, [false, false, true, false, false, true]);
    }
}
