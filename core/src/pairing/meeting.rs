//! The exchange on one lane: introductions, and each side's yes.
//!
//! The inviter speaks first: it promises its introduction, and shows it only after the joiner's. So
//! if several lanes are open, the one on which it speaks is the one that both use.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::introduction::{Introduced, Introduction, Promise};
use super::{PairCheck, PairingError};
use crate::identity::{Fingerprint, Identity};
use crate::limits::{CONFIRMATION_TIMEOUT, GREETING_LEN_MAX, HANDSHAKE_TIMEOUT, INTRODUCTION_LEN_MAX};
use crate::rendezvous::Role;
use crate::session::lane::OpenLane;
use crate::session::wire;
use crate::session::{SessionId, WireError};

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
        let exchange = introduce(&mut lane.stream, (&session, role), &ours);
        let limit = HANDSHAKE_TIMEOUT;
        let late = |_| PairingError::NotReached { limit, last: None };
        let theirs = timeout(limit, exchange).await.map_err(late)??;
        let ours = ours.verify((&session, role))?;
        if theirs.fingerprint == ours.fingerprint {
            return Err(PairingError::Oneself);
        }
        let check = match role {
            Role::Inviter => PairCheck::of(&session, &ours, &theirs),
            Role::Joiner => PairCheck::of(&session, &theirs, &ours),
        };
        Ok(Self {
            remote: theirs.fingerprint,
            card: theirs.card,
            check,
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
    /// [`PairingError::Declined`], [`PairingError::Left`], [`PairingError::NotConfirmed`].
    pub async fn confirm(mut self) -> Result<(), PairingError> {
        let left = |_| PairingError::Left;
        let said = write(&mut self.lane.stream, &Verdict::Yes, GREETING_LEN_MAX).await;
        said.map_err(left)?;
        let limit = CONFIRMATION_TIMEOUT;
        let verdict = timeout(limit, read(&mut self.lane.stream, GREETING_LEN_MAX)).await;
        let verdict = verdict.map_err(|_| PairingError::NotConfirmed { limit })?;
        match verdict.map_err(left)? {
            Verdict::Yes => Ok(()),
            Verdict::No => Err(PairingError::Declined),
        }
    }

    /// Says no to the other side.
    pub async fn decline(mut self) {
        let told = async {
            write(&mut self.lane.stream, &Verdict::No, GREETING_LEN_MAX).await?;
            self.lane.stream.shutdown().await.map_err(broken)
        };
        if let Err(error) = told.await {
            tracing::debug!(%error, "the other side did not hear that we declined");
        }
    }
}

/// Introduces us as the side `role`, and returns what the other side says of itself.
async fn introduce(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    (session, role): (&SessionId, Role),
    ours: &Introduction,
) -> Result<Introduced, PairingError> {
    match role {
        Role::Inviter => {
            write(stream, &ours.promise(), GREETING_LEN_MAX).await?;
            let theirs: Introduction = read(stream, INTRODUCTION_LEN_MAX).await?;
            let theirs = theirs.verify((session, Role::Joiner))?;
            write(stream, ours, INTRODUCTION_LEN_MAX).await?;
            Ok(theirs)
        }
        Role::Joiner => {
            let promise: Promise = read(stream, GREETING_LEN_MAX).await?;
            write(stream, ours, INTRODUCTION_LEN_MAX).await?;
            let theirs: Introduction = read(stream, INTRODUCTION_LEN_MAX).await?;
            theirs.keeps(promise)?.verify((session, Role::Inviter))
        }
    }
}

async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
    limit: usize,
) -> Result<(), PairingError> {
    let frame = wire::encode(message, limit).map_err(problem)?;
    stream.write_all(&frame).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<T, PairingError> {
    wire::read(stream, limit).await.map_err(problem)
}

fn broken(source: std::io::Error) -> PairingError {
    problem(source.into())
}

fn problem(error: WireError) -> PairingError {
    PairingError::Protocol {
        problem: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;
    use zeroize::Zeroizing;

    use super::*;

    const LANE: SessionId = SessionId([5; 32]);
    const ROOM: usize = 64 * 1024;

    fn of(seed: u8, role: Role) -> Introduction {
        let identity = Identity::from_seed(Zeroizing::new([seed; 32])).unwrap();
        Introduction::sign(&identity, (&LANE, role), b"card").unwrap()
    }

    #[tokio::test]
    async fn an_inviter_that_breaks_its_promise_is_refused() {
        for is_kept in [true, false] {
            let (mut bob, mut mallory) = duplex(ROOM);
            let ours = of(1, Role::Joiner);
            let (promised, other) = (of(2, Role::Inviter), of(2, Role::Inviter));
            let attack = async {
                write(&mut mallory, &promised.promise(), GREETING_LEN_MAX).await?;
                drop(read::<Introduction>(&mut mallory, INTRODUCTION_LEN_MAX).await?);
                let shown = if is_kept { &promised } else { &other };
                write(&mut mallory, shown, INTRODUCTION_LEN_MAX).await
            };
            let (met, sent) = tokio::join!(introduce(&mut bob, (&LANE, Role::Joiner), &ours), attack);
            assert!(sent.is_ok());
            assert_eq!(met.is_ok(), is_kept, "{met:?}");
        }
    }

    #[tokio::test]
    async fn an_inviter_shows_nothing_but_its_promise_to_a_joiner_that_is_silent() {
        let (mut alice, mut mallory) = duplex(ROOM);
        let ours = of(1, Role::Inviter);
        let attack = async {
            let promise: Promise = read(&mut mallory, GREETING_LEN_MAX).await?;
            mallory.shutdown().await.map_err(broken)?;
            let more = read::<Introduction>(&mut mallory, INTRODUCTION_LEN_MAX).await;
            Ok::<_, PairingError>((promise, more.is_ok()))
        };
        let meeting = async {
            let met = introduce(&mut alice, (&LANE, Role::Inviter), &ours).await;
            drop(alice);
            met
        };
        let (met, seen) = tokio::join!(meeting, attack);
        assert!(met.is_err());
        assert_eq!(seen.unwrap(), (ours.promise(), false));
    }
}
