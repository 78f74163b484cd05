//! A run as data, and every function of it: JUnit, events, Markdown, the timeline, merging,
//! comparing.
//!
//! Nothing here starts a process or decides what to run.

pub mod counts;
pub mod data;
pub mod diff;
pub mod events;
#[cfg(test)]
pub mod examples;
pub mod junit;
pub mod kept_files;
pub mod kinds;
pub mod label;
pub mod markdown;
pub mod merge;
pub mod places;
pub mod shortage;
pub mod slowest;
pub mod spans;
pub mod timeline;
pub mod trace;
