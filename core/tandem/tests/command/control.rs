//! The socket on which a running share answers: what strangers to the protocol do to it, what a
//! killed process leaves, and where it lies.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::panic::Location;
use std::path::PathBuf;

use tandem_tests::wait::complete;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::home::{Homes, answers, write};
use crate::process::Tandem;

fn socket(homes: &Homes) -> PathBuf {
    homes.alice().join("state/shares/photos/control")
}

/// What a share answers to these bytes, after which nothing more is written.
async fn answer_to(homes: &Homes, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket(homes)).await.unwrap();
    // The share may have closed it before everything was written.
    drop(stream.write_all(bytes).await);
    drop(stream.shutdown().await);
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    // So may it have left some of it unread.
    drop(complete(Location::caller(), "the answer of a share", reading).await);
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn garbage_gets_an_error_and_the_share_goes_on() {
    let homes = Homes::new();
    let (_share, _code) = homes.alice_shares(&[("a.txt", "one")]).await;
    let long = vec![b'['; 1 << 20];
    let lines: [(&[u8], &str); 9] = [
        (b"", "the request has no end"),
        (b"{\"version\":1,\"do\":\"stop\"}", "the request has no end"),
        (b"\xff\xfe\0\n", "this is no request"),
        (b"GET / HTTP/1.1\r\n\r\n", "this is no request"),
        (b"{\"version\":1}\n", "this is no request"),
        (b"{\"version\":-1,\"do\":\"stop\"}\n", "this is no request"),
        (b"{\"version\":2,\"do\":\"stop\"}\n", "was asked in version 2"),
        (
            b"{\"version\":1,\"do\":\"list\",\"path\":\"../..\"}\n",
            "this is no request",
        ),
        (&long, "a line has more than 65536 bytes"),
    ];
    for (bytes, reason) in lines {
        let answer = answer_to(&homes, bytes).await;
        assert!(answer.starts_with("{\"error\":{\"exit\":2,"), "{answer}");
        assert!(answer.contains(reason), "{reason}: {answer}");
    }
    let silent = UnixStream::connect(socket(&homes)).await.unwrap();
    let status = Tandem::told(&homes.alice(), &["status"]).await;
    assert!(status.contains("1 file, 3 B"), "{status}");
    drop(silent);
}

#[tokio::test]
async fn only_its_owner_may_come_near_the_socket() {
    let homes = Homes::new();
    let (_share, _code) = homes.alice_shares(&[("a.txt", "one")]).await;
    let at = socket(&homes);
    assert!(at.symlink_metadata().unwrap().file_type().is_socket());
    let folder = at.parent().unwrap().metadata().unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn what_a_killed_process_leaves_is_no_running_share_and_in_no_ones_way() {
    let homes = Homes::new();
    let (share, join) = homes.following().await;
    share.killed().await;
    assert!(socket(&homes).exists());
    let status = Tandem::told(&homes.alice(), &["status"]).await;
    assert!(status.contains("does not run"), "{status}");
    let up = Tandem::start(&homes.alice(), &["up"]);
    answers(&homes.alice(), &["status"], &format!("process {}", up.id())).await;
    up.interrupt();
    up.ends().await;
    assert!(!socket(&homes).exists());
    drop(join);
}

#[tokio::test]
async fn a_second_process_names_the_first() {
    let homes = Homes::new();
    let (share, _join) = homes.following().await;
    let refused = Tandem::refused(&homes.alice(), 2, &["up", "photos"]).await;
    let first = format!("`photos` runs already, in process {}", share.id());
    assert!(refused.contains(&first), "{refused}");
    let status = Tandem::told(&homes.alice(), &["status"]).await;
    assert!(status.contains(&format!("process {}", share.id())), "{status}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_home_may_be_deeper_than_the_path_of_a_socket_can_be() {
    let homes = Homes::new();
    let deep = homes.alice().join("deep/".repeat(40));
    write(&deep.join("photos/a.txt"), "one");
    let mut share = Tandem::start(&deep, &["share", "photos"]);
    share.answers().await;
    let status = Tandem::told(&deep, &["status"]).await;
    assert!(status.starts_with("photos: waits"), "{status}");
    assert_eq!(Tandem::told(&deep, &["ls", ":"]).await, "        3 B  a.txt\n");
}
