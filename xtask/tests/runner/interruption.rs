//! A run that ends at any moment by any signal leaves nothing behind; a run that is suspended can
//! continue.
#![cfg(target_os = "linux")]

use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState};

use rustix::process::Signal;

use super::ownership::{LEVELS, assert_nothing_remains};
use super::support::{Running, Scratch, Setup, must};

/// Moments to try with each signal at each level.
const MOMENTS: u64 = 20;

/// A moment of a run: when it has printed `event` `count` times and this thread has then yielded
/// `turns` times.
#[derive(Debug)]
struct Moment {
    event: &'static str,
    count: u64,
    turns: u64,
}

impl Moment {
    /// A moment between the first probe and the twelfth end of a test; it depends only on the seed.
    fn random(seed: u64) -> Moment {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        let mut random = hasher.finish();
        let mut below = |limit: u64| {
            let rest = random % limit;
            random /= limit;
            rest
        };
        let (event, count) = match below(16) {
            0 => ("\"run-start\"", 1),
            1 => ("\"name\":\"probe\"", 1),
            2 => ("\"name\":\"build\"", 1),
            3 => ("\"name\":\"list\"", 1),
            count => ("\"finish\"", count - 3),
        };
        Moment {
            event,
            count,
            turns: below(5000),
        }
    }

    fn wait(&self, running: &mut Running) {
        (0..self.count).for_each(|_| running.wait_for_part(self.event));
        (0..self.turns).for_each(|_| std::thread::yield_now());
    }
}

/// The seed of the moments: `RUNNER_SEED`, or another number each time.
fn seed() -> u64 {
    let given = std::env::var("RUNNER_SEED").ok();
    given.map_or_else(
        || RandomState::new().build_hasher().finish() >> 32,
        |text| must("understand RUNNER_SEED", text.parse()),
    )
}

#[test]
fn a_run_that_ends_at_any_moment_by_any_signal_leaves_nothing_behind() {
    let seed = seed();
    let words = [
        "leaks::",
        "slow::",
        "hostile::ignores",
        "good::",
        "--shuffle=3",
        "--events=-",
    ];
    for level in LEVELS {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL] {
            for number in 0..MOMENTS {
                let moment = Moment::random(seed + number);
                let arguments = [&words[..], &["--isolate", level]].concat();
                let mut running = Running::start(&arguments);
                moment.wait(&mut running);
                let run = running.interrupt(signal);
                let remains = (run.survivors(), run.mounts(), run.scratch());
                assert_eq!(
                    remains,
                    (vec![], vec![], vec![]),
                    "{level}, {signal:?} at {moment:?}, RUNNER_SEED={seed}\n{run}"
                );
            }
        }
    }
}

#[test]
fn a_hanging_build_and_every_process_that_it_started_end_with_the_run() {
    for signal in [Signal::INT, Signal::KILL] {
        let package = Scratch::package("fn main() {}");
        let script = "fn main() {
            std::process::Command::new(\"setsid\").args([\"-f\", \"sleep\", \"61\"]).status().unwrap();
            std::process::Command::new(\"sleep\").arg(\"62\").spawn().unwrap();
            loop { std::thread::park() }
        }";
        package.add_file("build.rs", script);
        let running = package.start("test", &[]);
        running.wait_for_process("sleep 61");
        running.wait_for_process("sleep 62");
        assert_nothing_remains(&running.interrupt(signal));
    }
}

#[test]
fn a_process_that_a_finished_build_leaves_running_is_not_killed() {
    let package = Scratch::package("fn main() {}");
    let script = "fn main() {
        let mut server = std::process::Command::new(\"setsid\");
        let null = std::process::Stdio::null;
        server.args([\"-f\", \"sleep\", \"63\"]).stdout(null()).stderr(null()).status().unwrap();
    }";
    package.add_file("build.rs", script);
    let run = package.run("test", &["--no-tests", "pass"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(
        run.end("sleep 63"),
        1,
        "if the runner killed it, a compiler cache would have to start its server for each build\n{run}"
    );
}

#[test]
fn two_signals_end_a_run_at_once() {
    // After a single signal the test would get its grace of a day.
    let mut running = Running::start(&["hostile::ignores", "--grace", "24h"]);
    running.wait_for_line("running ");
    running.send(Signal::INT);
    running.wait_for_line("SIGINT: 1 test asked to end; repeat");
    let run = running.interrupt(Signal::INT);
    assert_eq!(run.code, Some(130), "{run}");
    assert_nothing_remains(&run);
}

#[test]
fn a_suspended_run_stops_its_tests_and_can_continue() {
    for level in LEVELS {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("go on");
        let mut running = Setup {
            variables: &[("RUNNER_FILE", file.to_str().unwrap())],
            ..Setup::new(&[
                "slow::waits_for_a_file",
                "--run-ignored",
                "--no-capture",
                "--isolate",
                level,
            ])
        }
        .start();
        running.wait_for_line("slow::waits_for_a_file | started");
        running.send(Signal::TSTP);
        running.wait_until_stopped();
        // It takes a moment until the signal has reached the last thread.
        let has_stopped = || {
            let states = running.states_of("slow::waits_for_a_file");
            states.iter().all(|state| *state == 'T')
        };
        assert!((0..1000).any(|_| has_stopped()), "{level}");
        std::fs::write(&file, "").unwrap();
        running.send(Signal::CONT);
        let run = running.finish();
        assert_eq!(
            (run.code, run.last_line()),
            (Some(0), "1 passed, 0 failed, 0 skipped"),
            "{run}"
        );
    }
}
