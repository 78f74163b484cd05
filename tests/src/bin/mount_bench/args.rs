//! What is asked for on the command line, and who does it.

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
    /// One of the two peers; started by the other process, which talks to it on its standard
    /// streams
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
pub(crate) struct Wishes {
    /// Length of the large files, in bytes
    #[arg(long, default_value_t = 1 << 30)]
    pub(crate) len: u64,
    /// How often everything is done
    #[arg(long, default_value_t = 3)]
    pub(crate) runs: usize,
    /// Files in the tree that is walked
    #[arg(long, default_value_t = 10_000)]
    pub(crate) files: usize,
    /// Random reads of one run
    #[arg(long, default_value_t = 2000)]
    pub(crate) reads: usize,
    /// Where files, stores and mounts are put; removed at the end [default: a temporary directory]
    #[arg(long)]
    pub(crate) directory: Option<PathBuf>,
    /// Measure without the kernel's passthrough
    #[arg(long)]
    pub(crate) no_passthrough: bool,
}

/// Is one of the peers, or leads.
pub(crate) fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.role {
        Some(Role::Peer { relay, store }) => peer::run(relay, store),
        None => lead::run(&cli.wishes),
    }
}
