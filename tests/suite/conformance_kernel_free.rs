//! The facts on the file system of a share, without a kernel in between.

use tandem_tests::conformance::exerciser::exercise;
use tandem_tests::conformance::{self, KernelFree};
use tandem_tests::for_each_fact;
use tandem_tests::offline::Offline;
use tandem_tests::seed::Seed;

fn with_a_file_system(fact: impl FnOnce(&KernelFree)) {
    let offline = Offline::start().unwrap();
    let file_system = offline.peer().file_system().unwrap();
    fact(&KernelFree::new(file_system));
    offline.close().unwrap();
}

macro_rules! a_test_of_each {
    ($($family:ident: $($fact:ident),+;)+) => {
        $(mod $family {
            $(#[test]
            fn $fact() {
                super::with_a_file_system(super::conformance::$family::$fact);
            })+
        })+
    };
}

for_each_fact!(a_test_of_each);

#[test]
fn the_same_ten_thousand_operations_in_every_run_match_the_model() {
    with_a_file_system(|dir| exercise(dir, 0x7a4d, 10_000));
}

#[test]
fn ten_thousand_operations_from_this_runs_seed_match_the_model() {
    with_a_file_system(|dir| exercise(dir, Seed::choose().number(), 10_000));
}
