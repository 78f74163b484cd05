//! The command line, and which role this process has.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{lead, peer};

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
    /// One of the two peers; the leading process starts it and sends commands on its standard input
    #[command(hide = true)]
    Peer {
        /// URL of its relay
        relay: url::Url,
        /// Directory of its store
        store: PathBuf,
    },
}

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wishes {
    /// Length of the large files, in bytes
    #[arg(long, default_value_t = 1 << 30)]
    pub(crate) len: u64,
    /// How many times to run every measurement
    #[arg(long, default_value_t = 3)]
    pub(crate) runs: usize,
    /// Files in the tree to walk
    #[arg(long, default_value_t = 10_000)]
    pub(crate) files: usize,
    /// Random reads per run
    #[arg(long, default_value_t = 2000)]
    pub(crate) reads: usize,
    /// Directory for files, stores and mounts; removed at the end [default: a temporary directory]
    #[arg(long)]
    pub(crate) directory: Option<PathBuf>,
    /// Measure without the kernel's passthrough
    #[arg(long)]
    pub(crate) no_passthrough: bool,
}

/// Runs as one of the peers, or as the leading process.
pub(crate) fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.role {
        Some(Role::Peer { relay, store }) => peer::run(relay, store),
        None => lead::run(&cli.wishes),
    }
}
