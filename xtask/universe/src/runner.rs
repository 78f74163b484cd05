//! The subcommands, and the way from sources to a report: build, list, plan, run, report.

pub mod archive;
pub mod binary;
pub(crate) mod build_only;
pub mod capabilities;
pub mod completions;
pub mod console;
pub mod discover;
pub(crate) mod doc_tests;
pub mod doctor;
pub mod execution;
pub mod github;
pub mod init;
pub mod libtest;
pub(crate) mod libtest_words;
pub mod limits_and_leaks;
pub mod list;
pub mod outputs;
pub(crate) mod planning;
pub mod profile;
pub mod report;
pub mod rundir;
pub mod suspension;
pub mod sweep;
pub mod test;
pub mod versions;
