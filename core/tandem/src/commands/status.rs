//! `tandem status`: how the shares are.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::HumanDuration;

use crate::control::{Answer, Client, Request};
use crate::event::{Event, RunningReport, ShareReport};
use crate::exit::Failure;
use crate::home::Home;
use crate::report;
use crate::screen::{self, clean, say};
use crate::shares::Share;

/// Show how your shares are: which run, with whom they are connected, and what they share
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The share [default: all of them]
    #[arg(value_name = "SHARE")]
    share: Option<String>,
}

/// Prints each share.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let shares = Home::open()?.shares()?;
    let chosen = match &args.share {
        Some(name) => vec![shares.named(name)?],
        None => shares.present()?,
    };
    if chosen.is_empty() {
        say("there is no share yet; `tandem share` and `tandem join` begin one");
    }
    let mut last = Ok(());
    for share in &chosen {
        match of(share).await {
            Ok(report) => screen::answer(&Event::Share(&report), text(&report))?,
            // The others may answer.
            Err(failure) => last = Err(told(share, failure)),
        }
    }
    last
}

/// Says why a share does not say how it is.
fn told(share: &Share, failure: Failure) -> Failure {
    if let Some(text) = &failure.text {
        screen::say_always(format_args!("`{}`: {text}", clean(&share.name)));
    }
    failure.exit.into()
}

/// What the process that runs it says, or what is kept of it.
async fn of(share: &Share) -> Result<ShareReport, Failure> {
    let Some(mut client) = Client::ask(&share.dir, &Request::Status).await? else {
        return Ok(report::of(share));
    };
    match client.next().await? {
        Answer::Status(report) => Ok(*report),
        _ => Ok(report::of(share)),
    }
}

/// Some lines for a person, without the end of the last one.
fn text(report: &ShareReport) -> String {
    let mut lines = vec![first_line(report)];
    let places = paths(&report.places);
    lines.push(match report.side.as_str() {
        "shared" => format!("shares {places}"),
        "joined" => format!("follows the other side in {places}"),
        _ => format!("shown on {places}"),
    });
    if !report.put.is_empty() {
        lines.push(format!("shares {} too", paths(&report.put)));
    }
    if let Some(running) = &report.running {
        lines.extend(running_lines(report, running));
    }
    if let Some(relay) = &report.relay {
        lines.push(format!("finds the other side by {}", clean(relay)));
    }
    lines.join("\n    ")
}

fn first_line(report: &ShareReport) -> String {
    let (name, peer) = (clean(&report.name), report.peer.as_ref());
    let called = peer.map(|peer| clean(&peer.called));
    match (&report.running, called) {
        (None, None) => format!("{name}: does not run"),
        (None, Some(called)) => format!("{name}: with {called}; does not run, `tandem up {name}` starts it"),
        (Some(_), None) => format!("{name}: waits for the other person to type the code"),
        (Some(running), Some(called)) => match running.connected_seconds.filter(|_| running.connected) {
            Some(seconds) => {
                let time = HumanDuration(Duration::from_secs(seconds));
                format!("{name}: connected to {called} for {time}")
            }
            None if running.connected => format!("{name}: connected to {called}"),
            None => format!("{name}: runs, and looks for {called}"),
        },
    }
}

fn running_lines(report: &ShareReport, running: &RunningReport) -> Vec<String> {
    let (files, bytes) = (running.amount.files, running.amount.bytes);
    let mut lines = vec![format!(
        "{}, {}, of both sides together",
        screen::count(files, "file"),
        screen::bytes(bytes)
    )];
    let shown: Vec<_> = running
        .mounts
        .iter()
        .filter(|at| !report.places.contains(at))
        .cloned()
        .collect();
    if !shown.is_empty() {
        lines.push(format!("shown on {} too", paths(&shown)));
    }
    let ips: Vec<_> = running
        .addresses
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    let port = report.port.map_or_else(String::new, |port| port.to_string());
    lines.push(format!(
        "process {}, port {port} of {}",
        running.process,
        ips.join(", ")
    ));
    lines
}

fn paths(paths: &[PathBuf]) -> String {
    let quoted: Vec<_> = paths
        .iter()
        .map(|path| format!("`{}`", screen::path(path)))
        .collect();
    quoted.join(", ")
}
