//! The side that was given the code.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::doorway::{Doorway, Waiting};
use super::introduction::check_card;
use super::{Meeting, PairingConfig, PairingError};
use crate::clock::millis;
use crate::identity::Identity;
use crate::limits::{
    CONTACT_RECORD_LIFETIME, JOINER_DIAL_INTERVAL_FIRST, JOINER_DIAL_INTERVAL_MAX, PAIRING_TIMEOUT,
};
use crate::rendezvous::{Ending, InvitationCode, InvitationRecord, Published, RecordError, Role, Word};
use crate::session::SessionError;

/// Answers an invitation, and exchanges introductions with who made it.
///
/// # Errors
/// [`PairingError::Unknown`], [`PairingError::Used`], [`PairingError::Expired`] and
/// [`PairingError::Withdrawn`] at once; [`PairingError::NotReached`] when the inviter does not
/// come.
pub async fn join(
    code: &InvitationCode,
    (identity, card): (&Arc<Identity>, &[u8]),
    config: PairingConfig,
) -> Result<Meeting, PairingError> {
    check_card(card)?;
    let mut doorway = Doorway::open(config)?;
    let met = answer(&mut doorway, code, (identity, card)).await;
    doorway.close().await;
    met
}

async fn answer(
    doorway: &mut Doorway,
    code: &InvitationCode,
    who: (&Arc<Identity>, &[u8]),
) -> Result<Meeting, PairingError> {
    let inviter = look_up(doorway, code).await?;
    doorway.expect(inviter.fingerprint);
    let deadline = doorway
        .clock
        .unix_ms()
        .saturating_add(millis(CONTACT_RECORD_LIFETIME));
    let sealed = doorway.record((code, Role::Joiner), doorway.waiting(), deadline)?;
    let token = code.token(Role::Joiner);
    if doorway.relay.publish_first(&token, &sealed).await? == Published::Taken {
        return Err(PairingError::Used);
    }
    let (limit, mut last) = (PAIRING_TIMEOUT, None);
    let met = timeout(limit, meet(doorway, &inviter, who, &mut last)).await;
    met.unwrap_or_else(|_| Err(PairingError::NotReached { limit, last }))
}

/// Where the inviter waits.
async fn look_up(doorway: &Doorway, code: &InvitationCode) -> Result<Waiting, PairingError> {
    let role = Role::Inviter;
    let sealed = doorway.relay.look_up(&code.token(role)).await?;
    let sealed = sealed.ok_or(PairingError::Unknown)?;
    let record = InvitationRecord::open(&sealed, (code, role), doorway.clock.unix_ms());
    let record = record.map_err(|error| match error {
        RecordError::Expired { .. } => PairingError::Expired,
        other => other.into(),
    })?;
    match record.word {
        Word::Waiting(addresses) => Ok(Waiting {
            fingerprint: record.fingerprint,
            addresses,
        }),
        Word::Over(Ending::Used) => Err(PairingError::Used),
        Word::Over(Ending::Expired) => Err(PairingError::Expired),
        Word::Over(Ending::Withdrawn) => Err(PairingError::Withdrawn),
    }
}

/// Dials the inviter again and again, because it refuses us until it has found our answer, and lets
/// it in. Introductions are exchanged on each open lane; the inviter speaks on one of them.
async fn meet(
    doorway: &mut Doorway,
    inviter: &Waiting,
    (identity, card): (&Arc<Identity>, &[u8]),
    last: &mut Option<SessionError>,
) -> Result<Meeting, PairingError> {
    let card: Arc<[u8]> = card.into();
    let (mut dials, mut holds) = (JoinSet::new(), JoinSet::new());
    dials.spawn(doorway.dial(inviter)?);
    let mut pause = JOINER_DIAL_INTERVAL_FIRST;
    loop {
        let lane = tokio::select! {
            Some(lane) = doorway.arrival() => Some(lane),
            Some(dialled) = dials.join_next() => {
                let dialled = dialled.unwrap_or(Err(SessionError::Ended));
                dialled.map_err(|error| *last = Some(error)).ok()
            }
            Some(held) = holds.join_next() => match held {
                Ok(Ok(meeting)) => return Ok(meeting),
                Ok(Err(PairingError::Oneself)) => return Err(PairingError::Oneself),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a lane led to no introduction");
                    None
                }
                Err(_) => None,
            },
            else => return Err(SessionError::Ended.into()),
        };
        let Some(lane) = lane else {
            let (clock, dial) = (doorway.clock.clone(), doorway.dial(inviter)?);
            dials.spawn(async move {
                clock.sleep_until(clock.now() + pause).await;
                dial.await
            });
            pause = (pause * 2).min(JOINER_DIAL_INTERVAL_MAX);
            continue;
        };
        let (identity, card) = (identity.clone(), card.clone());
        holds.spawn(async move { Meeting::hold(lane, Role::Joiner, &identity, &card).await });
    }
}
