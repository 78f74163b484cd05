//! The `tandem-relay` command: starts a [`Relay`] from its arguments and runs it until a signal.
//!
//! The first line on stdout is `listening on http://ADDRESS:PORT`, flushed once requests are
//! served; nothing else is ever written to stdout. The log goes to stderr.

mod args;
mod signals;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tandem_relay::Relay;
use tracing_subscriber::EnvFilter;

use crate::args::Args;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr is closed too, the exit code still reports the failure.
            drop(writeln!(io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let filter = EnvFilter::new(&args.log);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    // Before the first line on stdout: a supervisor may send a signal as soon as it has read that.
    let mut signals = signals::listen().context("could not listen for signals")?;
    let relay = Relay::bind(args.into_config())
        .await
        .context("could not start the relay")?;
    announce(&relay.url()).context("could not write the address to stdout")?;
    signals.recv().await;
    tracing::info!("shutting down; send the signal again to stop at once");
    tokio::select! {
        drained = relay.shutdown() => tracing::info!(drained.cut_off_count, "stopped"),
        () = signals.recv() => tracing::warn!("stopped without waiting for requests in flight"),
    }
    Ok(())
}

fn announce(url: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on {url}")?;
    stdout.flush()
}
