//! The side that makes the code.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::doorway::{Doorway, Waiting};
use super::introduction::check_card;
use super::{Meeting, PairingConfig, PairingError};
use crate::clock::{Clock, millis};
use crate::identity::Identity;
use crate::limits::{
    ANSWER_POLL_INTERVAL, ANSWER_WAIT, CONTACT_REFRESH_INTERVAL, INVITATION_LIFETIME_MAX, INVITER_PATIENCE,
    PAIRING_TIMEOUT,
};
use crate::rendezvous::{
    Ending, InvitationCode, InvitationRecord, Published, RelayClient, RelayError, Role, Word,
};
use crate::session::SessionError;
use crate::session::lane::OpenLane;

/// An open invitation. It ends with the first answer, at its deadline, or by
/// [`Invitation::withdraw`]; if it is dropped, its record expires at the relay.
#[derive(Debug)]
pub struct Invitation {
    code: InvitationCode,
    doorway: Doorway,
    deadline: Instant,
    deadline_unix_ms: u64,
}

impl Invitation {
    /// Opens the invitation of `code` and leaves its record at the relay. `lifetime` is cut to
    /// [`INVITATION_LIFETIME_MAX`].
    ///
    /// # Errors
    /// [`PairingError`] if the socket or the relay can't be used;
    /// [`PairingError::Interfered`] if the relay has a record of this code already.
    pub async fn offer(
        code: InvitationCode,
        lifetime: Duration,
        config: PairingConfig,
    ) -> Result<Self, PairingError> {
        let doorway = Doorway::open(config)?;
        let lifetime = lifetime.min(INVITATION_LIFETIME_MAX);
        let invitation = Self {
            code,
            deadline: doorway.clock.now() + lifetime,
            deadline_unix_ms: doorway.clock.unix_ms().saturating_add(millis(lifetime)),
            doorway,
        };
        let side = (&invitation.code, Role::Inviter);
        let waiting = invitation.doorway.waiting();
        let sealed = invitation
            .doorway
            .record(side, waiting, invitation.deadline_unix_ms)?;
        let token = invitation.code.token(Role::Inviter);
        match invitation.doorway.relay.publish_first(&token, &sealed).await? {
            Published::First => Ok(invitation),
            Published::Taken => Err(PairingError::Interfered),
        }
    }

    /// The code, to be given to one person.
    #[must_use]
    pub fn code(&self) -> &InvitationCode {
        &self.code
    }

    /// Waits until someone has joined and exchanged introductions with us. Cancel safe until
    /// someone has answered.
    ///
    /// # Errors
    /// [`PairingError::Expired`] at the deadline, [`PairingError::Interfered`] when there is more
    /// than one answer, [`PairingError::NotReached`] when who answered does not come. The
    /// invitation is over then.
    pub async fn meet(&mut self, identity: &Arc<Identity>, card: &[u8]) -> Result<Meeting, PairingError> {
        check_card(card)?;
        let answer = self.first_answer().await?;
        self.doorway.expect(answer.fingerprint);
        self.leave(Word::Over(Ending::Used)).await;
        let (relay, clock, code) = (
            self.doorway.relay.clone(),
            self.doorway.clock.clone(),
            self.code.clone(),
        );
        let limit = PAIRING_TIMEOUT;
        let mut last = None;
        let meeting = tokio::select! {
            met = timeout(limit, self.meet_who(&answer, (identity, card), &mut last)) => met.ok(),
            () = another_answer(&relay, &clock, &code, &answer) => Some(Err(PairingError::Interfered)),
        };
        meeting.unwrap_or_else(|| Err(PairingError::NotReached { limit, last }))
    }

    /// Takes the invitation back: the code is refused from now on.
    pub async fn withdraw(self) {
        self.leave(Word::Over(Ending::Withdrawn)).await;
        self.close().await;
    }

    /// Stops listening after the invitation is over. Returns when everything that it started has
    /// ended.
    pub async fn close(self) {
        self.doorway.close().await;
    }

    /// Waits for the first answer, and refreshes our record meanwhile.
    async fn first_answer(&self) -> Result<Waiting, PairingError> {
        let clock = &self.doorway.clock;
        let mut refresh = clock.now() + CONTACT_REFRESH_INTERVAL;
        let mut last = None;
        loop {
            let asked_at = clock.now();
            let until = refresh.min(self.deadline);
            let wait = until.saturating_duration_since(asked_at).min(ANSWER_WAIT);
            let mut pause = ANSWER_POLL_INTERVAL;
            match answer(&self.doorway.relay, clock, &self.code, wait).await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(error) => {
                    pause = error.retry_after().map_or(pause, |wanted| wanted.max(pause));
                    let text = Some(error.to_string());
                    if last != text {
                        tracing::warn!(%error, "could not ask the relay for an answer");
                        last = text;
                    }
                }
            }
            if clock.now() >= self.deadline {
                self.leave(Word::Over(Ending::Expired)).await;
                return Err(PairingError::Expired);
            }
            if clock.now() >= refresh {
                self.leave(self.doorway.waiting()).await;
                refresh = clock.now() + CONTACT_REFRESH_INTERVAL;
            }
            // A relay that has waited is asked again at once.
            clock.sleep_until((asked_at + pause).min(self.deadline)).await;
        }
    }

    /// Exchanges introductions on the first lane on which that succeeds. The joiner dials us; after
    /// a while we dial too.
    async fn meet_who(
        &mut self,
        answer: &Waiting,
        (identity, card): (&Arc<Identity>, &[u8]),
        last: &mut Option<SessionError>,
    ) -> Result<Meeting, PairingError> {
        let clock = self.doorway.clock.clone();
        let patience = clock.now() + INVITER_PATIENCE;
        let dial = self.doorway.dial(answer)?;
        let mut dial = pin!(async move {
            clock.sleep_until(patience).await;
            dial.await
        });
        let mut has_dialled = false;
        loop {
            let lane: Option<OpenLane> = tokio::select! {
                lane = self.doorway.arrival() => lane,
                lane = &mut dial, if !has_dialled => {
                    has_dialled = true;
                    lane.map_err(|error| *last = Some(error)).ok()
                }
            };
            let Some(lane) = lane else { continue };
            match Meeting::hold(lane, Role::Inviter, identity, card).await {
                Ok(meeting) => return Ok(meeting),
                Err(PairingError::Oneself) => return Err(PairingError::Oneself),
                Err(error) => tracing::warn!(%error, "a lane of the other side led to no introduction"),
            }
        }
    }

    /// Replaces our record at the relay. A failure is only logged: it is refreshed later, or
    /// expires.
    async fn leave(&self, word: Word) {
        let side = (&self.code, Role::Inviter);
        let left = async {
            let sealed = self.doorway.record(side, word, self.deadline_unix_ms)?;
            let token = self.code.token(Role::Inviter);
            Ok::<_, PairingError>(self.doorway.relay.publish(&token, &sealed).await?)
        };
        if let Err(error) = left.await {
            tracing::warn!(%error, "could not change the record of the invitation");
        }
    }
}

/// The answer at the relay, if there is one; the relay may wait for it. What can't be opened was
/// not made with the code.
async fn answer(
    relay: &RelayClient,
    clock: &Clock,
    code: &InvitationCode,
    wait: Duration,
) -> Result<Option<Waiting>, RelayError> {
    let Some(sealed) = relay.wait_for(&code.token(Role::Joiner), wait).await? else {
        return Ok(None);
    };
    let Ok(record) = InvitationRecord::open(&sealed, (code, Role::Joiner), clock.unix_ms()) else {
        return Ok(None);
    };
    Ok(match record.word {
        Word::Waiting(addresses) => Some(Waiting {
            fingerprint: record.fingerprint,
            addresses,
        }),
        Word::Over(_) => None,
    })
}

/// Returns when there is another answer than the first one.
async fn another_answer(relay: &RelayClient, clock: &Clock, code: &InvitationCode, first: &Waiting) {
    loop {
        clock.sleep_until(clock.now() + ANSWER_POLL_INTERVAL).await;
        let now = answer(relay, clock, code, Duration::ZERO).await;
        if now.is_ok_and(|now| now.is_some_and(|now| now.fingerprint != first.fingerprint)) {
            return;
        }
    }
}
