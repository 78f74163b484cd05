//! The runner run on a fixture: a workspace of tests that behave in every way in which tests
//! behave.
//!
//! Each test starts the real `xtask` and looks at its exit code, its last line and its report. They
//! share one target directory, so the fixture is compiled once; reports and temporary directories
//! are each test's own.
#![cfg(unix)]

mod adoption;
mod capabilities;
mod foreign;
mod guard;
mod heavy;
mod interruption;
mod outcomes;
mod ownership;
mod profiles;
mod repeats;
mod reports;
mod scripts;
mod selection;
mod shared;
mod stuck;
mod subsets;
mod support;
mod unfriendly;
