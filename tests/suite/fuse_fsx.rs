//! Ten thousand random operations on one file of a mount, checked against a model in memory; a
//! failure shows its seed.

use tandem_core::mount::{MountOptions, Passthrough};
use tandem_tests::conformance::Plain;
use tandem_tests::conformance::exerciser::exercise;
use tandem_tests::offline::Offline;
use tandem_tests::seed::Seed;

/// Operations of one test.
const COUNT: usize = 10_000;
/// The seed of the operations that are the same in every run.
const FIXED_SEED: u64 = 0x7a4d;

fn exercise_a_mount(options: MountOptions, seed: u64) {
    let mut offline = Offline::start().unwrap();
    let path = offline.mount(options).unwrap();
    exercise(&Plain::new(path), seed, COUNT);
    offline.close().unwrap();
}

#[test]
#[ignore = "needs fuse"]
fn the_same_ten_thousand_operations_in_every_run_match_the_model() {
    exercise_a_mount(MountOptions::default(), FIXED_SEED);
}

#[test]
#[ignore = "needs fuse"]
fn ten_thousand_operations_from_this_runs_seed_match_the_model() {
    exercise_a_mount(MountOptions::default(), Seed::choose().number());
}

#[test]
#[ignore = "needs fuse"]
fn without_passthrough_ten_thousand_operations_match_the_model() {
    let options = MountOptions::default().passthrough(Passthrough::Off);
    exercise_a_mount(options, FIXED_SEED);
}
