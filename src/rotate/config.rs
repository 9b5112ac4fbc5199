//! The settings of a rotation layer.

use std::time::Duration;

use crate::body::ReplayBody;
use crate::exchange::inspect::Limits;
use crate::pool::KeyPool;
use crate::rotate::estimate::Estimator;
use crate::rotate::policy::Policy;

/// The settings of a rotation layer, shared by its services.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) pool: KeyPool,
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) head_timeout: Option<Duration>,
    pub(super) deadline: Option<Duration>,
    pub(super) replay_cap: usize,
    pub(super) wait_for_key: bool,
    pub(super) keep_accept_encoding: bool,
    pub(super) estimator: Estimator,
    pub(super) error_events: bool,
    pub(super) tell_key: bool,
}

impl Config {
    /// Creates the default settings for a pool.
    pub(super) fn new(pool: KeyPool) -> Self {
        Self {
            pool,
            policy: Policy::default(),
            limits: Limits::DEFAULT,
            head_timeout: None,
            deadline: None,
            replay_cap: ReplayBody::CAP,
            wait_for_key: false,
            keep_accept_encoding: false,
            estimator: Estimator::default(),
            error_events: false,
            tell_key: false,
        }
    }
}
