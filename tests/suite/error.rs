//! Mistakes of users and failures: each is a typed error whose message names the object and says
//! what a person can do.

use tandem_core::catalog::SharePath;
use tandem_core::peer::{Peer, PeerConfig, PullError, ShareError, StartError};
use tandem_core::store::SourceError;
#[cfg(unix)]
use tandem_tests::privileges::Unprivileged;
use tandem_tests::universe::Universe;

/// Checks that the message names `thing` and has a hint on a line of its own.
fn assert_helps(error: &impl std::fmt::Display, thing: &str) {
    let text = error.to_string();
    assert!(
        text.contains(&format!("`{thing}`")),
        "`{thing}` is not named: {text}"
    );
    assert!(text.contains("\nhint: "), "no hint in the message: {text}");
}

fn path(name: &str) -> SharePath {
    SharePath::parse(name).unwrap()
}

#[tokio::test]
async fn a_missing_file_can_not_be_added() {
    let universe = Universe::new().await;
    let missing = universe.root().join("no such file.txt");
    let refusal = universe.alice.peer().add(&missing).await.unwrap_err();
    assert!(
        matches!(refusal, ShareError::Source(SourceError::Missing { .. })),
        "{refusal:?}"
    );
    assert_helps(&refusal, &missing.display().to_string());
    universe.close().await;
}

#[tokio::test]
async fn a_directory_can_not_be_added_as_a_file() {
    let universe = Universe::new().await;
    let refusal = universe.alice.peer().add(universe.root()).await.unwrap_err();
    assert!(
        matches!(refusal, ShareError::Source(SourceError::IsFolder { .. })),
        "{refusal:?}"
    );
    assert_helps(&refusal, &universe.root().display().to_string());
    universe.close().await;
}

#[tokio::test]
async fn an_unknown_name_can_not_be_pulled_removed_or_renamed() {
    let universe = Universe::new().await;
    let refusal = universe.bob.try_pull("nobody.txt").await.unwrap_err();
    assert!(matches!(refusal, PullError::Unknown { .. }), "{refusal:?}");
    assert_helps(&refusal, "nobody.txt");
    let removal = universe.bob.peer().remove(&path("nobody.txt")).unwrap_err();
    let renaming = universe
        .bob
        .peer()
        .rename(&path("nobody.txt"), &path("other.txt"))
        .unwrap_err();
    assert!(removal.to_string().contains("`nobody.txt`") && renaming.to_string().contains("`nobody.txt`"));
    universe.close().await;
}

#[tokio::test]
async fn sharing_another_file_under_a_taken_name_is_refused_and_changes_nothing() {
    let universe = Universe::new().await;
    universe.alice.add("notes.txt", b"the first").await;
    let other = universe.alice.write("other/notes.txt", b"quite another");
    let refusal = universe.alice.peer().add(&other).await.unwrap_err();
    assert!(matches!(refusal, ShareError::NameTaken { .. }), "{refusal:?}");
    assert_helps(&refusal, "notes.txt");
    assert_eq!(universe.bob.pull("notes.txt").await, b"the first");
    universe.close().await;
}

#[tokio::test]
async fn a_pull_without_a_session_fails_with_that_reason() {
    let universe = Universe::new().await;
    universe.alice.add("notes.txt", b"hello").await;
    universe.bob.lists("notes.txt").await;
    let mut history = universe.bob.history();
    universe.alice.leave().await;
    history
        .until("the goodbye", |event| {
            matches!(event, tandem_core::peer::Event::Disconnected { .. }).then_some(())
        })
        .await;
    let refusal = universe.bob.try_pull("notes.txt").await.unwrap_err();
    assert!(matches!(refusal, PullError::NotConnected { .. }), "{refusal:?}");
    assert_helps(&refusal, "notes.txt");
    universe.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn something_other_than_a_regular_file_can_not_be_added() {
    let universe = Universe::new().await;
    let socket = universe.root().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let refusal = universe.alice.peer().add(&socket).await.unwrap_err();
    assert!(
        matches!(refusal, ShareError::Source(SourceError::NotAFile { .. })),
        "{refusal:?}"
    );
    assert_helps(&refusal, &socket.display().to_string());
    drop(listener);
    std::fs::remove_file(socket).unwrap();
    universe.close().await;
}

#[test]
fn a_name_that_leads_out_of_the_share_is_refused() {
    for name in ["../secret", "a/../../b", "..", "/etc/passwd", "a//b", ""] {
        let refusal = SharePath::parse(name).unwrap_err();
        assert!(refusal.to_string().contains(&format!("`{name}`")), "{refusal}");
    }
}

#[tokio::test]
async fn the_error_for_a_taken_port_names_it() {
    let universe = Universe::builder().strangers().build().await;
    let taken = universe.alice.addr();
    let refusal = Peer::start(PeerConfig::new(universe.relay.url()).listen(taken))
        .await
        .unwrap_err();
    assert!(matches!(refusal, StartError::Listen { .. }), "{refusal:?}");
    assert_helps(&refusal, &taken.to_string());
    universe.close().await;
}

#[tokio::test]
async fn an_invalid_relay_url_is_refused_at_the_start() {
    let refusal = Peer::start(PeerConfig::new("ftp://example.org".parse().unwrap()))
        .await
        .unwrap_err();
    assert!(matches!(refusal, StartError::Relay(_)), "{refusal:?}");
    assert!(
        refusal.to_string().contains("ftp://example.org") && refusal.to_string().contains("hint:"),
        "{refusal}"
    );
}

#[tokio::test]
async fn the_error_for_a_target_in_a_missing_folder_names_it() {
    let universe = Universe::new().await;
    universe.alice.add("notes.txt", b"hello").await;
    universe.bob.lists("notes.txt").await;
    let target = universe.root().join("nowhere/notes.txt");
    let refusal = universe
        .bob
        .peer()
        .pull(&path("notes.txt"), &target)
        .await
        .unwrap_err();
    assert!(refusal.to_string().contains("nowhere"), "{refusal}");
    universe.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_without_read_permission_can_not_be_added() {
    use std::os::unix::fs::PermissionsExt;
    let unprivileged = Unprivileged::begin();
    let universe = Universe::new().await;
    let secret = universe.alice.write("secret.txt", b"not for everybody");
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o000)).unwrap();
    let refusal = universe.alice.peer().add(&secret).await.unwrap_err();
    assert!(
        matches!(refusal, ShareError::Source(SourceError::Unreadable { .. })),
        "{refusal:?}"
    );
    assert_helps(&refusal, &secret.display().to_string());
    universe.close().await;
    drop(unprivileged);
}

#[cfg(unix)]
#[tokio::test]
async fn a_target_without_write_permission_is_named_and_left_unchanged() {
    use std::os::unix::fs::PermissionsExt;
    let unprivileged = Unprivileged::begin();
    let universe = Universe::new().await;
    universe.alice.add("notes.txt", b"the new one").await;
    universe.bob.lists("notes.txt").await;
    let target = universe.bob.target("notes.txt");
    std::fs::write(&target, b"the old one").unwrap();
    let folder = target.parent().unwrap();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o500)).unwrap();
    let refusal = universe.bob.try_pull("notes.txt").await.unwrap_err();
    assert!(refusal.to_string().contains("pulled"), "{refusal}");
    assert_eq!(std::fs::read(&target).unwrap(), b"the old one");
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).unwrap();
    universe.close().await;
    drop(unprivileged);
}

#[tokio::test]
async fn a_file_that_vanished_at_its_owner_is_an_error_and_not_an_empty_file() {
    let universe = Universe::new().await;
    universe.alice.add("gone.txt", b"was here").await;
    universe.bob.lists("gone.txt").await;
    std::fs::remove_file(universe.alice.original("gone.txt")).unwrap();
    let refusal = universe.bob.try_pull("gone.txt").await.unwrap_err();
    assert!(matches!(refusal, PullError::NotHeld { .. }), "{refusal:?}");
    assert_helps(&refusal, "gone.txt");
    assert!(!universe.bob.target("gone.txt").exists());
    universe.close().await;
}
