//! The exchange on one lane: introductions, and each side's yes.
//!
//! The inviter speaks first. So if several lanes are open, the one on which it speaks is the one
//! that both use.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::introduction::Introduction;
use super::{PairCheck, PairingError};
use crate::identity::{Fingerprint, Identity};
use crate::limits::{CONFIRMATION_TIMEOUT, GREETING_LEN_MAX, HANDSHAKE_TIMEOUT, INTRODUCTION_LEN_MAX};
use crate::rendezvous::Role;
use crate::session::WireError;
use crate::session::lane::OpenLane;
use crate::session::wire;

/// Two peers that have exchanged their fingerprints, before both have agreed.
#[derive(Debug)]
pub struct Meeting {
    remote: Fingerprint,
    card: Vec<u8>,
    check: PairCheck,
    lane: OpenLane,
}

/// Each side's last word. The order of the variants is their number on the wire: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Verdict {
    /// It agrees.
    Yes,
    /// It declines.
    No,
}

impl Meeting {
    /// Exchanges introductions as the side `role`.
    pub(super) async fn hold(
        mut lane: OpenLane,
        role: Role,
        identity: &Identity,
        card: &[u8],
    ) -> Result<Self, PairingError> {
        let session = lane.session;
        let ours = Introduction::sign(identity, (&session, role), card)?;
        let exchange = async {
            let theirs = match role {
                Role::Inviter => {
                    write(&mut lane, &ours, INTRODUCTION_LEN_MAX).await?;
                    let theirs: Introduction = read(&mut lane, INTRODUCTION_LEN_MAX).await?;
                    theirs.verify((&session, Role::Joiner))?
                }
                Role::Joiner => {
                    let theirs: Introduction = read(&mut lane, INTRODUCTION_LEN_MAX).await?;
                    let theirs = theirs.verify((&session, Role::Inviter))?;
                    write(&mut lane, &ours, INTRODUCTION_LEN_MAX).await?;
                    theirs
                }
            };
            Ok::<_, PairingError>(theirs)
        };
        let limit = HANDSHAKE_TIMEOUT;
        let late = |_| PairingError::NotReached { limit, last: None };
        let (remote, card) = timeout(limit, exchange).await.map_err(late)??;
        let own = identity.fingerprint();
        if remote == own {
            return Err(PairingError::Oneself);
        }
        let (inviter, joiner) = match role {
            Role::Inviter => (own, remote),
            Role::Joiner => (remote, own),
        };
        Ok(Self {
            remote,
            card,
            check: PairCheck::of(&session, &inviter, &joiner),
            lane,
        })
    }

    /// The fingerprint of the other side's lasting identity.
    #[must_use]
    pub fn remote(&self) -> Fingerprint {
        self.remote
    }

    /// The card that the other side handed over.
    #[must_use]
    pub fn card(&self) -> &[u8] {
        &self.card
    }

    /// What both people can compare.
    #[must_use]
    pub fn check(&self) -> &PairCheck {
        &self.check
    }

    /// Agrees, and waits until the other side does. From then on each may trust the other's
    /// fingerprint.
    ///
    /// # Errors
    /// [`PairingError::Declined`], [`PairingError::NotConfirmed`], or that of a broken lane.
    pub async fn confirm(mut self) -> Result<(), PairingError> {
        write(&mut self.lane, &Verdict::Yes, GREETING_LEN_MAX).await?;
        let limit = CONFIRMATION_TIMEOUT;
        let verdict = timeout(limit, read(&mut self.lane, GREETING_LEN_MAX)).await;
        match verdict.map_err(|_| PairingError::NotConfirmed { limit })?? {
            Verdict::Yes => Ok(()),
            Verdict::No => Err(PairingError::Declined),
        }
    }

    /// Says no to the other side.
    pub async fn decline(mut self) {
        let told = async {
            write(&mut self.lane, &Verdict::No, GREETING_LEN_MAX).await?;
            self.lane.stream.shutdown().await.map_err(broken)
        };
        if let Err(error) = told.await {
            tracing::debug!(%error, "the other side did not hear that we declined");
        }
    }
}

async fn write(lane: &mut OpenLane, message: &impl Serialize, limit: usize) -> Result<(), PairingError> {
    let frame = wire::encode(message, limit).map_err(problem)?;
    lane.stream.write_all(&frame).await.map_err(broken)?;
    lane.stream.flush().await.map_err(broken)
}

async fn read<T: DeserializeOwned>(lane: &mut OpenLane, limit: usize) -> Result<T, PairingError> {
    wire::read(&mut lane.stream, limit).await.map_err(problem)
}

fn broken(source: std::io::Error) -> PairingError {
    problem(source.into())
}

fn problem(error: WireError) -> PairingError {
    PairingError::Protocol {
        problem: error.to_string(),
    }
}
