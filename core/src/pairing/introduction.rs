//! What each side says about itself on a lane of single-use identities: the key that lasts, and a
//! card, signed over that lane.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::PairingError;
use crate::crockford::symbols_of;
use crate::identity::{Fingerprint, Identity, PublicKey};
use crate::limits::CARD_LEN_MAX;
use crate::rendezvous::Role;
use crate::session::SessionId;

const SIGNATURE_CONTEXT: &[u8] = b"tandem 2026-11 introduction\0";
const CHECK_CONTEXT: &str = "tandem 2026-11 check of a pair";
/// Symbols of a check: 40 bits. Who sits between the two could try keys until both checks are
/// equal, but would have to try about 2^40 of them before the handshake times out.
const CHECK_SYMBOL_COUNT: usize = 8;

/// One side's introduction, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Introduction {
    public_key: PublicKey,
    /// An Ed25519 signature in two halves.
    signature: ([u8; 32], [u8; 32]),
    card: Vec<u8>,
}

/// A short text that is the same for both sides only if nobody sits between them. Two groups of
/// four Crockford base32 symbols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairCheck(String);

impl Introduction {
    /// The introduction of the side `role` on that lane.
    ///
    /// # Errors
    /// [`PairingError::CardTooLong`].
    pub(super) fn sign(
        identity: &Identity,
        (session, role): (&SessionId, Role),
        card: &[u8],
    ) -> Result<Self, PairingError> {
        check_card(card)?;
        let signature = identity.sign(&message(session, role, card));
        let (first, second) = signature.split_at(32);
        let mut halves = ([0; 32], [0; 32]);
        halves.0.copy_from_slice(first);
        halves.1.copy_from_slice(second);
        Ok(Self {
            public_key: identity.public_key(),
            signature: halves,
            card: card.to_vec(),
        })
    }

    /// The fingerprint and the card of the side `role`, if they belong to this lane.
    ///
    /// # Errors
    /// [`PairingError::Protocol`].
    pub(super) fn verify(
        self,
        (session, role): (&SessionId, Role),
    ) -> Result<(Fingerprint, Vec<u8>), PairingError> {
        check_card(&self.card)?;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&self.signature.0);
        signature[32..].copy_from_slice(&self.signature.1);
        let verified = self
            .public_key
            .verify(&message(session, role, &self.card), &signature);
        verified.map_err(|_| PairingError::Protocol {
            problem: "its introduction is not signed for this connection".to_owned(),
        })?;
        Ok((Fingerprint::of(&self.public_key), self.card))
    }
}

pub(super) fn check_card(card: &[u8]) -> Result<(), PairingError> {
    let (len, limit) = (card.len(), CARD_LEN_MAX);
    if len > limit {
        return Err(PairingError::CardTooLong { len, limit });
    }
    Ok(())
}

fn message(session: &SessionId, role: Role, card: &[u8]) -> Vec<u8> {
    let role = match role {
        Role::Inviter => 0,
        Role::Joiner => 1,
    };
    [SIGNATURE_CONTEXT, &session.0, &[role], card].concat()
}

impl PairCheck {
    pub(super) fn of(session: &SessionId, inviter: &Fingerprint, joiner: &Fingerprint) -> Self {
        let parts = [session.0.as_slice(), inviter.as_bytes(), joiner.as_bytes()].concat();
        let hash = blake3::derive_key(CHECK_CONTEXT, &parts);
        let symbols: String = symbols_of(&hash).take(CHECK_SYMBOL_COUNT).collect();
        let (first, second) = symbols.split_at(CHECK_SYMBOL_COUNT / 2);
        Self(format!("{first}-{second}"))
    }
}

impl fmt::Display for PairCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    const LANE: SessionId = SessionId([5; 32]);

    fn alice() -> Identity {
        Identity::from_seed(Zeroizing::new([1; 32])).unwrap()
    }

    fn signed(card: &[u8]) -> Introduction {
        Introduction::sign(&alice(), (&LANE, Role::Inviter), card).unwrap()
    }

    fn is_refused(introduction: Introduction, lane: (&SessionId, Role)) -> bool {
        matches!(introduction.verify(lane), Err(PairingError::Protocol { .. }))
    }

    #[test]
    fn an_introduction_is_read_on_its_lane_and_for_its_side_only() {
        let read = signed(b"card").verify((&LANE, Role::Inviter)).unwrap();
        assert_eq!(read, (alice().fingerprint(), b"card".to_vec()));
        assert!(is_refused(signed(b"card"), (&LANE, Role::Joiner)));
        assert!(is_refused(signed(b"card"), (&SessionId([6; 32]), Role::Inviter)));
        let mut changed = signed(b"card");
        changed.card.push(b's');
        assert!(is_refused(changed, (&LANE, Role::Inviter)));
    }

    #[test]
    fn a_card_may_have_the_longest_length_and_not_one_byte_more() {
        let lane = (&LANE, Role::Joiner);
        assert!(Introduction::sign(&alice(), lane, &vec![0; CARD_LEN_MAX]).is_ok());
        let error = Introduction::sign(&alice(), lane, &vec![0; CARD_LEN_MAX + 1]);
        assert!(matches!(error, Err(PairingError::CardTooLong { .. })));
    }

    #[test]
    fn a_check_depends_on_the_lane_and_on_both_sides() {
        let [a, b] = [[1; 20], [2; 20]].map(Fingerprint::from_bytes);
        let check = PairCheck::of(&LANE, &a, &b);
        assert_eq!(check.to_string(), "BSJ7-6E67");
        assert_ne!(check, PairCheck::of(&LANE, &b, &a));
        assert_ne!(check, PairCheck::of(&SessionId([6; 32]), &a, &b));
        assert_ne!(check, PairCheck::of(&LANE, &a, &Fingerprint::from_bytes([3; 20])));
    }
}
