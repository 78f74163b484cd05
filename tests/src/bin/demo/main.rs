//! The demo: a real relay, two real peers and a real folder, printed step by step.
//!
//! It uses only the public API of `tandem_core` and `tandem_relay`. `files` chooses the files to
//! share and checks that they arrived, `pair` is what the peers do, `look` is what a mount shows,
//! and `story` prints.

mod files;
mod look;
mod pair;
mod story;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use clap::Parser;

use look::{Fuse, Then, Wishes};

/// Share every file under PATH from one peer to another, through a relay on this machine, and check
/// every byte.
#[derive(Debug, Parser)]
struct Args {
    /// The folder (or file) to share [default: the sources that this demo was built from]
    path: Option<PathBuf>,
    /// Keep the received files; their directory and that of the originals are printed at the end
    #[arg(long)]
    keep: bool,
    /// Keep bob's side mounted until Ctrl-C, so that you can look around in it
    #[arg(long)]
    hold: bool,
    /// Whether bob mounts: if this machine can, always (failing otherwise), or never
    #[arg(long, value_enum, default_value_t)]
    fuse: Fuse,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr is closed too, the exit code still reports the failure.
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
    let then = if args.hold {
        Then::Hold(AtomicBool::new(false))
    } else {
        Then::Unmount
    };
    let wishes = Wishes {
        fuse: args.fuse,
        then,
    };
    tokio::select! {
        outcome = pair::run(&path, received, &wishes) => outcome,
        // Dropping the run unmounts, and removes the files that it wrote.
        () = interrupted(&wishes.then) => bail!("interrupted"),
    }
}

/// Returns when Ctrl-C is pressed, except for the one that ends the holding of a mount.
async fn interrupted(then: &Then) {
    loop {
        // Without a handler the signal itself ends the process.
        let is_heard = tokio::signal::ctrl_c().await.is_ok();
        match then {
            Then::Hold(is_holding) if is_heard && is_holding.swap(false, Ordering::SeqCst) => {}
            _ => return,
        }
    }
}
