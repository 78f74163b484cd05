//! Is the other peer still there? A state machine without a clock, a timer or a socket.
//!
//! A driver reports each event with its time to [`HealthMonitor::on_event`], carries out the
//! returned actions, and reports again at [`HealthMonitor::next_deadline`]. Anything received
//! proves that the peer is alive; pings ensure that something is received, and measure the round
//! trip. Time is tokio's `Instant`, as in the driver's timers. It is only compared and added to, so
//! tests can make theirs up. What to do about a lost peer is decided in `reconnect`.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{
    DEGRADED_ROUND_TRIP, DEGRADED_SILENCE, DISCONNECTED_SILENCE, HEARTBEAT_INTERVAL, PENDING_PING_COUNT_MAX,
};

/// When to ping, and when a peer counts as degraded or lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthConfig {
    /// From one ping to the next.
    pub heartbeat_interval: Duration,
    /// Nothing received for this long is [`Health::Degraded`].
    pub degraded_silence: Duration,
    /// Nothing received for this long is [`Health::Disconnected`].
    pub disconnected_silence: Duration,
    /// A round trip that takes this long on average is [`Health::Degraded`].
    pub degraded_round_trip: Duration,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            heartbeat_interval: HEARTBEAT_INTERVAL,
            degraded_silence: DEGRADED_SILENCE,
            disconnected_silence: DISCONNECTED_SILENCE,
            degraded_round_trip: DEGRADED_ROUND_TRIP,
        }
    }
}

impl HealthConfig {
    /// Whether 0 < heartbeat ≤ degraded < disconnected, which a monitor requires.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        Duration::ZERO < self.heartbeat_interval
            && self.heartbeat_interval <= self.degraded_silence
            && self.degraded_silence < self.disconnected_silence
    }
}

/// The state of the other peer, as far as we can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It answers, in good time.
    Healthy,
    /// It is silent or slow; it may recover.
    Degraded,
    /// It is lost. Final: a new session gets a new monitor.
    Disconnected,
}

/// What a driver reports to the monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthEvent {
    /// The time of [`HealthMonitor::next_deadline`] has come. Harmless at any other time.
    DeadlineReached,
    /// Something other than a pong was received.
    Received,
    /// The answer to a ping was received.
    PongReceived {
        /// The nonce of the ping.
        nonce: u64,
    },
}

/// What the driver has to do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthAction {
    /// Send a ping; the other side answers with the same nonce.
    SendPing {
        /// Distinguishes this ping from the monitor's others.
        nonce: u64,
    },
    /// Report the change.
    StateChanged {
        /// Before.
        from: Health,
        /// From now on.
        to: Health,
    },
    /// Close the session. The last action of a monitor.
    Disconnect,
}

/// Watches one session. See the module's head.
#[derive(Debug)]
pub struct HealthMonitor {
    config: HealthConfig,
    health: Health,
    heard_at: Instant,
    ping_due: Instant,
    next_nonce: u64,
    pending: VecDeque<(u64, Instant)>,
    round_trip: Option<Duration>,
}

impl HealthMonitor {
    /// Starts to watch a session that has just been authenticated and so is healthy. The first ping
    /// is due at once.
    ///
    /// # Panics
    /// If the intervals of `config` are zero or not in order: such a monitor would spin, or end
    /// every session.
    #[must_use]
    pub fn new(config: HealthConfig, now: Instant) -> Self {
        assert!(
            config.is_ordered(),
            "health thresholds must satisfy 0 < heartbeat <= degraded < disconnected: {config:?}"
        );
        Self {
            config,
            health: Health::Healthy,
            heard_at: now,
            ping_due: now,
            next_nonce: 0,
            pending: VecDeque::new(),
            round_trip: None,
        }
    }

    /// Records what happened at `now`, and returns the actions that follow from it.
    pub fn on_event(&mut self, now: Instant, event: HealthEvent) -> Vec<HealthAction> {
        if self.health == Health::Disconnected {
            return Vec::new();
        }
        match event {
            HealthEvent::DeadlineReached => self.forgive_own_stall(now),
            HealthEvent::Received => self.heard_at = now,
            HealthEvent::PongReceived { nonce } => self.take_pong(now, nonce),
        }
        let mut actions = self.judge(now);
        if self.health != Health::Disconnected && self.ping_due <= now {
            actions.push(self.ping(now));
        }
        actions
    }

    /// When to report [`HealthEvent::DeadlineReached`]; `None` once disconnected.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let threshold = match self.health {
            Health::Healthy => self.config.degraded_silence,
            Health::Degraded => self.config.disconnected_silence,
            Health::Disconnected => return None,
        };
        Some(self.ping_due.min(self.heard_at + threshold))
    }

    /// The state of the other peer.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health
    }

    /// The round trip, averaged over about the last eight pings (RFC 6298's smoothing); `None`
    /// before the first answer.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Corrects the time of the last message if this process did not run for so long (a suspended
    /// laptop, a starved machine) that it could not have read an answer. Our own stall is not the
    /// other peer's silence. It counts as degraded, and the other peer gets the time from there to
    /// the last threshold.
    fn forgive_own_stall(&mut self, now: Instant) {
        let stalled = self
            .next_deadline()
            .is_some_and(|due| now >= due + self.config.heartbeat_interval);
        let silence_left = now.checked_sub(self.config.degraded_silence);
        if let (true, Some(heard_at)) = (stalled, silence_left) {
            self.heard_at = self.heard_at.max(heard_at);
        }
    }

    fn take_pong(&mut self, now: Instant, nonce: u64) {
        self.heard_at = now;
        let Some(index) = self.pending.iter().position(|(sent, _)| *sent == nonce) else {
            return;
        };
        let Some((_, sent_at)) = self.pending.remove(index) else {
            return;
        };
        let sample = now.saturating_duration_since(sent_at);
        self.round_trip = Some(
            self.round_trip
                .map_or(sample, |average| (average * 7 + sample) / 8),
        );
    }

    fn judge(&mut self, now: Instant) -> Vec<HealthAction> {
        let (from, to) = (self.health, self.health_at(now));
        if from == to {
            return Vec::new();
        }
        self.health = to;
        let mut actions = vec![HealthAction::StateChanged { from, to }];
        if to == Health::Disconnected {
            actions.push(HealthAction::Disconnect);
        }
        actions
    }

    fn health_at(&self, now: Instant) -> Health {
        let silence = now.saturating_duration_since(self.heard_at);
        let slow = self
            .round_trip
            .is_some_and(|average| average >= self.config.degraded_round_trip);
        if silence >= self.config.disconnected_silence {
            Health::Disconnected
        } else if silence >= self.config.degraded_silence || slow {
            Health::Degraded
        } else {
            Health::Healthy
        }
    }

    fn ping(&mut self, now: Instant) -> HealthAction {
        let nonce = self.next_nonce;
        self.next_nonce += 1;
        self.ping_due = now + self.config.heartbeat_interval;
        // A peer that is alive but answers no ping would let this queue grow for ever.
        if self.pending.len() == PENDING_PING_COUNT_MAX {
            self.pending.pop_front();
        }
        self.pending.push_back((nonce, now));
        HealthAction::SendPing { nonce }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const MS: Duration = Duration::from_millis(1);
    const SEC: Duration = Duration::from_secs(1);

    /// A monitor with the default thresholds (5, 10, 20 s; 2 s), whose first ping is sent.
    fn started() -> (HealthMonitor, Instant) {
        let start = Clock::system().now();
        let mut monitor = HealthMonitor::new(HealthConfig::default(), start);
        assert_eq!(monitor.next_deadline(), Some(start));
        assert_eq!(due(&mut monitor, start), [HealthAction::SendPing { nonce: 0 }]);
        (monitor, start)
    }

    fn due(monitor: &mut HealthMonitor, now: Instant) -> Vec<HealthAction> {
        monitor.on_event(now, HealthEvent::DeadlineReached)
    }

    /// Lets time pass up to and including `until`, deadline by deadline.
    fn run(monitor: &mut HealthMonitor, until: Instant) -> Vec<HealthAction> {
        let mut actions = Vec::new();
        while let Some(deadline) = monitor.next_deadline().filter(|deadline| *deadline <= until) {
            actions.extend(due(monitor, deadline));
            assert_ne!(monitor.next_deadline(), Some(deadline), "it would spin");
        }
        actions
    }

    fn changed(from: Health, to: Health) -> HealthAction {
        HealthAction::StateChanged { from, to }
    }

    #[test]
    fn a_ping_is_sent_every_interval_with_a_nonce_of_its_own() {
        let (mut monitor, start) = started();
        assert_eq!(due(&mut monitor, start + 5 * SEC - MS), []);
        assert_eq!(
            due(&mut monitor, start + 5 * SEC),
            [HealthAction::SendPing { nonce: 1 }]
        );
        assert_eq!(monitor.next_deadline(), Some(start + 10 * SEC));
    }

    #[test]
    fn a_pong_gives_the_round_trip_and_further_ones_move_the_average() {
        let (mut monitor, start) = started();
        assert_eq!(monitor.round_trip(), None);
        monitor.on_event(start + 80 * MS, HealthEvent::PongReceived { nonce: 0 });
        assert_eq!(monitor.round_trip(), Some(80 * MS));
        run(&mut monitor, start + 5 * SEC);
        monitor.on_event(start + 5 * SEC + 160 * MS, HealthEvent::PongReceived { nonce: 1 });
        assert_eq!(monitor.round_trip(), Some(90 * MS));
    }

    #[test]
    fn an_unrequested_pong_or_a_second_one_measures_nothing() {
        let (mut monitor, start) = started();
        monitor.on_event(start + MS, HealthEvent::PongReceived { nonce: 1 });
        assert_eq!(monitor.round_trip(), None);
        monitor.on_event(start + 2 * MS, HealthEvent::PongReceived { nonce: 0 });
        monitor.on_event(start + 900 * MS, HealthEvent::PongReceived { nonce: 0 });
        assert_eq!(monitor.round_trip(), Some(2 * MS));
    }

    #[test]
    fn silence_degrades_at_its_threshold_and_not_a_millisecond_before() {
        let (mut monitor, start) = started();
        run(&mut monitor, start + 10 * SEC - MS);
        assert_eq!(due(&mut monitor, start + 10 * SEC - MS), []);
        assert_eq!(monitor.health(), Health::Healthy);
        let actions = due(&mut monitor, start + 10 * SEC);
        assert_eq!(actions.first(), Some(&changed(Health::Healthy, Health::Degraded)));
    }

    #[test]
    fn silence_disconnects_at_its_threshold_and_not_a_millisecond_before() {
        let (mut monitor, start) = started();
        run(&mut monitor, start + 20 * SEC - MS);
        assert_eq!(due(&mut monitor, start + 20 * SEC - MS), []);
        assert_eq!(monitor.health(), Health::Degraded);
        let expected = [
            changed(Health::Degraded, Health::Disconnected),
            HealthAction::Disconnect,
        ];
        assert_eq!(due(&mut monitor, start + 20 * SEC), expected);
    }

    #[test]
    fn a_disconnected_monitor_does_nothing_more() {
        let (mut monitor, start) = started();
        run(&mut monitor, start + 20 * SEC);
        assert_eq!(monitor.next_deadline(), None);
        assert_eq!(monitor.on_event(start + 21 * SEC, HealthEvent::Received), []);
        assert_eq!(monitor.health(), Health::Disconnected);
    }

    #[test]
    fn anything_received_makes_a_silent_peer_healthy_again() {
        let (mut monitor, start) = started();
        run(&mut monitor, start + 12 * SEC);
        let actions = monitor.on_event(start + 13 * SEC, HealthEvent::Received);
        assert_eq!(actions, [changed(Health::Degraded, Health::Healthy)]);
        assert_eq!(monitor.next_deadline(), Some(start + 15 * SEC));
    }

    #[test]
    fn a_slow_round_trip_degrades_at_its_threshold_and_not_a_millisecond_before() {
        let (mut monitor, start) = started();
        let mut slower = HealthMonitor::new(HealthConfig::default(), start);
        due(&mut slower, start);
        let pong = HealthEvent::PongReceived { nonce: 0 };
        assert_eq!(monitor.on_event(start + 2 * SEC - MS, pong), []);
        assert_eq!(
            slower.on_event(start + 2 * SEC, pong),
            [changed(Health::Healthy, Health::Degraded)]
        );
    }

    #[test]
    fn a_peer_that_answers_no_ping_but_sends_messages_stays_healthy_in_bounded_memory() {
        let (mut monitor, start) = started();
        for seconds in 0..1_000 {
            let now = start + seconds * SEC;
            run(&mut monitor, now);
            monitor.on_event(now, HealthEvent::Received);
        }
        assert_eq!(monitor.health(), Health::Healthy);
        assert_eq!(monitor.pending.len(), PENDING_PING_COUNT_MAX);
    }

    #[test]
    fn the_latest_pings_up_to_the_limit_can_be_answered_late_and_an_older_one_not() {
        let (mut monitor, start) = started();
        for seconds in (5..=40).step_by(5) {
            monitor.on_event(start + seconds * SEC, HealthEvent::Received);
        }
        monitor.on_event(start + 41 * SEC, HealthEvent::PongReceived { nonce: 0 });
        assert_eq!(monitor.round_trip(), None);
        monitor.on_event(start + 41 * SEC, HealthEvent::PongReceived { nonce: 1 });
        assert_eq!(monitor.round_trip(), Some(36 * SEC));
    }

    #[test]
    fn our_own_stall_does_not_count_as_silence_of_the_other_peer() {
        let (mut monitor, start) = started();
        let woken = start + 3600 * SEC;
        let expected = [
            changed(Health::Healthy, Health::Degraded),
            HealthAction::SendPing { nonce: 1 },
        ];
        assert_eq!(due(&mut monitor, woken), expected);
        run(&mut monitor, woken + 10 * SEC - MS);
        assert_eq!(monitor.health(), Health::Degraded);
        run(&mut monitor, woken + 10 * SEC);
        assert_eq!(monitor.health(), Health::Disconnected);
    }

    #[test]
    #[should_panic(expected = "0 < heartbeat <= degraded < disconnected")]
    fn thresholds_out_of_order_are_refused() {
        let config = HealthConfig {
            degraded_silence: 20 * SEC,
            ..HealthConfig::default()
        };
        drop(HealthMonitor::new(config, Clock::system().now()));
    }
}
