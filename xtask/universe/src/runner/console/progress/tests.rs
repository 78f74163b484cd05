//! The rows for a terminal of any size, and the time that is left.

use super::*;
use crate::base::clock;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn forecast(usual: &[Option<u64>], jobs: usize) -> Forecast {
    Forecast {
        tests: usual.iter().map(|usual| (1, usual.map(seconds))).collect(),
        rounds: Rounds::Counted,
        jobs,
    }
}

fn start(progress: &mut Progress, number: usize, name: &str) {
    progress.started(&Started {
        slot: number,
        number,
        suite: "package::suite",
        name,
        slow: seconds(10),
        attempt: 1,
    });
}

const WIDE: Size = Size {
    columns: 80,
    rows: 24,
};

#[test]
fn the_rows_are_the_running_tests_and_a_bar_with_failures_and_the_time_left() {
    let now = clock::now();
    let mut progress = Progress::new(forecast(&[Some(4), Some(30), Some(20), Some(20)], 2), now);
    start(&mut progress, 0, "m::first");
    start(&mut progress, 1, "m::second");
    progress.advance(now + seconds(4));
    progress.ended(0, Ended::Failed);
    start(&mut progress, 2, "m::third");
    progress.advance(now + seconds(12));
    let rows = progress.rows(WIDE, Paint::Plain);
    // 18 s of the second test, 12 s of the third and 20 s of the fourth, two at a time.
    let bar = "     12 s [=======                     ] 1 of 4, 1 failed, about 25 s left";
    let expected = [
        "   12.0 s package::suite m::second",
        "    8.0 s package::suite m::third",
        bar,
    ];
    assert_eq!(rows[..2], expected[..2]);
    assert_eq!(rows[2].replace(['=', ' '], ""), bar.replace(['=', ' '], ""));
    let colours = progress.rows(WIDE, Paint::Colours);
    assert!(
        colours[0].starts_with("\x1b[33;1m   12.0 s\x1b[0m "),
        "it is slow: {colours:?}"
    );
    assert!(!colours[1].contains('\x1b') && colours[2].contains("\x1b[31;1m1 failed\x1b[0m"));
}

#[test]
fn no_row_is_wider_and_there_are_no_more_rows_than_a_terminal_of_any_size_has() {
    let now = clock::now();
    let mut progress = Progress::new(forecast(&[None; 20], 20), now);
    let name = format!("evil\x1b[2J\x1b]0;t\x07\t日本::{}", "x".repeat(90));
    (0..20).for_each(|number| start(&mut progress, number, &name));
    progress.advance(now + seconds(4000));
    (0..3).for_each(|slot| progress.ended(slot, Ended::Failed));
    for (width, height) in (0..200).flat_map(|width| [1, 2, 3, 24, 50].map(|height| (width, height))) {
        let size = Size {
            columns: width,
            rows: height,
        };
        let rows = progress.rows(size, Paint::Plain);
        let too_wide = rows.iter().find(|row| columns(row) >= width.max(1));
        assert_eq!(too_wide, None, "{size:?}");
        assert!(
            rows.len() <= height && rows.len() <= LIVE_LINES_MAX + 1,
            "{size:?}: {rows:?}"
        );
        assert!(!rows.concat().contains(crate::base::text::steers));
    }
    let rows = progress.rows(WIDE, Paint::Plain);
    assert_eq!(rows[LIVE_LINES_MAX - 1], "          and 10 more");
}

#[test]
fn the_time_left_is_that_of_the_longest_test_if_the_others_end_before() {
    let now = clock::now();
    let left = |usual: &[Option<u64>], jobs| Progress::new(forecast(usual, jobs), now).left();
    assert_eq!(left(&[Some(100), Some(2), Some(2)], 2), Some(seconds(100)));
    assert_eq!(left(&[Some(100), Some(2), Some(2)], 1), Some(seconds(104)));
    assert_eq!(
        left(&[Some(100), None], 1),
        None,
        "nothing suggests how long it takes"
    );
}

#[test]
fn a_test_without_a_past_is_expected_to_take_as_long_as_those_that_have_ended() {
    let now = clock::now();
    let mut progress = Progress::new(forecast(&[None, None, None], 1), now);
    start(&mut progress, 0, "a");
    assert_eq!(progress.left(), None);
    progress.advance(now + seconds(6));
    progress.ended(0, Ended::Passed);
    assert_eq!(progress.left(), Some(seconds(12)));
    progress.starts_no_more();
    assert!(progress.rows(WIDE, Paint::Plain)[0].ends_with(" 1 of 3, ending"));
}

#[test]
fn a_test_that_takes_longer_than_usual_leaves_no_time_to_show() {
    let now = clock::now();
    let mut progress = Progress::new(forecast(&[Some(4)], 1), now);
    start(&mut progress, 0, "a");
    let mut bar_after = |elapsed: Duration| {
        progress.advance(now + elapsed);
        progress.rows(WIDE, Paint::Plain).pop().unwrap()
    };
    assert!(bar_after(seconds(1)).ends_with(" 0 of 1, about 3 s left"));
    assert!(bar_after(Duration::from_millis(3500)).ends_with(" 0 of 1, under 1 s left"));
    assert!(bar_after(seconds(9)).ends_with(" 0 of 1"));
}

#[test]
fn an_attempt_that_another_one_follows_is_neither_an_end_nor_a_failure() {
    let now = clock::now();
    let mut progress = Progress::new(forecast(&[None], 1), now);
    start(&mut progress, 0, "a");
    progress.ended(0, Ended::ToRetry);
    assert_eq!((progress.done, progress.failed), (0, 0));
    progress.ended(0, Ended::Passed);
    assert_eq!((progress.done, progress.failed), (1, 0));
}

#[test]
fn a_run_without_a_known_end_has_neither_a_bar_nor_a_time_left() {
    let now = clock::now();
    let open = Forecast {
        rounds: Rounds::Open,
        ..forecast(&[Some(5)], 1)
    };
    let mut progress = Progress::new(open, now);
    progress.ended(0, Ended::Passed);
    assert_eq!(progress.rows(WIDE, Paint::Plain), ["      0 s 1 ended"]);
}

#[test]
fn a_time_is_said_in_its_two_largest_units() {
    let words = [400, 1_500, 125_000, 3_720_000].map(|ms| in_words(Duration::from_millis(ms)));
    assert_eq!(words, ["0 s", "2 s", "2 min 5 s", "1 h 2 min"]);
}
