//! Two people pair their peers by a code: who gets in, who does not, and what each is told.

use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tandem_core::clock::Clock;
use tandem_core::identity::Identity;
use tandem_core::pairing::{Invitation, Meeting, PairingConfig, PairingError, join};
use tandem_core::peer::LoopbackPeers;
use tandem_core::rendezvous::{InvitationCode, RelayClient, Role, SealedRecord};
use tandem_tests::ports::{self, Claim};
use tandem_tests::relay::RelayActor;
use tandem_tests::universe::Universe;
use tandem_tests::wait::{Look, complete, poll_for};

const LIFETIME: Duration = Duration::from_secs(600);

/// One side: its lasting identity and its card.
struct Side {
    identity: Arc<Identity>,
    card: &'static [u8],
}

impl Side {
    fn new(card: &'static [u8]) -> Self {
        let identity = Arc::new(Identity::ephemeral().unwrap());
        Self { identity, card }
    }

    async fn meet(&self, invitation: &mut Invitation) -> Result<Meeting, PairingError> {
        complete(
            Location::caller(),
            "the meeting",
            invitation.meet(&self.identity, self.card),
        )
        .await
    }

    async fn join(&self, code: &InvitationCode, config: PairingConfig) -> Result<Meeting, PairingError> {
        complete(
            Location::caller(),
            "joining",
            join(code, (&self.identity, self.card), config),
        )
        .await
    }
}

fn config(relay: &RelayActor) -> PairingConfig {
    PairingConfig {
        relay: RelayClient::new(relay.url()).unwrap(),
        listener: ports::claim_anywhere().unwrap().listener,
        advertised: Vec::new(),
        loopback_peers: LoopbackPeers::Dialled,
        clock: Clock::system(),
    }
}

fn code() -> InvitationCode {
    InvitationCode::generate().unwrap()
}

async fn offer(relay: &RelayActor, lifetime: Duration) -> Invitation {
    Invitation::offer(code(), lifetime, config(relay)).await.unwrap()
}

async fn strangers() -> (Universe, Side, Side) {
    let universe = Universe::builder().strangers().build().await;
    (universe, Side::new(b"of alice"), Side::new(b"of bob"))
}

/// Alice and bob meet by a new code.
async fn met(universe: &Universe, alice: &Side, bob: &Side) -> (Meeting, Meeting) {
    let mut invitation = offer(&universe.relay, LIFETIME).await;
    let code = invitation.code().clone();
    let (at_alice, at_bob) = tokio::join!(
        alice.meet(&mut invitation),
        bob.join(&code, config(&universe.relay))
    );
    invitation.close().await;
    (at_alice.unwrap(), at_bob.unwrap())
}

#[tokio::test]
async fn two_sides_get_to_know_each_other_by_a_code() {
    let (universe, alice, bob) = strangers().await;
    let (at_alice, at_bob) = met(&universe, &alice, &bob).await;
    assert_eq!(at_alice.remote(), bob.identity.fingerprint());
    assert_eq!(at_bob.remote(), alice.identity.fingerprint());
    assert_eq!((at_alice.card(), at_bob.card()), (bob.card, alice.card));
    assert_eq!(at_alice.check(), at_bob.check());
    let (alice_agrees, bob_agrees) = tokio::join!(at_alice.confirm(), at_bob.confirm());
    alice_agrees.unwrap();
    bob_agrees.unwrap();
    universe.close().await;
}

#[tokio::test]
async fn each_pair_has_another_check() {
    let (universe, alice, bob) = strangers().await;
    let (first, _) = met(&universe, &alice, &bob).await;
    let (second, _) = met(&universe, &alice, &bob).await;
    assert_ne!(first.check(), second.check());
    drop((first, second));
    universe.close().await;
}

#[tokio::test]
async fn a_side_that_declines_is_heard() {
    let (universe, alice, bob) = strangers().await;
    let (at_alice, at_bob) = met(&universe, &alice, &bob).await;
    let (agreed, ()) = tokio::join!(at_alice.confirm(), at_bob.decline());
    assert!(matches!(agreed, Err(PairingError::Declined)), "{agreed:?}");
    universe.close().await;
}

#[tokio::test]
async fn a_code_that_nobody_made_is_unknown() {
    let (universe, _, bob) = strangers().await;
    let error = bob.join(&code(), config(&universe.relay)).await;
    assert!(matches!(error, Err(PairingError::Unknown)), "{error:?}");
    universe.close().await;
}

#[tokio::test]
async fn a_code_is_used_once() {
    let (universe, alice, bob) = strangers().await;
    let mut invitation = offer(&universe.relay, LIFETIME).await;
    let code = invitation.code().clone();
    let (at_alice, at_bob) = tokio::join!(
        alice.meet(&mut invitation),
        bob.join(&code, config(&universe.relay))
    );
    at_alice.unwrap();
    at_bob.unwrap();
    let carol = Side::new(b"of carol");
    let error = carol.join(&code, config(&universe.relay)).await;
    assert!(matches!(error, Err(PairingError::Used)), "{error:?}");
    invitation.close().await;
    universe.close().await;
}

#[tokio::test]
async fn of_two_that_answer_at_once_one_gets_in() {
    let (universe, alice, bob) = strangers().await;
    let carol = Side::new(b"of carol");
    let mut invitation = offer(&universe.relay, LIFETIME).await;
    let code = invitation.code().clone();
    let (at_alice, at_bob, at_carol) = tokio::join!(
        alice.meet(&mut invitation),
        bob.join(&code, config(&universe.relay)),
        carol.join(&code, config(&universe.relay)),
    );
    let got_in = at_alice.unwrap().remote();
    let outcomes = [(at_bob, &bob), (at_carol, &carol)];
    for (outcome, side) in outcomes {
        match outcome {
            Ok(_) => assert_eq!(got_in, side.identity.fingerprint()),
            Err(error) => assert!(matches!(error, PairingError::Used), "{error:?}"),
        }
    }
    invitation.close().await;
    universe.close().await;
}

#[tokio::test]
async fn an_invitation_ends_at_its_deadline_and_says_so() {
    let (universe, alice, bob) = strangers().await;
    let mut invitation = offer(&universe.relay, Duration::ZERO).await;
    let code = invitation.code().clone();
    let ended = alice.meet(&mut invitation).await;
    assert!(matches!(ended, Err(PairingError::Expired)), "{ended:?}");
    let error = bob.join(&code, config(&universe.relay)).await;
    assert!(matches!(error, Err(PairingError::Expired)), "{error:?}");
    invitation.close().await;
    universe.close().await;
}

#[tokio::test]
async fn an_invitation_that_was_taken_back_says_so() {
    let (universe, _, bob) = strangers().await;
    let invitation = offer(&universe.relay, LIFETIME).await;
    let code = invitation.code().clone();
    invitation.withdraw().await;
    let error = bob.join(&code, config(&universe.relay)).await;
    assert!(matches!(error, Err(PairingError::Withdrawn)), "{error:?}");
    universe.close().await;
}

#[tokio::test]
async fn nobody_joins_an_invitation_of_their_own() {
    let (universe, alice, _) = strangers().await;
    let mut invitation = offer(&universe.relay, LIFETIME).await;
    let code = invitation.code().clone();
    let (inviting, joining) = tokio::join!(
        alice.meet(&mut invitation),
        alice.join(&code, config(&universe.relay))
    );
    assert!(matches!(inviting, Err(PairingError::Oneself)), "{inviting:?}");
    assert!(matches!(joining, Err(PairingError::Oneself)), "{joining:?}");
    invitation.close().await;
    universe.close().await;
}

#[tokio::test]
async fn an_inviter_that_can_not_be_dialled_dials_the_joiner() {
    let (universe, alice, bob) = strangers().await;
    let silent = Silent::new();
    let offered = Invitation::offer(code(), LIFETIME, silent.config(&universe.relay)).await;
    let mut invitation = offered.unwrap();
    let code = invitation.code().clone();
    let (at_alice, at_bob) = tokio::join!(
        alice.meet(&mut invitation),
        bob.join(&code, config(&universe.relay))
    );
    assert_eq!(at_alice.unwrap().remote(), bob.identity.fingerprint());
    assert_eq!(at_bob.unwrap().remote(), alice.identity.fingerprint());
    drop(silent);
    invitation.close().await;
    universe.close().await;
}

/// A side that can't be reached: connections to its address are never accepted.
struct Silent(Claim);

impl Silent {
    fn new() -> Self {
        Self(ports::claim_anywhere().unwrap())
    }

    fn config(&self, relay: &RelayActor) -> PairingConfig {
        PairingConfig {
            advertised: vec![self.0.addr],
            ..config(relay)
        }
    }
}

/// The record that mallory leaves for that code when she answers it at another relay.
async fn answer_of_mallory(code: &InvitationCode, relay: &RelayActor) -> SealedRecord {
    let decoy = Invitation::offer(code.clone(), LIFETIME, config(relay))
        .await
        .unwrap();
    let mallory = Side::new(b"of mallory");
    let client = RelayClient::new(relay.url()).unwrap();
    let mut joining = pin!(mallory.join(code, config(relay)));
    let look = async || {
        let found = client.look_up(&code.token(Role::Joiner)).await.unwrap();
        found.map_or_else(|| Look::NotYet("no answer".to_owned()), Look::Ready)
    };
    let sealed = tokio::select! {
        ended = &mut joining => panic!("nobody answers there: {ended:?}"),
        sealed = poll_for(Location::caller(), "mallory's answer", look) => sealed,
    };
    decoy.close().await;
    sealed
}

#[tokio::test]
async fn a_second_answer_ends_the_invitation_loudly() {
    let (universe, alice, bob) = strangers().await;
    let (elsewhere, silent, code) = (
        Universe::builder().strangers().build().await,
        Silent::new(),
        code(),
    );
    let planted = answer_of_mallory(&code, &elsewhere.relay).await;
    let client = RelayClient::new(universe.relay.url()).unwrap();
    let offered = Invitation::offer(code.clone(), LIFETIME, silent.config(&universe.relay)).await;
    let mut invitation = offered.unwrap();
    let open = client.look_up(&code.token(Role::Inviter)).await.unwrap();
    let is_answered = async || {
        let now = client.look_up(&code.token(Role::Inviter)).await.unwrap();
        if now == open {
            Look::NotYet("still open".to_owned())
        } else {
            Look::Ready(())
        }
    };
    let bob_and_mallory = async {
        let joining = bob.join(&code, silent.config(&universe.relay));
        tokio::select! {
            ended = joining => panic!("bob can't be reached: {ended:?}"),
            () = poll_for(Location::caller(), "alice sees bob's answer", is_answered) => {}
        }
        client.publish(&code.token(Role::Joiner), &planted).await.unwrap();
    };
    let (met, ()) = tokio::join!(alice.meet(&mut invitation), bob_and_mallory);
    assert!(matches!(met, Err(PairingError::Interfered)), "{met:?}");
    drop(silent);
    invitation.close().await;
    elsewhere.close().await;
    universe.close().await;
}
