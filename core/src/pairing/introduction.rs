//! What each side says about itself on a lane of single-use identities: the key that lasts, a
//! random number, and a card, signed over that lane.
//!
//! The inviter first sends a hash of its key and its number, its [`Promise`]. The joiner then
//! introduces itself, and then the inviter. So when a side chooses its key and its number, it knows
//! neither number of the other side's, and can't choose them by the check that they make.

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
const PROMISE_CONTEXT: &str = "tandem 2026-11 promise of an introduction";
/// Symbols of a check: 40 bits. Who sits between the two can't compute with which key both checks
/// are equal before it has shown the key, so each lane is one attempt of about 2^40.
const CHECK_SYMBOL_COUNT: usize = 8;

/// One side's introduction, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Introduction {
    public_key: PublicKey,
    /// An Ed25519 signature in two halves.
    signature: ([u8; 32], [u8; 32]),
    nonce: Nonce,
    card: Vec<u8>,
}

/// A random number that is used for one introduction.
type Nonce = [u8; 32];

/// A hash of an introduction's key and number, which is sent before these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Promise([u8; 32]);

/// What a verified introduction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Introduced {
    pub(super) fingerprint: Fingerprint,
    nonce: Nonce,
    pub(super) card: Vec<u8>,
}

/// A short text that is the same for both sides only if nobody sits between them. Two groups of
/// four Crockford base32 symbols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairCheck(String);

impl Introduction {
    /// The introduction of the side `role` on that lane.
    ///
    /// # Errors
    /// [`PairingError::CardTooLong`], [`PairingError::NoRandomness`].
    pub(super) fn sign(
        identity: &Identity,
        (session, role): (&SessionId, Role),
        card: &[u8],
    ) -> Result<Self, PairingError> {
        check_card(card)?;
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(PairingError::NoRandomness)?;
        let signature = identity.sign(&message(session, role, (&nonce, card)));
        let (first, second) = signature.split_at(32);
        let mut halves = ([0; 32], [0; 32]);
        halves.0.copy_from_slice(first);
        halves.1.copy_from_slice(second);
        Ok(Self {
            public_key: identity.public_key(),
            signature: halves,
            nonce,
            card: card.to_vec(),
        })
    }

    /// The hash that is sent before this introduction.
    pub(super) fn promise(&self) -> Promise {
        let parts = [self.public_key.as_bytes().as_slice(), &self.nonce].concat();
        Promise(blake3::derive_key(PROMISE_CONTEXT, &parts))
    }

    /// Checks that this introduction is the one that was promised.
    ///
    /// # Errors
    /// [`PairingError::Protocol`].
    pub(super) fn keeps(self, promise: Promise) -> Result<Self, PairingError> {
        if self.promise() == promise {
            return Ok(self);
        }
        Err(PairingError::Protocol {
            problem: "its introduction is not the one that it has promised".to_owned(),
        })
    }

    /// What the side `role` says, if it says it on this lane.
    ///
    /// # Errors
    /// [`PairingError::Protocol`].
    pub(super) fn verify(self, (session, role): (&SessionId, Role)) -> Result<Introduced, PairingError> {
        check_card(&self.card)?;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&self.signature.0);
        signature[32..].copy_from_slice(&self.signature.1);
        let verified = self
            .public_key
            .verify(&message(session, role, (&self.nonce, &self.card)), &signature);
        verified.map_err(|_| PairingError::Protocol {
            problem: "its introduction is not signed for this connection".to_owned(),
        })?;
        Ok(Introduced {
            fingerprint: Fingerprint::of(&self.public_key),
            nonce: self.nonce,
            card: self.card,
        })
    }
}

pub(super) fn check_card(card: &[u8]) -> Result<(), PairingError> {
    let (len, limit) = (card.len(), CARD_LEN_MAX);
    if len > limit {
        return Err(PairingError::CardTooLong { len, limit });
    }
    Ok(())
}

fn message(session: &SessionId, role: Role, (nonce, card): (&Nonce, &[u8])) -> Vec<u8> {
    let role = match role {
        Role::Inviter => 0,
        Role::Joiner => 1,
    };
    [SIGNATURE_CONTEXT, &session.0, &[role], nonce, card].concat()
}

impl Introduced {
    /// What is part of the check.
    fn checked(&self) -> Vec<u8> {
        [self.fingerprint.as_bytes().as_slice(), &self.nonce].concat()
    }
}

impl PairCheck {
    pub(super) fn of(session: &SessionId, inviter: &Introduced, joiner: &Introduced) -> Self {
        let (inviter, joiner) = (inviter.checked(), joiner.checked());
        let parts = [session.0.as_slice(), &inviter, &joiner].concat();
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
    fn an_introduction_and_a_promise_have_golden_bytes() {
        let introduction = Introduction {
            public_key: alice().public_key(),
            signature: ([1; 32], [2; 32]),
            nonce: [3; 32],
            card: b"card".to_vec(),
        };
        let key = alice().public_key();
        let golden = [
            key.as_bytes().as_slice(),
            &[1; 32],
            &[2; 32],
            &[3; 32],
            b"\x04card",
        ]
        .concat();
        assert_eq!(postcard::to_stdvec(&introduction).unwrap(), golden);
        assert_eq!(postcard::to_stdvec(&Promise([4; 32])).unwrap(), [4; 32]);
    }

    #[test]
    fn an_introduction_is_read_on_its_lane_and_for_its_side_only() {
        let read = signed(b"card").verify((&LANE, Role::Inviter)).unwrap();
        assert_eq!(read.fingerprint, alice().fingerprint());
        assert_eq!(read.card, b"card");
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
    fn an_introduction_keeps_its_own_promise_only() {
        let (promised, other) = (signed(b"card"), signed(b"card"));
        let promise = promised.promise();
        let mut changed = promised.clone();
        changed.nonce[0] ^= 1;
        assert!(promised.keeps(promise).is_ok());
        for broken in [other, changed] {
            assert!(matches!(
                broken.keeps(promise),
                Err(PairingError::Protocol { .. })
            ));
        }
    }

    #[test]
    fn a_check_depends_on_the_lane_and_on_both_sides_and_their_numbers() {
        let introduced = |key: u8, nonce: u8| Introduced {
            fingerprint: Fingerprint::from_bytes([key; 20]),
            nonce: [nonce; 32],
            card: Vec::new(),
        };
        let (a, b) = (introduced(1, 1), introduced(2, 2));
        let check = PairCheck::of(&LANE, &a, &b);
        assert_eq!(check.to_string(), "MRSE-CDKH");
        assert_ne!(check, PairCheck::of(&LANE, &b, &a));
        assert_ne!(check, PairCheck::of(&SessionId([6; 32]), &a, &b));
        for other in [introduced(3, 2), introduced(2, 3)] {
            assert_ne!(check, PairCheck::of(&LANE, &a, &other));
        }
        assert_ne!(check, PairCheck::of(&LANE, &introduced(1, 3), &b));
    }
}
