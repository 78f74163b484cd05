//! The relay as peers use it: its answers, what it never learns, and how a pair copes with a bad
//! relay.

use std::time::Duration;

use axum::http::StatusCode;
use tandem_core::clock::Clock;
use tandem_core::identity::Identity;
use tandem_core::peer::{ConnectError, PeerConfig};
use tandem_core::rendezvous::{
    ContactRecord, LookupToken, RelayClient, RelayProblem, RelayTimeouts, SealedRecord,
};
use tandem_tests::actor::Actor;
use tandem_tests::universe::Universe;

/// A fresh identity with its sealed record.
fn record_of(address: &str) -> (Identity, SealedRecord) {
    let identity = Identity::ephemeral().unwrap();
    let record = ContactRecord::new(
        identity.public_key(),
        vec![address.parse().unwrap()],
        Clock::system().unix_ms(),
    );
    let sealed = record.unwrap().seal(&identity).unwrap();
    (identity, sealed)
}

#[tokio::test]
async fn a_published_record_can_be_looked_up_and_opened() {
    let universe = Universe::builder().strangers().build().await;
    let client = RelayClient::new(universe.relay.url()).unwrap();
    let (identity, sealed) = record_of("[2001:db8::7]:26100");
    let token = LookupToken::of(&identity.fingerprint());
    client.publish(&token, &sealed).await.unwrap();
    let found = client.look_up(&token).await.unwrap().expect("it was published");
    let record = found
        .open(&identity.fingerprint(), Clock::system().unix_ms())
        .unwrap();
    assert_eq!(record.addresses(), ["[2001:db8::7]:26100".parse().unwrap()]);
    universe.close().await;
}

#[tokio::test]
async fn an_unknown_token_finds_nothing() {
    let universe = Universe::builder().strangers().build().await;
    let client = RelayClient::new(universe.relay.url()).unwrap();
    let token = LookupToken::of(&universe.alice.fingerprint());
    assert!(client.look_up(&token).await.unwrap().is_none());
    universe.close().await;
}

#[tokio::test]
async fn each_token_finds_only_its_own_record() {
    let universe = Universe::builder().strangers().build().await;
    let client = RelayClient::new(universe.relay.url()).unwrap();
    let records = [
        record_of("192.0.2.1:1"),
        record_of("192.0.2.2:2"),
        record_of("192.0.2.3:3"),
    ];
    for (identity, sealed) in &records {
        client
            .publish(&LookupToken::of(&identity.fingerprint()), sealed)
            .await
            .unwrap();
    }
    for (identity, sealed) in &records {
        let found = client
            .look_up(&LookupToken::of(&identity.fingerprint()))
            .await
            .unwrap();
        assert_eq!(found.expect("it was published").to_text(), sealed.to_text());
    }
    universe.close().await;
}

#[tokio::test]
async fn a_pair_publishes_two_sealed_records_and_withdraws_them_when_it_closes() {
    let universe = Universe::new().await;
    assert_eq!(universe.relay.holds().len(), 2);
    universe.alice.leave().await;
    assert_eq!(universe.relay.holds().len(), 1);
    universe.bob.leave().await;
    assert_eq!(universe.relay.holds().len(), 0);
    universe.close().await;
}

#[tokio::test]
async fn the_relay_learns_no_fingerprint_no_name_no_address_and_no_key() {
    let universe = Universe::new().await;
    universe
        .alice
        .add("diary-of-2026.txt", b"what I never told")
        .await;
    universe.bob.pull("diary-of-2026.txt").await;
    universe.alice.leave().await;
    universe.bob.leave().await;
    let heard = universe.relay.heard().join("\n").to_lowercase();
    for verb in ["post /register", "get /fetch", "delete /register"] {
        assert!(heard.contains(verb), "the relay received no `{verb}`: {heard}");
    }
    let secrets = [
        secrets_of(&universe.alice),
        secrets_of(&universe.bob),
        vec!["diary".into(), "told".into()],
    ];
    for secret in secrets.iter().flatten() {
        assert!(!heard.contains(secret), "the relay received `{secret}`: {heard}");
    }
    universe.close().await;
}

/// The secrets that a relay must not receive, in every form they could have; lower case.
fn secrets_of(actor: &Actor) -> Vec<String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let fingerprint = actor.fingerprint().to_string().to_lowercase();
    vec![
        fingerprint.replace('-', ""),
        hex(actor.fingerprint().as_bytes()),
        hex(actor.public_key().as_bytes()),
        actor.fingerprint().fmt_short().to_lowercase(),
        format!("]:{}", actor.addr().port()),
        fingerprint,
    ]
}

/// The problem with which connecting alice to bob fails at a bad relay.
async fn refused(universe: &Universe) -> RelayProblem {
    let refusal = universe
        .alice
        .peer()
        .connect(&universe.bob.fingerprint())
        .await
        .unwrap_err();
    let text = refusal.to_string();
    assert!(
        text.contains(universe.relay.url().as_str().trim_end_matches('/')),
        "{text}"
    );
    assert!(text.contains("hint:"), "{text}");
    match refusal {
        ConnectError::Relay(error) => error.problem,
        other => panic!("the error does not blame the relay: {other:?}"),
    }
}

/// Waits only briefly for each answer of a relay.
fn impatient(config: PeerConfig) -> PeerConfig {
    let request = Duration::from_millis(100);
    config.relay_timeouts(RelayTimeouts {
        request,
        ..RelayTimeouts::default()
    })
}

#[tokio::test]
async fn the_error_for_a_relay_that_is_down_names_it_with_a_hint() {
    let universe = Universe::builder().strangers().configure(impatient).build().await;
    universe.relay.shutdown().await;
    assert!(matches!(refused(&universe).await, RelayProblem::Unreachable(_)));
    universe.close().await;
}

#[tokio::test]
async fn a_relay_that_is_too_slow_times_out() {
    let universe = Universe::builder().strangers().configure(impatient).build().await;
    let stall = universe.relay.faults().stall();
    assert!(matches!(refused(&universe).await, RelayProblem::TimedOut { .. }));
    stall.release();
    universe.close().await;
}

#[tokio::test]
async fn garbage_from_a_relay_is_an_error() {
    let briefly = |config: PeerConfig| {
        config
            .connect_timeout(Duration::from_millis(200))
            .initiator_patience(Duration::ZERO)
    };
    let universe = Universe::builder().strangers().configure(briefly).build().await;
    universe.relay.faults().answer_garbage(1000);
    assert!(matches!(refused(&universe).await, RelayProblem::Malformed { .. }));
    universe.close().await;
}

#[tokio::test]
async fn the_error_for_an_overloaded_relay_quotes_its_answer() {
    let universe = Universe::builder().strangers().configure(impatient).build().await;
    universe
        .relay
        .faults()
        .fail_next(1000, StatusCode::SERVICE_UNAVAILABLE);
    assert!(matches!(
        refused(&universe).await,
        RelayProblem::Refused { status: 503, .. }
    ));
    universe.close().await;
}

#[tokio::test]
async fn the_error_for_a_relay_that_breaks_off_its_answers_names_it() {
    let universe = Universe::builder().strangers().configure(impatient).build().await;
    universe.relay.faults().cut_next_answers(1000);
    assert!(matches!(refused(&universe).await, RelayProblem::BrokenOff(_)));
    universe.close().await;
}

#[tokio::test]
async fn a_relay_that_ends_in_the_middle_of_a_request_is_an_error_and_not_a_hang() {
    let universe = Universe::builder().strangers().build().await;
    let stall = universe.relay.faults().stall();
    tokio::join!(refused(&universe), async {
        stall.holds(1).await;
        universe.relay.shutdown().await;
    });
    universe.close().await;
}

#[tokio::test]
async fn a_connected_pair_does_not_need_the_relay() {
    let universe = Universe::new().await;
    universe.relay.shutdown().await;
    universe.alice.add("still.txt", b"together").await;
    assert_eq!(universe.bob.pull("still.txt").await, b"together");
    universe.close().await;
}

#[tokio::test]
async fn a_relay_behind_a_silent_network_times_out() {
    let universe = Universe::builder()
        .strangers()
        .relay_linked()
        .configure(impatient)
        .build()
        .await;
    let silence = universe.relay_link().half_open();
    let bob = universe.bob.fingerprint();
    let refusal = universe.alice.peer().connect(&bob).await.unwrap_err();
    assert!(
        matches!(&refusal, ConnectError::Relay(error) if matches!(error.problem, RelayProblem::TimedOut { .. }))
    );
    silence.heal();
    universe.close().await;
}

#[tokio::test]
async fn a_slow_path_to_the_relay_only_costs_time() {
    let universe = Universe::builder().strangers().relay_linked().build().await;
    let _slow = universe.relay_link().delay(Duration::from_millis(10));
    universe.connect().await;
    universe.alice.add("slow.txt", b"but here").await;
    assert_eq!(universe.bob.pull("slow.txt").await, b"but here");
    universe.close().await;
}
