//! The facts on a plain directory: a failure here means a wrong fact, or an unusual file system
//! under `TMPDIR`.

use tandem_tests::conformance::exerciser::exercise;
use tandem_tests::conformance::{self, Plain};
use tandem_tests::temp::TempRoot;
use tandem_tests::{for_each_fact, for_each_fact_of_the_kernel};

fn with_a_directory(fact: impl FnOnce(&Plain)) {
    let root = TempRoot::create().unwrap();
    fact(&Plain::new(root.path()));
    root.close().unwrap();
}

macro_rules! a_test_of_each {
    ($($family:ident: $($fact:ident),+;)+) => {
        $(mod $family {
            $(#[test]
            fn $fact() {
                super::with_a_directory(super::conformance::$family::$fact);
            })+
        })+
    };
}

for_each_fact!(a_test_of_each);
for_each_fact_of_the_kernel!(a_test_of_each);

#[test]
fn ten_thousand_random_operations_match_the_model() {
    with_a_directory(|dir| exercise(dir, 0x7a4d, 10_000));
}
