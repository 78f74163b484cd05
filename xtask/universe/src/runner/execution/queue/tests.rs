//! Orders, rounds, copies and retries, without a process.

use std::time::Duration;

use super::*;
use crate::base::clock;
use crate::select::demand::Company;

/// A queue of `count` plain tests.
fn queue(count: usize, rounds: u32, copies: u32, slots: usize) -> Queue {
    demanding(vec![Demand::default(); count], rounds, copies, slots)
}

fn demanding(demands: Vec<Demand>, rounds: u32, copies: u32, slots: usize) -> Queue {
    let order = (0..demands.len()).collect();
    let rounds = Rounds::new(order, None, Some(rounds), None);
    Queue::new(rounds, copies, demands, Slots::new(slots, vec![1]))
}

/// Starts what it can and ends each at once, until nothing is left: (number, round) in the order of
/// the starts.
fn all(queue: &mut Queue) -> Vec<(usize, u32)> {
    let mut seen = Vec::new();
    loop {
        let started = queue.start(clock::now());
        if started.is_empty() {
            return seen;
        }
        for ticket in started {
            seen.push((ticket.number, ticket.round));
            queue.ended(ticket);
        }
    }
}

#[test]
fn every_slot_is_used_and_the_next_test_takes_the_slot_of_the_first_to_end() {
    let mut queue = queue(3, 1, 1, 2);
    let started = queue.start(clock::now());
    assert_eq!(
        started.iter().map(|t| (t.number, t.slot)).collect::<Vec<_>>(),
        [(0, 0), (1, 1)]
    );
    assert!(queue.start(clock::now()).is_empty());
    queue.ended(started[1]);
    assert_eq!(queue.start(clock::now())[0].slot, 1);
}

#[test]
fn every_test_runs_once_in_every_round() {
    assert_eq!(all(&mut queue(2, 2, 1, 1)), [(0, 1), (1, 1), (0, 2), (1, 2)]);
}

#[test]
fn copies_start_together_and_count_as_rounds() {
    let mut queue = queue(1, 2, 3, 4);
    let started = queue.start(clock::now());
    assert_eq!(started.iter().map(|t| t.round).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(started.iter().map(|t| t.slot).collect::<Vec<_>>(), [0, 1, 2]);
    started[..2].iter().for_each(|ticket| queue.ended(*ticket));
    assert_eq!(
        queue
            .start(clock::now())
            .iter()
            .map(|t| t.round)
            .collect::<Vec<_>>(),
        [4, 5, 6]
    );
}

#[test]
fn copies_of_an_exclusive_test_run_one_after_the_other() {
    let alone = Demand {
        company: Company::None,
        ..Demand::default()
    };
    let mut queue = demanding(vec![alone], 1, 3, 4);
    assert_eq!(queue.start(clock::now()).len(), 1);
    let mut queue = demanding(vec![alone], 1, 3, 4);
    assert_eq!(all(&mut queue), [(0, 1), (0, 2), (0, 3)]);
}

#[test]
fn a_full_group_is_passed_over_and_a_heavy_test_is_not() {
    let grouped = Demand {
        group: Some(0),
        ..Demand::default()
    };
    let heavy = Demand {
        weight: 3,
        ..Demand::default()
    };
    let mut queue = demanding(
        vec![grouped, grouped, Demand::default(), heavy, Demand::default()],
        1,
        1,
        3,
    );
    let numbers = |started: &[Ticket]| started.iter().map(|t| t.number).collect::<Vec<_>>();
    let first = queue.start(clock::now());
    assert_eq!(numbers(&first), [0, 2]);
    queue.ended(first[1]);
    assert!(
        queue.start(clock::now()).is_empty(),
        "the last would make the heavy one wait"
    );
    queue.ended(first[0]);
    assert_eq!(
        numbers(&queue.start(clock::now())),
        [1],
        "then the heavy one is next"
    );
}

#[test]
fn a_retry_waits_for_its_time_and_then_goes_first() {
    let mut queue = queue(3, 1, 1, 1);
    let now = clock::now();
    let first = queue.start(now)[0];
    queue.ended(first);
    let later = now + Duration::from_secs(1);
    queue.retry(first, later);
    let second = queue.start(now)[0];
    assert_eq!((second.number, queue.wake()), (1, Some(later)));
    queue.ended(second);
    let again = queue.start(later)[0];
    assert_eq!((again.number, again.attempt, queue.wake()), (0, 2, None));
}

#[test]
fn after_the_time_is_up_only_the_first_round_goes_on() {
    let (now, order) = (clock::now(), (0..3).collect());
    let until = now + Duration::from_secs(1);
    let rounds = Rounds::new(order, None, None, Some(until));
    let mut queue = Queue::new(rounds, 1, vec![Demand::default(); 3], Slots::new(1, vec![]));
    for _ in 0..4 {
        let ticket = queue.start(now)[0];
        queue.ended(ticket);
    }
    assert!(queue.start(until).is_empty(), "two of the second round are left");
}

#[test]
fn after_a_stop_nothing_starts() {
    let mut queue = queue(3, 2, 1, 1);
    let ticket = queue.start(clock::now())[0];
    queue.ended(ticket);
    queue.retry(ticket, clock::now());
    queue.stop();
    assert!(queue.start(clock::now()).is_empty() && queue.wake().is_none());
}

/// Invariants under every mix of demands, copies and ends, from a seed.
#[test]
fn for_any_demands_every_test_runs_as_often_as_asked_within_all_limits() {
    for seed in 0..200 {
        let mut random = shuffle_stream(seed);
        let demands: Vec<Demand> = (0..12).map(|_| demand(&mut random)).collect();
        let (slots, copies) = (1 + random() % 5, 1 + u32::try_from(random() % 3).unwrap());
        let slots = slots.max(copies as usize);
        let mut queue = demanding(demands.clone(), 2, copies, slots);
        let (mut running, mut seen): (Vec<Ticket>, Vec<(usize, u32)>) = (Vec::new(), Vec::new());
        loop {
            running.extend(queue.start(clock::now()));
            check(&running, &demands, slots);
            if running.is_empty() {
                break;
            }
            let ended = running.swap_remove(random() % running.len());
            seen.push((ended.number, ended.round));
            queue.ended(ended);
        }
        seen.sort_unstable();
        let expected: Vec<_> = (0..12)
            .flat_map(|n| (1..=2 * copies).map(move |r| (n, r)))
            .collect();
        assert_eq!(seen, expected, "seed {seed}");
    }
}

fn shuffle_stream(seed: u64) -> impl FnMut() -> usize {
    let mut state = seed;
    move || {
        state = crate::select::shuffle::seed_of_round(state, 2);
        usize::try_from(state % 1000).unwrap()
    }
}

fn demand(random: &mut impl FnMut() -> usize) -> Demand {
    Demand {
        weight: 1 + random() % 3,
        group: random().is_multiple_of(3).then_some(0),
        company: match random() % 5 {
            0 => Company::None,
            _ => Company::Any,
        },
    }
}

fn check(running: &[Ticket], demands: &[Demand], slots: usize) {
    let mut taken: Vec<usize> = running.iter().map(|ticket| ticket.slot).collect();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), running.len(), "no two have the same slot");
    assert!(taken.iter().all(|slot| *slot < slots));
    let of = |ticket: &Ticket| demands[ticket.number];
    assert!(running.len() < 2 || running.iter().all(|t| of(t).company == Company::Any));
    assert!(running.iter().filter(|t| of(t).group.is_some()).count() <= 1);
}
