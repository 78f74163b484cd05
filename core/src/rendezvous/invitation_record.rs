//! What each side of an invitation leaves for the other at the relay: where its single-use identity
//! can be reached, or that the invitation is over.
//!
//! Same form and length as a contact record, so that a relay can't tell them apart, and signed
//! under a context of its own with the invitation's id and the role, so that neither an ordinary
//! record nor the record of the other side can take its place.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::invitation::{InvitationCode, Role};
use super::record::{RecordError, without_zone};
use super::sealed::SealedRecord;
use super::signed::{BODY_ROOM, Parts, sign};
use crate::clock::millis;
use crate::identity::{Fingerprint, Identity};
use crate::limits::{CLOCK_SKEW_MAX, CONTACT_ADDRESS_COUNT_MAX};

const SIGNATURE_CONTEXT: &[u8] = b"tandem 2026-11 invitation record\0";
/// An id, a role, a deadline of at most 10 bytes, a kind, a count, and addresses of at most 20
/// bytes.
const LONGEST_BODY_LEN: usize = 32 + 1 + 10 + 1 + 1 + CONTACT_ADDRESS_COUNT_MAX * 20;
const _: () = assert!(LONGEST_BODY_LEN <= BODY_ROOM);

/// What one side of an invitation says to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvitationRecord {
    /// The single-use identity of that side.
    pub(crate) fingerprint: Fingerprint,
    pub(crate) word: Word,
}

/// The content of a record. The order of the variants is their number on the wire: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Word {
    /// It waits at these addresses, best first.
    Waiting(Vec<SocketAddr>),
    /// The invitation is over.
    Over(Ending),
}

/// How an invitation ended. The order of the variants is their number on the wire: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// Someone joined.
    Used,
    /// Its time ran out.
    Expired,
    /// The inviter took it back.
    Withdrawn,
}

#[derive(Debug, Serialize, Deserialize)]
struct Body {
    invitation: [u8; 32],
    role: Role,
    deadline_unix_ms: u64,
    word: Word,
}

impl InvitationRecord {
    /// The sealed record of the side `role` of the invitation, valid until `deadline_unix_ms`.
    ///
    /// # Errors
    /// [`RecordError::TooManyAddresses`], [`RecordError::NoRandomness`].
    pub(crate) fn seal(
        identity: &Identity,
        (code, role): (&InvitationCode, Role),
        word: Word,
        deadline_unix_ms: u64,
    ) -> Result<SealedRecord, RecordError> {
        let body = Body {
            invitation: code.id(),
            role,
            deadline_unix_ms,
            word: word.without_zones(),
        };
        body.word.check_count()?;
        let bytes = postcard::to_stdvec(&body).map_err(|_| RecordError::Malformed {
            problem: "its body can't be written",
        })?;
        code.seal(role)
            .close(&*sign(SIGNATURE_CONTEXT, identity, &bytes)?)
    }

    /// Reads the record of the side `role`. Checks in this order: seal, version, signature, form,
    /// invitation and role, deadline at `now_unix_ms`, with the tolerance [`CLOCK_SKEW_MAX`].
    ///
    /// # Errors
    /// Each check has its own variant of [`RecordError`].
    pub(crate) fn open(
        sealed: &SealedRecord,
        (code, role): (&InvitationCode, Role),
        now_unix_ms: u64,
    ) -> Result<Self, RecordError> {
        let signed = code.seal(role).open(sealed)?;
        let parts = Parts::of(&signed)?;
        parts.verify(SIGNATURE_CONTEXT)?;
        let body = Body::decode(parts.body)?;
        if body.invitation != code.id() || body.role != role {
            return Err(RecordError::Malformed {
                problem: "it belongs to another invitation, or to its other side",
            });
        }
        let late = now_unix_ms.saturating_sub(body.deadline_unix_ms);
        if late >= millis(CLOCK_SKEW_MAX) {
            let ago = Duration::from_millis(late);
            return Err(RecordError::Expired { ago });
        }
        let fingerprint = Fingerprint::of(&parts.public_key);
        Ok(Self {
            fingerprint,
            word: body.word,
        })
    }
}

impl Body {
    fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match postcard::take_from_bytes::<Self>(bytes) {
            Ok((body, [])) => body.word.check_count().map(|()| body),
            Ok(_) => Err(RecordError::Malformed {
                problem: "bytes follow its body",
            }),
            Err(_) => Err(RecordError::Malformed {
                problem: "its body can't be read",
            }),
        }
    }
}

impl Word {
    fn without_zones(self) -> Self {
        match self {
            Self::Waiting(addresses) => Self::Waiting(addresses.into_iter().map(without_zone).collect()),
            over @ Self::Over(_) => over,
        }
    }

    fn check_count(&self) -> Result<(), RecordError> {
        let limit = CONTACT_ADDRESS_COUNT_MAX;
        match self {
            Self::Waiting(addresses) if addresses.len() > limit => Err(RecordError::TooManyAddresses {
                count: addresses.len(),
                limit,
            }),
            Self::Waiting(_) | Self::Over(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;
    use crate::rendezvous::ContactRecord;

    const NOW: u64 = 1_800_000_000_000;
    const DEADLINE: u64 = NOW + 600_000;
    const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 26_100);

    fn alice() -> Identity {
        Identity::from_seed(Zeroizing::new([1; 32])).unwrap()
    }

    fn code() -> InvitationCode {
        "RKJQ-9XMJ-4PEA-CGHZ-T479".parse().unwrap()
    }

    fn waiting() -> Word {
        Word::Waiting(vec![ADDRESS])
    }

    fn sealed(role: Role, word: Word) -> SealedRecord {
        InvitationRecord::seal(&alice(), (&code(), role), word, DEADLINE).unwrap()
    }

    fn open(sealed: &SealedRecord, role: Role) -> Result<InvitationRecord, RecordError> {
        InvitationRecord::open(sealed, (&code(), role), NOW)
    }

    /// Seals, for the inviter, a body that alice signed under `context`.
    fn with_body(context: &[u8], body: &[u8]) -> SealedRecord {
        let signed = sign(context, &alice(), body).unwrap();
        code().seal(Role::Inviter).close(&signed).unwrap()
    }

    #[test]
    fn a_record_is_opened_with_its_code_and_role() {
        for word in [waiting(), Word::Over(Ending::Used)] {
            let opened = open(&sealed(Role::Joiner, word.clone()), Role::Joiner).unwrap();
            assert_eq!(opened.word, word);
            assert_eq!(opened.fingerprint, alice().fingerprint());
        }
    }

    #[test]
    fn the_body_never_changes() {
        let body = Body {
            invitation: [7; 32],
            role: Role::Joiner,
            deadline_unix_ms: 5,
            word: waiting(),
        };
        let mut golden = vec![7; 32];
        golden.extend([1, 5, 0, 1, 0, 127, 0, 0, 1, 0xf4, 0xcb, 1]);
        assert_eq!(postcard::to_stdvec(&body).unwrap(), golden);
    }

    #[test]
    fn another_code_does_not_open_it() {
        let other = InvitationCode::generate().unwrap();
        let opened = InvitationRecord::open(&sealed(Role::Inviter, waiting()), (&other, Role::Inviter), NOW);
        assert!(matches!(opened, Err(RecordError::BrokenSeal)), "{opened:?}");
    }

    #[test]
    fn the_record_of_one_side_is_not_taken_for_that_of_the_other() {
        let opened = open(&sealed(Role::Inviter, waiting()), Role::Joiner);
        assert!(matches!(opened, Err(RecordError::BrokenSeal)), "{opened:?}");
        // Someone who has the code can seal it again, but not sign it.
        let signed = code()
            .seal(Role::Inviter)
            .open(&sealed(Role::Inviter, waiting()))
            .unwrap();
        let opened = open(&code().seal(Role::Joiner).close(&signed).unwrap(), Role::Joiner);
        assert!(matches!(opened, Err(RecordError::Malformed { .. })), "{opened:?}");
    }

    #[test]
    fn a_contact_record_can_not_be_sealed_again_as_an_invitation() {
        let contact = ContactRecord::new(alice().public_key(), vec![ADDRESS], NOW).unwrap();
        let signed = contact.to_signed(&alice()).unwrap();
        let opened = open(&code().seal(Role::Inviter).close(&signed).unwrap(), Role::Inviter);
        assert!(matches!(opened, Err(RecordError::BrokenSignature)), "{opened:?}");
    }

    #[test]
    fn a_record_expires_one_tolerance_after_its_deadline() {
        let sealed = sealed(Role::Inviter, waiting());
        let at = |now| InvitationRecord::open(&sealed, (&code(), Role::Inviter), now);
        let last = DEADLINE + millis(CLOCK_SKEW_MAX) - 1;
        assert!(at(last).is_ok());
        assert!(matches!(at(last + 1), Err(RecordError::Expired { .. })));
    }

    #[test]
    fn more_addresses_than_the_limit_are_refused_even_if_signed() {
        let with = |count| Body {
            invitation: code().id(),
            role: Role::Inviter,
            deadline_unix_ms: DEADLINE,
            word: Word::Waiting(vec![ADDRESS; count]),
        };
        let read = |count| {
            let body = postcard::to_stdvec(&with(count)).unwrap();
            open(&with_body(SIGNATURE_CONTEXT, &body), Role::Inviter)
        };
        assert!(read(CONTACT_ADDRESS_COUNT_MAX).is_ok());
        let error = read(CONTACT_ADDRESS_COUNT_MAX + 1);
        assert!(matches!(
            error,
            Err(RecordError::TooManyAddresses { count: 17, limit: 16 })
        ));
    }

    proptest! {
        #[test]
        fn arbitrary_signed_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..BODY_ROOM)) {
            drop(open(&with_body(SIGNATURE_CONTEXT, &body), Role::Inviter));
        }
    }
}
