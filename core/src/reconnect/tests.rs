//! The reconnect machine alone, and two of them facing each other, in made-up time.

use proptest::prelude::*;

use super::*;
use crate::clock::Clock;

const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);
const SEED: u64 = 7;

const LOOK_UP_FAILED: ReconnectEvent = ReconnectEvent::LookUpFailed { retry_after: None };

fn lost(role: Role) -> (Reconnect, Instant, Vec<ReconnectAction>) {
    let start = Clock::system().now();
    let mut reconnect = Reconnect::new(ReconnectConfig::default(), role, SEED);
    let actions = reconnect.on_event(start, ReconnectEvent::Disconnected);
    (reconnect, start, actions)
}

/// Fails the attempt that is under way at `now`, and returns when the next one starts.
fn fail(reconnect: &mut Reconnect, now: Instant, looked_up: ReconnectEvent) -> Option<Instant> {
    reconnect.on_event(now, looked_up);
    let actions = reconnect.on_event(now, ReconnectEvent::DialFailed);
    match actions.as_slice() {
        [ReconnectAction::Wait { until, .. }] => Some(*until),
        _ => None,
    }
}

/// The delays between all attempts of an initiator that reaches nobody, until it gives up.
fn delays(seed: u64) -> Vec<Duration> {
    let mut now = Clock::system().now();
    let mut reconnect = Reconnect::new(ReconnectConfig::default(), Role::Initiator, seed);
    reconnect.on_event(now, ReconnectEvent::Disconnected);
    let mut delays = Vec::new();
    while let Some(until) = fail(&mut reconnect, now, ReconnectEvent::LookedUp) {
        delays.push(until - now);
        now = until;
        reconnect.on_event(now, ReconnectEvent::DeadlineReached);
    }
    delays
}

#[test]
fn the_lower_fingerprint_initiates() {
    let (low, high) = (Fingerprint::from_bytes([1; 20]), Fingerprint::from_bytes([2; 20]));
    assert_eq!(
        (Role::of(&low, &high), Role::of(&high, &low)),
        (Role::Initiator, Role::Responder)
    );
}

#[test]
fn the_initiator_asks_the_relay_at_once_then_dials_what_it_found() {
    let (mut reconnect, start, actions) = lost(Role::Initiator);
    assert_eq!(actions, [ReconnectAction::LookUp { attempt: 1 }]);
    let actions = reconnect.on_event(start + MS, ReconnectEvent::LookedUp);
    assert_eq!(
        actions,
        [ReconnectAction::Dial {
            attempt: 1,
            addresses: AddressSource::LookedUp
        }]
    );
    let actions = reconnect.on_event(start + 2 * MS, ReconnectEvent::DialSucceeded);
    assert_eq!(actions, [ReconnectAction::Reconnected { attempt_count: 1 }]);
    assert_eq!(reconnect.next_deadline(), None);
}

#[test]
fn the_responder_waits_until_its_patience_ends_and_not_a_millisecond_less() {
    let (mut reconnect, start, actions) = lost(Role::Responder);
    assert_eq!(
        actions,
        [ReconnectAction::Wait {
            attempt: 1,
            until: start + RECONNECT_PATIENCE
        }]
    );
    let almost = start + RECONNECT_PATIENCE - MS;
    assert_eq!(reconnect.on_event(almost, ReconnectEvent::DeadlineReached), []);
    let actions = reconnect.on_event(start + RECONNECT_PATIENCE, ReconnectEvent::DeadlineReached);
    assert_eq!(actions, [ReconnectAction::LookUp { attempt: 1 }]);
}

#[test]
fn without_help_from_the_relay_the_last_known_addresses_are_dialled() {
    let (mut reconnect, start, _) = lost(Role::Initiator);
    let actions = reconnect.on_event(start, LOOK_UP_FAILED);
    assert_eq!(
        actions,
        [ReconnectAction::Dial {
            attempt: 1,
            addresses: AddressSource::LastKnown
        }]
    );
}

#[test]
fn the_relay_is_asked_again_at_each_attempt() {
    let (mut reconnect, start, _) = lost(Role::Initiator);
    let until = fail(&mut reconnect, start, ReconnectEvent::LookedUp).expect("a second attempt");
    assert_eq!(reconnect.next_deadline(), Some(until));
    let actions = reconnect.on_event(until, ReconnectEvent::DeadlineReached);
    assert_eq!(actions, [ReconnectAction::LookUp { attempt: 2 }]);
}

#[test]
fn delays_double_up_to_their_limit_and_there_are_ten_attempts() {
    let delays = delays(SEED);
    let full = [1, 2, 4, 8, 16, 30, 30, 30, 30];
    assert_eq!(delays.len(), full.len());
    for (delay, full) in delays.iter().zip(full) {
        assert!(
            (full * SEC / 2..=full * SEC).contains(delay),
            "{delay:?} of {full} s, seed {SEED}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_delays_and_another_gives_others() {
    assert_eq!(delays(SEED), delays(SEED));
    assert_ne!(delays(SEED), delays(SEED + 1));
}

#[test]
fn the_tenth_failure_gives_up_and_the_ninth_does_not() {
    let config = ReconnectConfig {
        delay_first: Duration::ZERO,
        ..ReconnectConfig::default()
    };
    let mut reconnect = Reconnect::new(config, Role::Initiator, SEED);
    let now = Clock::system().now();
    reconnect.on_event(now, ReconnectEvent::Disconnected);
    for attempt in 1..10 {
        assert!(
            fail(&mut reconnect, now, LOOK_UP_FAILED).is_some(),
            "attempt {attempt}"
        );
        reconnect.on_event(now, ReconnectEvent::DeadlineReached);
    }
    reconnect.on_event(now, LOOK_UP_FAILED);
    let actions = reconnect.on_event(now, ReconnectEvent::DialFailed);
    assert_eq!(actions, [ReconnectAction::GiveUp { attempt_count: 10 }]);
    assert_eq!(reconnect.next_deadline(), None);
}

#[test]
fn the_other_peer_may_dial_after_the_last_attempt_failed() {
    let config = ReconnectConfig {
        attempt_count_max: 1,
        ..ReconnectConfig::default()
    };
    let mut reconnect = Reconnect::new(config, Role::Initiator, SEED);
    let now = Clock::system().now();
    reconnect.on_event(now, ReconnectEvent::Disconnected);
    assert_eq!(fail(&mut reconnect, now, LOOK_UP_FAILED), None);
    let actions = reconnect.on_event(now, ReconnectEvent::Accepted);
    assert_eq!(actions, [ReconnectAction::Reconnected { attempt_count: 1 }]);
}

#[test]
fn a_busy_relay_is_asked_again_no_sooner_than_its_retry_after_and_delays_no_dial() {
    let (mut reconnect, start, _) = lost(Role::Initiator);
    let busy = ReconnectEvent::LookUpFailed {
        retry_after: Some(45 * SEC),
    };
    let mut now = fail(&mut reconnect, start, busy).expect("a second attempt");
    assert!(now <= start + SEC, "the other peer may be where it was");
    while now < start + 45 * SEC {
        let actions = reconnect.on_event(now, ReconnectEvent::DeadlineReached);
        let [ReconnectAction::Dial { addresses, .. }] = actions[..] else {
            panic!("{actions:?}")
        };
        assert_eq!(addresses, AddressSource::LastKnown);
        now = fail(&mut reconnect, now, LOOK_UP_FAILED).expect("another attempt");
    }
    let actions = reconnect.on_event(now, ReconnectEvent::DeadlineReached);
    assert!(
        matches!(actions[..], [ReconnectAction::LookUp { .. }]),
        "{actions:?}"
    );
}

#[test]
fn the_last_attempt_waits_until_a_busy_relay_can_be_asked() {
    let (mut reconnect, start, _) = lost(Role::Initiator);
    let busy = ReconnectEvent::LookUpFailed {
        retry_after: Some(600 * SEC),
    };
    let mut now = fail(&mut reconnect, start, busy).expect("a second attempt");
    for _ in 2..RECONNECT_ATTEMPT_COUNT_MAX {
        reconnect.on_event(now, ReconnectEvent::DeadlineReached);
        now = fail(&mut reconnect, now, LOOK_UP_FAILED).expect("another attempt");
    }
    assert_eq!(now, start + 600 * SEC);
    let actions = reconnect.on_event(now, ReconnectEvent::DeadlineReached);
    let attempt = RECONNECT_ATTEMPT_COUNT_MAX;
    assert_eq!(actions, [ReconnectAction::LookUp { attempt }]);
}

#[test]
fn an_attempt_that_hangs_is_abandoned_at_its_time_limit_and_not_a_millisecond_before() {
    let (mut reconnect, start, _) = lost(Role::Initiator);
    reconnect.on_event(start + 20 * SEC, ReconnectEvent::LookedUp);
    let almost = start + RECONNECT_ATTEMPT_TIMEOUT - MS;
    assert_eq!(reconnect.on_event(almost, ReconnectEvent::DeadlineReached), []);
    let actions = reconnect.on_event(start + RECONNECT_ATTEMPT_TIMEOUT, ReconnectEvent::DeadlineReached);
    assert!(matches!(
        actions[..],
        [ReconnectAction::Abandon, ReconnectAction::Wait { attempt: 2, .. }]
    ));
}

#[test]
fn the_other_peer_arriving_ends_an_attempt_under_way() {
    let (mut reconnect, start, _) = lost(Role::Initiator);
    let actions = reconnect.on_event(start, ReconnectEvent::Accepted);
    assert_eq!(
        actions,
        [
            ReconnectAction::Abandon,
            ReconnectAction::Reconnected { attempt_count: 1 }
        ]
    );
}

#[test]
fn stopping_leaves_nothing_under_way() {
    let (mut reconnect, start, _) = lost(Role::Initiator);
    assert_eq!(
        reconnect.on_event(start, ReconnectEvent::Stop),
        [ReconnectAction::Abandon]
    );
    assert_eq!(reconnect.next_deadline(), None);
    let (mut reconnect, start, _) = lost(Role::Responder);
    assert_eq!(reconnect.on_event(start, ReconnectEvent::Stop), []);
    assert_eq!(reconnect.next_deadline(), None);
}

#[test]
fn reports_that_come_too_late_are_ignored() {
    let (mut reconnect, start, _) = lost(Role::Responder);
    for event in [
        ReconnectEvent::LookedUp,
        LOOK_UP_FAILED,
        ReconnectEvent::DialFailed,
        ReconnectEvent::DialSucceeded,
    ] {
        assert_eq!(reconnect.on_event(start, event), [], "{event:?}");
    }
    assert_eq!(reconnect.next_deadline(), Some(start + RECONNECT_PATIENCE));
}

#[test]
fn a_second_loss_starts_again_from_the_first_attempt() {
    let (mut reconnect, start, _) = lost(Role::Initiator);
    let until = fail(&mut reconnect, start, LOOK_UP_FAILED).expect("a second attempt");
    reconnect.on_event(until, ReconnectEvent::Accepted);
    let actions = reconnect.on_event(until + SEC, ReconnectEvent::Disconnected);
    assert_eq!(actions, [ReconnectAction::LookUp { attempt: 1 }]);
}

/// Which side can reach the other, from what time after the loss.
#[derive(Debug, Clone, Copy)]
struct Reach {
    initiator_from: Duration,
    responder_from: Duration,
}

/// How many times each side dialled until they met, and when that was; `None` if both gave up.
fn meet(reach: Reach, seed: u64) -> (u32, u32, Option<Duration>) {
    let start = Clock::system().now();
    let config = ReconnectConfig::default();
    let mut sides = [
        (
            Reconnect::new(config, Role::Initiator, seed),
            reach.initiator_from,
            0,
        ),
        (
            Reconnect::new(config, Role::Responder, seed ^ u64::MAX),
            reach.responder_from,
            0,
        ),
    ];
    let mut events = [ReconnectEvent::Disconnected; 2];
    let mut now = start;
    loop {
        for ((reconnect, from, dial_count), event) in sides.iter_mut().zip(events) {
            if step(reconnect, now, event, dial_count) && now - start >= *from {
                return (sides[0].2, sides[1].2, Some(now - start));
            }
        }
        let Some(next) = sides
            .iter()
            .filter_map(|(reconnect, ..)| reconnect.next_deadline())
            .min()
        else {
            return (sides[0].2, sides[1].2, None);
        };
        (now, events) = (next, [ReconnectEvent::DeadlineReached; 2]);
    }
}

/// Reports an event to one side. A dial that it starts fails after one second. Returns whether it
/// dialled.
fn step(reconnect: &mut Reconnect, now: Instant, event: ReconnectEvent, dial_count: &mut u32) -> bool {
    let looks_up = reconnect.on_event(now, event);
    if !matches!(looks_up[..], [ReconnectAction::LookUp { .. }]) {
        return false;
    }
    reconnect.on_event(now, ReconnectEvent::LookedUp);
    reconnect.on_event(now + SEC, ReconnectEvent::DialFailed);
    *dial_count += 1;
    true
}

#[test]
fn a_firewall_in_front_of_the_responder_is_passed_by_its_own_dial() {
    let reach = Reach {
        initiator_from: Duration::MAX,
        responder_from: Duration::ZERO,
    };
    let (_, responder_dials, met) = meet(reach, SEED);
    assert_eq!((responder_dials, met), (1, Some(RECONNECT_PATIENCE)));
}

#[test]
fn two_peers_that_never_reach_each_other_dial_ten_times_each() {
    let reach = Reach {
        initiator_from: Duration::MAX,
        responder_from: Duration::MAX,
    };
    assert_eq!(meet(reach, SEED), (10, 10, None));
}

proptest! {
    #[test]
    fn exactly_one_side_dials_when_nothing_is_in_the_way(seed: u64) {
        let reach = Reach { initiator_from: Duration::ZERO, responder_from: Duration::ZERO };
        prop_assert_eq!(meet(reach, seed), (1, 0, Some(Duration::ZERO)));
    }

    #[test]
    fn only_the_initiator_dials_while_the_responder_is_patient(seed: u64, cut_ms in 0..1_500_u64) {
        let healed = Duration::from_millis(cut_ms);
        let (_, responder_dials, met) = meet(Reach { initiator_from: healed, responder_from: healed }, seed);
        prop_assert_eq!(responder_dials, 0);
        prop_assert!(met.is_some_and(|met| met <= RECONNECT_PATIENCE));
    }

    #[test]
    fn peers_meet_again_after_any_cut_under_a_minute(seed: u64, cut_ms in 0..60_000_u64) {
        let healed = Duration::from_millis(cut_ms);
        let (_, _, met) = meet(Reach { initiator_from: healed, responder_from: healed }, seed);
        let latest = healed + RECONNECT_DELAY_MAX + SEC;
        prop_assert!(met.is_some_and(|met| met <= latest), "met {met:?}, at the latest {latest:?}");
    }

    #[test]
    fn no_order_of_events_makes_the_machine_spin_or_exceed_its_attempts(seed: u64, choices in prop::collection::vec(0..8_usize, 0..200)) {
        let mut reconnect = Reconnect::new(ReconnectConfig::default(), Role::Responder, seed);
        let mut now = Clock::system().now();
        for choice in choices {
            reconnect.on_event(now, any_event(choice));
            prop_assert!(reconnect.attempt_count <= RECONNECT_ATTEMPT_COUNT_MAX);
            now = reconnect.next_deadline().unwrap_or(now);
            reconnect.on_event(now, ReconnectEvent::DeadlineReached);
            prop_assert!(reconnect.next_deadline().is_none_or(|next| next > now), "it would spin");
        }
    }
}

fn any_event(choice: usize) -> ReconnectEvent {
    [
        ReconnectEvent::Disconnected,
        ReconnectEvent::DeadlineReached,
        ReconnectEvent::LookedUp,
        ReconnectEvent::LookUpFailed {
            retry_after: Some(SEC),
        },
        ReconnectEvent::DialSucceeded,
        ReconnectEvent::DialFailed,
        ReconnectEvent::Accepted,
        ReconnectEvent::Stop,
    ][choice % 8]
}
