//! The real `tandem` in processes of its own: what two people see who share a folder.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod home;
#[cfg(unix)]
mod killed;
mod once;
mod process;
mod refused;
mod watching;
