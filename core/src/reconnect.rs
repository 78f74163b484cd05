//! Reconnecting two peers after their session is lost: a state machine without a clock, a relay or
//! a socket.
//!
//! Of two peers exactly one dials: the one with the lower [`Fingerprint`]. The other one waits to
//! be dialled. It dials itself only after its patience ends, because a firewall may block just one
//! direction. Before each attempt the relay is asked again, because the other peer may have moved.
//! If the relay does not help, the last known addresses are tried. While a busy relay wants not to
//! be asked, only those are tried, so that no relay can delay a reconnection that does not need it;
//! the last attempt waits for the relay. The delay between attempts doubles. As in `health`, a
//! driver reports to [`Reconnect::on_event`], carries out the actions, and reports again at
//! [`Reconnect::next_deadline`]. At [`ReconnectAction::Abandon`] it drops the attempt under way. If
//! both peers make a session at the same moment, the session layer chooses one.

use std::time::Duration;

use tokio::time::Instant;

use crate::identity::Fingerprint;
use crate::limits::{
    RECONNECT_ATTEMPT_COUNT_MAX, RECONNECT_ATTEMPT_TIMEOUT, RECONNECT_DELAY_FIRST, RECONNECT_DELAY_MAX,
    RECONNECT_PATIENCE,
};

/// The delays and limits of reconnecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconnectConfig {
    /// The delay after the first failed attempt; it doubles with each further one. The first
    /// attempt is made at once.
    pub delay_first: Duration,
    /// The longest delay between attempts.
    pub delay_max: Duration,
    /// How many attempts are made before giving up.
    pub attempt_count_max: u32,
    /// How long one attempt may take, looking up and dialling.
    pub attempt_timeout: Duration,
    /// How long the responder waits for the initiator before it dials itself.
    pub patience: Duration,
}

impl Default for ReconnectConfig {
    fn default() -> Self {
        Self {
            delay_first: RECONNECT_DELAY_FIRST,
            delay_max: RECONNECT_DELAY_MAX,
            attempt_count_max: RECONNECT_ATTEMPT_COUNT_MAX,
            attempt_timeout: RECONNECT_ATTEMPT_TIMEOUT,
            patience: RECONNECT_PATIENCE,
        }
    }
}

/// Which side dials first. Both sides compute opposite roles without talking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Has the lower fingerprint: dials at once.
    Initiator,
    /// Has the higher one: waits to be dialled, until its patience ends.
    Responder,
}

impl Role {
    /// The role of the peer `own` towards the peer `other`.
    #[must_use]
    pub fn of(own: &Fingerprint, other: &Fingerprint) -> Self {
        if own < other {
            Self::Initiator
        } else {
            Self::Responder
        }
    }
}

/// What a driver reports to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconnectEvent {
    /// The session is lost.
    Disconnected,
    /// The time of [`Reconnect::next_deadline`] has come. Harmless at any other time.
    DeadlineReached,
    /// The relay had a record, and it could be opened.
    LookedUp,
    /// The relay did not answer, had nothing, or had nothing that could be opened.
    LookUpFailed {
        /// When to ask the relay again, if its answer has it.
        retry_after: Option<Duration>,
    },
    /// Our dial made a session.
    DialSucceeded,
    /// Our dial failed.
    DialFailed,
    /// The other peer's dial made a session.
    Accepted,
    /// A session is no longer wanted.
    Stop,
}

/// What the driver has to do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconnectAction {
    /// Report that attempt number `attempt` starts at `until`, unless the other side dials first.
    Wait {
        /// Number of the coming attempt, from 1.
        attempt: u32,
        /// When it starts.
        until: Instant,
    },
    /// Ask the relay for the other peer's record, then report the outcome.
    LookUp {
        /// Number of this attempt, from 1.
        attempt: u32,
    },
    /// Dial, then report the outcome.
    Dial {
        /// Number of this attempt, from 1.
        attempt: u32,
        /// Which addresses to dial.
        addresses: AddressSource,
    },
    /// Drop the look-up or dial that is under way.
    Abandon,
    /// There is a session again; report it.
    Reconnected {
        /// How many attempts this side made.
        attempt_count: u32,
    },
    /// All attempts failed; report it. The other peer may still dial.
    GiveUp {
        /// How many attempts this side made.
        attempt_count: u32,
    },
}

/// Which addresses to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressSource {
    /// Those that were just looked up.
    LookedUp,
    /// Those of the last session or record: the relay did not help.
    LastKnown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is a session, or none is wanted.
    Resting,
    Waiting {
        until: Instant,
    },
    LookingUp {
        until: Instant,
    },
    Dialling {
        until: Instant,
    },
    GivenUp,
}

/// Reconnects one pair of peers. See the module's head.
#[derive(Debug)]
pub struct Reconnect {
    config: ReconnectConfig,
    role: Role,
    state: State,
    attempt_count: u32,
    /// When the relay may be asked again.
    relay_rests_until: Option<Instant>,
    jitter: Jitter,
}

impl Reconnect {
    /// A machine at rest. `seed` decides the jitter: use a different one for each peer, and a fixed
    /// one in a test.
    #[must_use]
    pub fn new(config: ReconnectConfig, role: Role, seed: u64) -> Self {
        Self {
            config,
            role,
            state: State::Resting,
            attempt_count: 0,
            relay_rests_until: None,
            jitter: Jitter(seed),
        }
    }

    /// Records what happened at `now`, and returns the actions that follow from it. An event that
    /// does not fit the state is ignored.
    pub fn on_event(&mut self, now: Instant, event: ReconnectEvent) -> Vec<ReconnectAction> {
        match (event, self.state) {
            (ReconnectEvent::Disconnected, State::Resting | State::GivenUp) => self.start(now),
            (ReconnectEvent::DeadlineReached, _) => self.on_deadline(now),
            (ReconnectEvent::LookedUp, State::LookingUp { until }) => {
                self.dial(until, AddressSource::LookedUp)
            }
            (ReconnectEvent::LookUpFailed { retry_after }, State::LookingUp { until }) => {
                self.relay_rests_until = retry_after.map(|delay| now + delay);
                self.dial(until, AddressSource::LastKnown)
            }
            (ReconnectEvent::DialFailed, State::Dialling { .. }) => self.fail(now),
            (ReconnectEvent::DialSucceeded, State::Dialling { .. }) => vec![self.succeed()],
            (ReconnectEvent::Accepted, state) if state != State::Resting => {
                self.abandoned().into_iter().chain([self.succeed()]).collect()
            }
            (ReconnectEvent::Stop, _) => self.stop(),
            _ => Vec::new(),
        }
    }

    /// When to report [`ReconnectEvent::DeadlineReached`]; `None` at rest and after giving up.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } | State::LookingUp { until } | State::Dialling { until } => Some(until),
            State::Resting | State::GivenUp => None,
        }
    }

    /// Whether this peer dials first, or waits to be dialled.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    fn start(&mut self, now: Instant) -> Vec<ReconnectAction> {
        self.attempt_count = 0;
        self.relay_rests_until = None;
        match self.role {
            Role::Initiator => self.attempt(now),
            Role::Responder => self.wait(now + self.config.patience),
        }
    }

    fn on_deadline(&mut self, now: Instant) -> Vec<ReconnectAction> {
        match self.state {
            State::Waiting { until } if until <= now => self.attempt(now),
            State::LookingUp { until } | State::Dialling { until } if until <= now => {
                [ReconnectAction::Abandon]
                    .into_iter()
                    .chain(self.fail(now))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn wait(&mut self, until: Instant) -> Vec<ReconnectAction> {
        self.state = State::Waiting { until };
        vec![ReconnectAction::Wait {
            attempt: self.attempt_count + 1,
            until,
        }]
    }

    fn attempt(&mut self, now: Instant) -> Vec<ReconnectAction> {
        self.attempt_count += 1;
        let until = now + self.config.attempt_timeout;
        if self.relay_rests_until.is_some_and(|rested| now < rested) {
            return self.dial(until, AddressSource::LastKnown);
        }
        self.state = State::LookingUp { until };
        vec![ReconnectAction::LookUp {
            attempt: self.attempt_count,
        }]
    }

    fn dial(&mut self, until: Instant, addresses: AddressSource) -> Vec<ReconnectAction> {
        self.state = State::Dialling { until };
        vec![ReconnectAction::Dial {
            attempt: self.attempt_count,
            addresses,
        }]
    }

    fn fail(&mut self, now: Instant) -> Vec<ReconnectAction> {
        if self.attempt_count >= self.config.attempt_count_max {
            self.state = State::GivenUp;
            return vec![ReconnectAction::GiveUp {
                attempt_count: self.attempt_count,
            }];
        }
        let until = now + self.delay();
        let is_last_next = self.attempt_count + 1 >= self.config.attempt_count_max;
        let rested = self.relay_rests_until.filter(|_| is_last_next);
        self.wait(rested.map_or(until, |rested| until.max(rested)))
    }

    /// The delay after the attempt that just failed: doubled each time, then shortened by up to
    /// half, so that peers that lost their sessions together do not retry together.
    fn delay(&mut self) -> Duration {
        let doublings = self.attempt_count.saturating_sub(1).min(31);
        let full = self
            .config
            .delay_first
            .saturating_mul(1 << doublings)
            .min(self.config.delay_max);
        self.jitter.shorten(full)
    }

    fn succeed(&mut self) -> ReconnectAction {
        self.state = State::Resting;
        ReconnectAction::Reconnected {
            attempt_count: self.attempt_count,
        }
    }

    fn stop(&mut self) -> Vec<ReconnectAction> {
        let actions = self.abandoned().into_iter().collect();
        self.state = State::Resting;
        actions
    }

    fn abandoned(&self) -> Option<ReconnectAction> {
        matches!(self.state, State::LookingUp { .. } | State::Dialling { .. })
            .then_some(ReconnectAction::Abandon)
    }
}

/// The generator of the jitter: SplitMix64 (Steele, Lea, Flood 2014). It is not for secrets.
#[derive(Debug)]
struct Jitter(u64);

impl Jitter {
    /// A random duration between half of `full` and all of it.
    fn shorten(&mut self, full: Duration) -> Duration {
        let thousandths = u32::try_from(self.next() % 501).unwrap_or(0);
        full - full * thousandths / 1000
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests;
