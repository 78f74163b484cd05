//! How fast a mount is: one JSON object a line, each with all its runs and their median.
//!
//! The two peers are processes of their own (`peer`), the relay and the one who reads and writes are this one (`lead`).
//! Beside what goes through a mount stands the same work on the directory that the peers keep their files in, in the same
//! run, because only ratios of one run mean something. What is good enough is not decided here.

mod files;
mod lead;
mod peer;
mod plan;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Measure a mount and print the figures as lines of JSON.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    wishes: Wishes,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// One of the two peers; started by the other process, which talks to it on its standard streams
    #[command(hide = true)]
    Peer {
        /// Where its relay is
        relay: url::Url,
        /// Where it keeps what it fetches
        store: PathBuf,
    },
}

/// What is measured.
#[derive(Debug, Clone, Args)]
struct Wishes {
    /// Length of the large files, in bytes
    #[arg(long, default_value_t = 1 << 30)]
    len: u64,
    /// How often everything is done
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Files in the tree that is walked
    #[arg(long, default_value_t = 10_000)]
    files: usize,
    /// Random reads of one run
    #[arg(long, default_value_t = 2000)]
    reads: usize,
    /// Where files, stores and mounts are put; removed at the end [default: a temporary directory]
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Measure without the kernel's passthrough
    #[arg(long)]
    no_passthrough: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.role {
        Some(Role::Peer { relay, store }) => peer::run(relay, store),
        None => lead::run(&cli.wishes),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if that fails.
            let _written = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
