//! The facts on a mount, with the kernel in between.

use tandem_core::mount::MountOptions;
use tandem_tests::conformance::{self, Plain};
use tandem_tests::offline::Offline;
use tandem_tests::{for_each_fact, for_each_fact_of_the_kernel};

fn with_a_mount(fact: impl FnOnce(&Plain)) {
    let mut offline = Offline::start().unwrap();
    let path = offline.mount(MountOptions::default()).unwrap();
    fact(&Plain::new(path));
    offline.close().unwrap();
}

macro_rules! a_test_of_each {
    ($($family:ident: $($fact:ident),+;)+) => {
        $(mod $family {
            $(#[test]
            #[ignore = "needs fuse"]
            fn $fact() {
                super::with_a_mount(super::conformance::$family::$fact);
            })+
        })+
    };
}

for_each_fact!(a_test_of_each);
for_each_fact_of_the_kernel!(a_test_of_each);
