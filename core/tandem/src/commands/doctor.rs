//! `tandem doctor`: what this machine can do for tandem, each with evidence.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};

use tandem_core::identity::Identity;
use tandem_core::mount::MountOptions;
use tandem_core::peer::{Peer, PeerConfig};
use tandem_core::rendezvous::RelayClient;
use tandem_core::session::candidates;

use crate::event::Event;
use crate::exit::{Exit, Failure, OrExit};
use crate::home::Home;
use crate::limits::PORTS;
use crate::relay_here::{self, Reach};
use crate::screen::{self, clean};

/// Show what this machine can do for tandem: folder, addresses, port, relay, mounting
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// One thing that was tried.
struct Finding {
    subject: &'static str,
    /// What was seen, or what went wrong.
    outcome: Result<String, String>,
    need: Need,
}

/// Whether tandem can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Everything,
    Some,
}

/// Prints what was found.
///
/// # Errors
/// If tandem can't work here at all.
pub(crate) async fn run(_: &Args) -> Result<(), Failure> {
    let mut missing = Vec::new();
    let home = Home::open();
    let relay = match &home {
        Ok(home) => home.config().map(|config| config.relay),
        Err(_) => Ok(None),
    };
    let relay = std::env::var("TANDEM_RELAY").ok().map_or_else(
        || relay.map(|relay| relay.map(|relay| relay.to_string())),
        |relay| Ok(Some(relay)),
    );
    let port = relay_here::listen(None);
    let local = port.as_ref().ok().and_then(|listener| listener.local_addr().ok());
    let findings = [
        folder(&home),
        listening(local, &port),
        addresses(local),
        relay_found(relay).await,
        mounting().await,
    ];
    for finding in &findings {
        print(finding)?;
        if finding.outcome.is_err() && finding.need == Need::Everything {
            missing.push(finding.subject);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!("tandem can't work here without: {}", missing.join(", "));
    Err(Failure::new(Exit::LocalDisk, text))
}

fn print(finding: &Finding) -> Result<(), Failure> {
    let (usable, evidence) = match &finding.outcome {
        Ok(evidence) => (true, evidence),
        Err(evidence) => (false, evidence),
    };
    let event = Event::Finding {
        subject: finding.subject,
        usable,
        evidence,
    };
    let mark = if usable { "ok" } else { "no" };
    let indented = evidence.replace('\n', "\n               ");
    screen::answer(&event, format_args!("{mark}  {:<9}  {indented}", finding.subject))
}

fn folder(home: &Result<Home, Failure>) -> Finding {
    let used = home.as_ref().map_err(text_of).and_then(|home| {
        let identity = home.identity().map_err(|failure| text_of(&failure))?;
        let written = tempfile::NamedTempFile::new_in(home.path());
        written.map_err(|error| format!("`{}`: {error}", screen::path(home.path())))?;
        Ok(format!(
            "`{}` can be written to; you are {}",
            screen::path(home.path()),
            identity.fingerprint().fmt_short()
        ))
    });
    Finding {
        subject: "folder",
        outcome: used,
        need: Need::Everything,
    }
}

fn listening(local: Option<SocketAddr>, port: &std::io::Result<std::net::TcpListener>) -> Finding {
    let outcome = match (local, port) {
        (Some(local), _) => Ok(format!(
            "{} is free, of the ports {} to {} that a firewall has to let in",
            local.port(),
            PORTS.start(),
            PORTS.end()
        )),
        (None, Err(error)) => Err(error.to_string()),
        (None, Ok(_)) => Err("the socket has no address".to_owned()),
    };
    Finding {
        subject: "port",
        outcome,
        need: Need::Everything,
    }
}

fn addresses(local: Option<SocketAddr>) -> Finding {
    let ips = local.map(candidates).unwrap_or_default();
    let mut ips: Vec<IpAddr> = ips.iter().map(SocketAddr::ip).collect();
    ips.sort_by_key(|ip| Reach::of(*ip));
    let described: Vec<_> = ips
        .iter()
        .map(|ip| format!("{ip} ({})", Reach::of(*ip)))
        .collect();
    let is_alone = ips.iter().all(|ip| ip.is_loopback());
    let outcome = if is_alone {
        Err("this machine has no address that another one could reach".to_owned())
    } else {
        Ok(described.join("\n"))
    };
    Finding {
        subject: "addresses",
        outcome,
        need: Need::Some,
    }
}

async fn relay_found(relay: Result<Option<String>, Failure>) -> Finding {
    let outcome = match relay {
        Err(failure) => Err(text_of(&failure)),
        Ok(None) => Ok("none is configured; `tandem share` serves its code itself".to_owned()),
        Ok(Some(relay)) => match asked(&relay).await {
            Ok(()) => Ok(format!("{} answers", clean(&relay))),
            Err(error) => Err(error),
        },
    };
    Finding {
        subject: "relay",
        outcome,
        need: Need::Some,
    }
}

async fn asked(relay: &str) -> Result<(), String> {
    let url = relay
        .parse()
        .map_err(|error| format!("`{}`: {error}", clean(relay)))?;
    let client = RelayClient::new(url).map_err(text)?;
    client.check_health().await.map_err(text)
}

/// Mounts an empty share, and unmounts it.
async fn mounting() -> Finding {
    let outcome = match mounted().await {
        Ok(()) => Ok("a share was mounted and unmounted".to_owned()),
        Err(failure) => Err(text_of(&failure)),
    };
    Finding {
        subject: "mounting",
        outcome,
        need: Need::Some,
    }
}

async fn mounted() -> Result<(), Failure> {
    let root = tempfile::tempdir().or_exit(Exit::LocalDisk)?;
    let at = root.path().join("mount");
    std::fs::create_dir(&at).or_exit(Exit::LocalDisk)?;
    let config = PeerConfig::without_relay()
        .identity(Identity::ephemeral().or_exit(Exit::LocalDisk)?)
        .listen(SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0))
        .store(root.path().join("store"));
    let peer = Peer::start(config).await.or_exit(Exit::LocalDisk)?;
    let mounted = async {
        let mount = peer
            .mount(&at, MountOptions::default())
            .await
            .or_exit(Exit::Mount)?;
        mount.unmount().await.or_exit(Exit::Mount)
    };
    let mounted = mounted.await;
    peer.close().await.or_exit(Exit::Mount)?;
    mounted
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn text_of(failure: &Failure) -> String {
    failure.text.clone().unwrap_or_default()
}
