//! The real `tandem` in processes of its own: what two people see who share a folder.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod again;
#[cfg(unix)]
mod asking;
#[cfg(unix)]
mod changing;
#[cfg(unix)]
mod control;
mod home;
#[cfg(unix)]
mod json;
#[cfg(unix)]
mod killed;
#[cfg(unix)]
mod looks;
#[cfg(target_os = "linux")]
mod machines;
#[cfg(unix)]
mod mounting;
mod once;
#[cfg(unix)]
mod peers;
mod process;
mod refused;
#[cfg(unix)]
mod stopping;
mod watching;
