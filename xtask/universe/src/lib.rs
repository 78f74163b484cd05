//! A test runner that owns everything that tests start: processes, ports, mounts, files.
//!
//! One process per test over stock libtest binaries, each with its own temporary directory and, on
//! Linux, its own namespaces. Tests declare what they need (`#[ignore = "needs fuse"]`) and run
//! where the machine has it. The runner finds, reports and removes what a test leaves behind.
//! Nothing is cached. Reports are JUnit, events, Markdown and a timeline.
//!
//! The rooms, lowest floor first; each imports only rooms below it:
//!
//! | room | what |
//! |---|---|
//! | [`base`] | time, the operating system, files, text, exit codes |
//! | [`report`] | a run as data: JUnit, events, Markdown, timeline, merging, comparing |
//! | [`sandbox`] | the ownership of the processes of tests and builds, and their leftovers |
//! | [`workspace`] | what cargo says: metadata, configuration, builds, sources |
//! | [`machine`] | capabilities, and how fast the machine is |
//! | [`select`] | which tests run, in which order, and how each is treated |
//! | [`runner`] | the subcommands: build, list, plan, run, report |
//!
//! It runs as `cargo universe test` after `cargo install`, or inside an xtask of one's own:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! #[derive(clap::Parser)]
//! #[command(bin_name = "cargo xtask")]
//! enum Command {
//!     #[command(flatten)]
//!     Universe(cargo_universe::Command),
//!     /// A chore of this repository
//!     Greet,
//! }
//!
//! fn main() -> ExitCode {
//!     let xtask = cargo_universe::Invocation { command: "cargo xtask", package: Some("xtask") };
//!     cargo_universe::main(xtask, |command: Command| match command {
//!         Command::Universe(command) => command.run::<Command>(),
//!         Command::Greet => Ok(ExitCode::SUCCESS),
//!     })
//! }
//! ```

pub mod base;
mod command;
pub mod machine;
pub mod report;
pub mod runner;
pub mod sandbox;
pub mod select;
pub mod workspace;

pub use base::invocation::Invocation;
pub use command::{Command, main};
