//! Two peers find each other and prove who they are, or refuse.

use std::time::Duration;

use tandem_core::identity::{Fingerprint, FingerprintError};
use tandem_core::peer::{ConnectError, PeerConfig, SessionState};
use tandem_core::session::SessionError;
use tandem_tests::universe::Universe;

/// Gives up soon, for tests in which connecting must fail.
fn impatient(config: PeerConfig) -> PeerConfig {
    config
        .connect_timeout(Duration::from_millis(150))
        .initiator_patience(Duration::from_millis(10))
}

#[tokio::test]
async fn either_side_may_start_connecting_first() {
    let universe = Universe::builder().strangers().build().await;
    let (alice, bob) = (&universe.alice, &universe.bob);
    let joining = tokio::spawn({
        let (alice, bob) = (alice.clone(), bob.clone());
        async move { bob.connect(&alice).await }
    });
    universe.relay.hears("POST /register").await;
    alice.connect(bob).await;
    joining.await.unwrap();
    assert_eq!(bob.status().state, SessionState::Connected);
    universe.close().await;
}

#[tokio::test]
async fn a_peer_can_not_connect_to_its_own_fingerprint() {
    let universe = Universe::builder().strangers().build().await;
    let own = universe.alice.fingerprint();
    let refusal = universe.alice.peer().connect(&own).await.unwrap_err();
    assert!(
        matches!(refusal, ConnectError::OwnFingerprint { .. }),
        "{refusal:?}"
    );
    assert!(refusal.to_string().contains(&own.fmt_short()), "{refusal}");
    universe.close().await;
}

#[test]
fn an_empty_fingerprint_is_refused_when_it_is_parsed() {
    assert_eq!("".parse::<Fingerprint>(), Err(FingerprintError::Empty));
    assert_eq!(" - ".parse::<Fingerprint>(), Err(FingerprintError::Empty));
}

#[tokio::test]
async fn a_mistyped_fingerprint_is_refused_by_its_check_group() {
    let universe = Universe::builder().strangers().build().await;
    let mut text = universe.bob.fingerprint().to_string();
    let wrong = if text.starts_with('0') { "1" } else { "0" };
    text.replace_range(..1, wrong);
    let refusal = text.parse::<Fingerprint>().unwrap_err();
    assert!(
        matches!(refusal, FingerprintError::WrongCheck { .. }),
        "{refusal:?}"
    );
    universe.close().await;
}

#[tokio::test]
async fn a_peer_that_is_offline_is_not_found() {
    let universe = Universe::builder().strangers().configure(impatient).build().await;
    let refusal = universe
        .alice
        .peer()
        .connect(&universe.bob.fingerprint())
        .await
        .unwrap_err();
    assert!(matches!(refusal, ConnectError::NotFound { .. }), "{refusal:?}");
    let text = refusal.to_string();
    assert!(
        text.contains(&universe.bob.fingerprint().fmt_short()) && text.contains("hint:"),
        "{text}"
    );
    universe.close().await;
}

#[tokio::test]
async fn both_sides_refuse_a_peer_that_they_did_not_ask_for() {
    let universe = Universe::builder().strangers().configure(impatient).build().await;
    let mallory = universe.join("mallory").await;
    let (alice, bob) = (universe.alice.peer(), universe.bob.peer());
    // Bob waits for alice and alice for bob, but mallory dials bob.
    bob.expect(&alice.fingerprint()).unwrap();
    let refusal = mallory
        .peer()
        .connect_directly(&bob.fingerprint(), &[bob.local_addr()])
        .await
        .unwrap_err();
    assert!(
        matches!(refusal, ConnectError::Session(SessionError::Refused { .. })),
        "{refusal:?}"
    );
    // Alice dials mallory's address and expects bob; mallory has the wrong key.
    mallory.peer().expect(&alice.fingerprint()).unwrap();
    let refusal = alice
        .connect_directly(&bob.fingerprint(), &[mallory.addr()])
        .await
        .unwrap_err();
    assert!(
        matches!(
            refusal,
            ConnectError::Session(SessionError::WrongFingerprint { .. })
        ),
        "{refusal:?}"
    );
    drop((alice, bob));
    universe.close().await;
}

#[tokio::test]
async fn a_third_peer_can_not_join_a_pair() {
    // Alice refuses at once. Mallory's peer reports the refusal only at its timeout, because alice
    // could begin to expect it in the meantime.
    let patient_enough = |config| impatient(config).connect_timeout(Duration::from_secs(1));
    let universe = Universe::builder().configure(patient_enough).build().await;
    let mallory = universe.join("mallory").await;
    let refusal = mallory
        .peer()
        .connect(&universe.alice.fingerprint())
        .await
        .unwrap_err();
    assert!(
        matches!(refusal, ConnectError::Session(SessionError::Refused { .. })),
        "{refusal:?}"
    );
    assert_eq!(universe.alice.status().peer, Some(universe.bob.fingerprint()));
    universe.alice.add("still.txt", b"together").await;
    assert_eq!(universe.bob.pull("still.txt").await, b"together");
    universe.close().await;
}

#[tokio::test]
async fn connecting_a_second_time_changes_nothing() {
    let universe = Universe::new().await;
    universe.connect().await;
    universe.alice.add("still.txt", b"together").await;
    assert_eq!(universe.bob.pull("still.txt").await, b"together");
    universe.close().await;
}
