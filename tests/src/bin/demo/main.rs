//! The demo: a real relay, two real peers and a real folder, told step by step.
//!
//! It uses only what `tandem_core` and `tandem_relay` offer to everybody. Which files are shared, and whether they
//! arrived, is the work of `files`; what the peers do is told in `pair`; how it is printed is decided in `story`.

mod files;
mod pair;
mod story;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Parser;

/// Share every file under PATH from one peer to another, through a relay on this machine, and check every byte.
#[derive(Debug, Parser)]
struct Args {
    /// The folder (or file) to share [default: the sources that this demo was built from]
    path: Option<PathBuf>,
    /// Keep the received files; their directory and that of the originals are printed at the end
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if that fails.
            let _written = writeln!(io::stderr(), "error: {}", story::printable(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let path = args
        .path
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
    let received = if args.keep {
        pair::Received::Keep
    } else {
        pair::Received::Remove
    };
    tokio::select! {
        outcome = pair::run(&path, received) => outcome,
        // Dropping the run removes what it wrote.
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}
