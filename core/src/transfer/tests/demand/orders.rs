//! Which orders a demand gives out, how many at once, and which waiting reads are answered.

use std::ops::Range;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::super::super::demand::{LaneRoom, OrderKind};
use super::super::super::protocol::Request;
use super::super::{GROUP, lane_pair};
use super::{Reader, await_outcome, shared};
use crate::catalog::ContentId;
use crate::limits::{
    DEMAND_AHEAD_COUNT_MAX, DEMAND_PIPELINE_LEN_MAX, LANE_FRAME_LEN_MAX, READ_AGAIN_DELAY_MAX, READ_PATIENCE,
};
use crate::session::wire::read_blocking;
use crate::store::GROUP_LEN;
use crate::transfer::{FetchFault, Patience, Plan, Waiter, WorkersToStart, supply};

#[test]
fn a_late_refusal_does_not_fail_a_new_read() {
    let root = tempfile::tempdir().unwrap();
    let (_, holder) = shared(root.path(), 3 * GROUP);
    let reader = Reader::new();
    let lane = reader.demand.enlist();
    let mut file = reader.open(holder.source.content);
    let (_, first) = file.start(0..5);
    let take = || reader.demand.take(lane, LaneRoom::Any).unwrap();
    let refused = [take(), take()];
    reader.demand.fail(&refused[0], &FetchFault::NotHeld);
    assert_eq!(await_outcome(&first), Err(FetchFault::NotHeld));
    let (_, second) = file.start(0..5);
    reader.demand.fail(&refused[1], &FetchFault::NotHeld);
    assert!(second.try_recv().is_err());
}

#[test]
fn bytes_wait_for_the_outline_unless_they_follow_it_on_the_same_lane() {
    let root = tempfile::tempdir().unwrap();
    let (_, holder) = shared(root.path(), 3 * GROUP);
    let reader = Reader::new();
    let lanes = [reader.demand.enlist(), reader.demand.enlist()];
    let mut file = reader.open(holder.source.content);
    let (_, _outcome) = file.start(0..5);
    let outline = reader.demand.take(lanes[0], LaneRoom::Any).unwrap();
    assert!(matches!(outline.kind, OrderKind::Outline));
    assert!(reader.demand.take(lanes[1], LaneRoom::Any).is_none());
    let bytes = reader.demand.take(lanes[0], LaneRoom::Any).unwrap();
    assert!(matches!(bytes.kind, OrderKind::Blocks { group: 0, .. }));
    file.cached.outlined(holder.source.outline.clone());
    reader.demand.outlined(&outline);
    let ahead = reader.demand.take(lanes[1], LaneRoom::Any).unwrap();
    assert!(matches!(ahead.kind, OrderKind::Blocks { group: 1, .. }) && !ahead.urgent);
}

#[test]
fn a_read_of_the_whole_content_waits_as_long_as_something_arrives() {
    let root = tempfile::tempdir().unwrap();
    let (_, holder) = shared(root.path(), 3 * GROUP);
    let reader = Reader::new();
    let lane = reader.demand.enlist();
    let file = reader.open(holder.source.content);
    file.cached.outlined(holder.source.outline.clone());
    let (sender, outcome) = channel();
    let since = reader.clock.now();
    let waiter = Waiter {
        range: 0..3 * GROUP_LEN,
        since,
        patience: Patience::WithProgress,
        done: Box::new(move |outcome| sender.send(outcome).unwrap()),
    };
    let _ = reader.demand.read_all(&file.cached, waiter);
    let order = reader.demand.take(lane, LaneRoom::Any).unwrap();
    let progressed_at = since + READ_PATIENCE / 2;
    reader.demand.arrived(&order, 0, progressed_at);
    assert_eq!(
        reader.demand.expire(since + READ_PATIENCE),
        Some(progressed_at + READ_PATIENCE)
    );
    assert!(outcome.try_recv().is_err());
    assert_eq!(reader.demand.expire(progressed_at + READ_PATIENCE), None);
    assert_eq!(await_outcome(&outcome), Err(FetchFault::TimedOut));
}

#[test]
fn a_read_of_a_range_that_just_timed_out_times_out_at_once() {
    let root = tempfile::tempdir().unwrap();
    let (_, holder) = shared(root.path(), 3 * GROUP);
    let reader = Reader::new();
    let file = reader.open(holder.source.content);
    let ask = |range: Range<u64>, since| {
        let (sender, outcome) = channel();
        let plan = Plan {
            now: range.clone(),
            ahead: 0..0,
        };
        let waiter = Waiter {
            range,
            since,
            patience: Patience::InAll,
            done: Box::new(move |outcome| sender.send(outcome).unwrap()),
        };
        (reader.demand.read(&file.cached, &plan, waiter), outcome)
    };
    let since = reader.clock.now();
    let (_, first) = ask(0..100, since);
    let gave_up_at = since + READ_PATIENCE;
    assert_eq!(reader.demand.expire(gave_up_at), None);
    assert_eq!(await_outcome(&first), Err(FetchFault::TimedOut));
    let (started, again) = ask(50..60, gave_up_at + READ_AGAIN_DELAY_MAX);
    assert_eq!(await_outcome(&again), Err(FetchFault::TimedOut));
    assert_eq!(started, WorkersToStart::default());
    let (_, later) = ask(
        50..60,
        gave_up_at + READ_AGAIN_DELAY_MAX + Duration::from_millis(1),
    );
    let (_, elsewhere) = ask(100..200, gave_up_at);
    assert!(later.try_recv().is_err() && elsewhere.try_recv().is_err());
}

#[test]
fn blocks_to_be_read_ahead_of_a_closed_file_are_not_fetched() {
    let root = tempfile::tempdir().unwrap();
    let (_, holder) = shared(root.path(), 9 * GROUP);
    let reader = Reader::new();
    let lane = reader.demand.enlist();
    let mut file = reader.open(holder.source.content);
    file.cached.outlined(holder.source.outline.clone());
    let _ = reader.demand.read_ahead(&file.cached, 0..9 * GROUP_LEN);
    reader.demand.forget_ahead(&holder.source.content);
    assert!(reader.demand.take(lane, LaneRoom::Any).is_none());
    let _ = reader.demand.read_ahead(&file.cached, 0..9 * GROUP_LEN);
    let (_, _outcome) = file.start(5..6);
    reader.demand.forget_ahead(&holder.source.content);
    assert!(reader.demand.take(lane, LaneRoom::Any).is_some());
}

#[test]
fn only_the_reads_that_wait_too_long_time_out() {
    let root = tempfile::tempdir().unwrap();
    let (_, holder) = shared(root.path(), 9 * GROUP);
    let reader = Reader::new();
    let mut file = reader.open(holder.source.content);
    let now = reader.clock.now();
    let (started, outcome) = file.start(0..5);
    assert!(started.timer && started.worker);
    assert!(reader.demand.expire(now).unwrap() >= now + READ_PATIENCE);
    assert!(outcome.try_recv().is_err());
    assert_eq!(reader.demand.expire(reader.clock.now() + READ_PATIENCE), None);
    assert_eq!(await_outcome(&outcome), Err(FetchFault::TimedOut));
    let (started, _outcome) = file.start(5..9);
    assert!(started.timer, "the timer had ended");
    drop(file);
    reader.close([]);
}

#[test]
fn closing_fails_waiting_reads_and_refuses_new_ones() {
    let root = tempfile::tempdir().unwrap();
    let (_, holder) = shared(root.path(), 9 * GROUP);
    let reader = Reader::new();
    let mut file = reader.open(holder.source.content);
    let (_, outcome) = file.start(0..5);
    reader.demand.close();
    assert_eq!(await_outcome(&outcome), Err(FetchFault::Closed));
    assert_eq!(file.read(0..5), Err(FetchFault::Closed));
}

#[test]
fn the_last_worker_without_a_lane_fails_all_waiting_reads() {
    let root = tempfile::tempdir().unwrap();
    let (_, holder) = shared(root.path(), 9 * GROUP);
    let reader = Reader::new();
    let mut file = reader.open(holder.source.content);
    let (started, outcome) = file.start(0..5);
    let (second, _outcome) = file.start(4 * GROUP_LEN..4 * GROUP_LEN + 5);
    assert!(started.worker && second.worker);
    reader.demand.abandon(&FetchFault::Unreachable);
    assert!(outcome.try_recv().is_err());
    reader.demand.abandon(&FetchFault::Unreachable);
    assert_eq!(await_outcome(&outcome), Err(FetchFault::Unreachable));
    let (to_start, _outcome) = file.start(0..5);
    assert!(to_start.worker, "the last worker is no longer counted");
    drop(file);
    reader.close([]);
}

#[test]
fn groups_to_be_read_ahead_are_remembered_up_to_the_limit() {
    let reader = Reader::new();
    let content = ContentId {
        hash: [1; 32],
        len: 1 << 40,
    };
    let file = reader.open(content);
    let end = (DEMAND_AHEAD_COUNT_MAX as u64 + 1) * GROUP_LEN;
    let _ = reader.demand.read_ahead(&file.cached, 0..end);
    let lane = reader.demand.enlist();
    let groups = std::iter::from_fn(|| reader.demand.take(lane, LaneRoom::Any));
    assert_eq!(
        groups.count(),
        DEMAND_AHEAD_COUNT_MAX + 1,
        "an outline and the groups up to the limit"
    );
}

#[test]
fn bytes_in_flight_are_limited_to_what_an_urgent_read_can_wait_for() {
    let root = tempfile::tempdir().unwrap();
    let (_, holder) = shared(root.path(), 9 * GROUP);
    let reader = Reader::new();
    let file = reader.open(holder.source.content);
    file.cached.outlined(holder.source.outline.clone());
    let _ = reader.demand.read_ahead(&file.cached, 0..9 * GROUP_LEN);
    let (mut reading, mut serving) = lane_pair();
    let closer = reading.closer().unwrap();
    let (demand, watcher, clock) = (
        reader.demand.clone(),
        reader.watcher.clone(),
        reader.clock.clone(),
    );
    let worker = thread::spawn(move || supply(&mut reading, &demand, watcher.as_ref(), &clock));
    let mut asked_len = 0;
    // All requests leave together, so none is missing when the lane is cut after the first.
    while let Ok(Request::Bytes { len, .. }) = read_blocking(&mut serving, LANE_FRAME_LEN_MAX) {
        asked_len += u64::from(len);
        closer.close();
    }
    assert!(worker.join().unwrap().is_err());
    assert_eq!(asked_len, DEMAND_PIPELINE_LEN_MAX);
}
