//! The runner, run on a fixture: a workspace whose tests behave in every way, good and bad.
//!
//! Each test starts the real `xtask` and checks its exit code, its last line and its report. The
//! tests share one target directory, so the fixture is compiled once; each has its own report and
//! temporary directory.
#![cfg(unix)]

mod adoption;
mod archive;
mod capabilities;
mod cargo_flags;
mod cargo_settings;
mod debugging;
mod doc_tests;
mod foreign;
mod guard;
mod heavy;
mod interruption;
mod network;
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
mod terminal;
mod unfriendly;
