//! What `share` and `join` have in common when two people pair: how this side pairs, and the check
//! that both screens show.

use tandem_core::clock::Clock;
use tandem_core::identity::Fingerprint;
use tandem_core::pairing::{Meeting, PairingConfig};
use tandem_core::peer::LoopbackPeers;
use tandem_core::rendezvous::RelayClient;
use tandem_core::session::dialable;
use url::Url;

use crate::card::Card;
use crate::event::Event;
use crate::exit::{Exit, Failure, OrExit};
use crate::relay_here;
use crate::screen;
use crate::shares::Friend;

/// Whether both people compare the check before anything is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Each side asks its person.
    Ask,
    /// The check is only shown.
    Show,
}

impl Verify {
    /// As `--verify` says.
    pub(crate) fn asked(is_asked: bool) -> Self {
        if is_asked { Self::Ask } else { Self::Show }
    }
}

/// How this side pairs by that relay.
pub(crate) fn pairing(relay: &Url) -> Result<PairingConfig, Failure> {
    Ok(PairingConfig {
        relay: RelayClient::new(relay.clone()).or_exit(Exit::Usage)?,
        listener: relay_here::listen(None).or_exit(Exit::LocalDisk)?,
        advertised: Vec::new(),
        loopback_peers: LoopbackPeers::default(),
        clock: Clock::system(),
    })
}

/// Shows the check, lets the person compare it if that is wanted, prepares for what comes, and
/// agrees. If this side can't go on, it declines, so that nothing is begun at the other one.
pub(crate) async fn agree<T>(
    meeting: Meeting,
    verify: Verify,
    prepare: impl FnOnce(&Met) -> Result<T, Failure>,
) -> Result<(Met, T), Failure> {
    let met = Met {
        fingerprint: meeting.remote(),
        card: Card::read(meeting.card())?,
    };
    let check = meeting.check().to_string();
    let line = format!("check of this pair: {check} (both screens must show the same)");
    match verify {
        Verify::Ask => screen::say_always(line),
        Verify::Show => screen::say(line),
    }
    screen::report(&Event::Check { check: &check });
    if verify == Verify::Ask {
        let question = "is it the same on the other side's screen?";
        let asked = tokio::task::spawn_blocking(|| screen::agrees(question)).await;
        if !asked.or_exit(Exit::LocalDisk)?? {
            meeting.decline().await;
            return Err(Failure::new(Exit::Refused, "you declined; nothing was shared"));
        }
    }
    match prepare(&met) {
        Ok(prepared) => {
            meeting.confirm().await?;
            Ok((met, prepared))
        }
        Err(failure) => {
            meeting.decline().await;
            Err(failure)
        }
    }
}

/// The other side, as we know it after a meeting.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) card: Card,
}

impl Met {
    /// What is kept of it: only addresses that may be dialled.
    pub(crate) fn to_friend(&self) -> Friend {
        Friend {
            name: None,
            fingerprint: self.fingerprint,
            addresses: dialable(&self.card.addresses, LoopbackPeers::default()),
        }
    }
}
