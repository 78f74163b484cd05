//! A mount and its process end even while a program waits for an answer of the mount that never
//! comes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::Location;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use tandem_core::mount::MountError;
use tandem_tests::leaks::mounts_under;
use tandem_tests::mounted::Mounted;
use tandem_tests::temp::TempRoot;
use tandem_tests::universe::Universe;
use tandem_tests::wait::complete_program;
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A universe in which reads have a long timeout.
async fn patient() -> Universe {
    let patient = |config: tandem_core::peer::PeerConfig| config.read_patience(Duration::from_secs(3600));
    let universe = Universe::builder().linked().configure(patient).build().await;
    let payload = universe.payload("file.bin", 1 << 20);
    universe.bob.add("file.bin", &payload).await;
    universe
}

/// Opens the file and begins to read it.
async fn begin_to_read(mount: &Mounted) -> JoinHandle<io::Result<()>> {
    let (sender, opened) = oneshot::channel();
    let reading = tokio::spawn(mount.within(move |path| {
        let file = File::open(path.join("file.bin"))?;
        sender.send(()).unwrap();
        file.read_exact_at(&mut [0; 4096], 0)
    }));
    opened.await.unwrap();
    reading
}

/// Whether the call failed because its mount was cut off, before the call or during it.
fn is_cut_off(outcome: &io::Result<()>) -> bool {
    let errno = outcome.as_ref().err().and_then(Errno::from_io_error);
    matches!(errno, Some(Errno::CONNABORTED | Errno::NOTCONN))
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn dropping_the_guard_ends_an_unanswered_read() {
    let universe = patient().await;
    let mount = universe.alice.mount().await;
    mount.shows("file.bin").await;
    let silence = universe.link().half_open();
    let reading = begin_to_read(&mount).await;
    mount.drop_guard();
    let outcome = reading.await.unwrap();
    assert!(is_cut_off(&outcome), "{outcome:?}");
    assert!(mounts_under(universe.root()).is_empty());
    silence.heal();
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse, root"]
async fn closing_the_peer_ends_an_unanswered_read_in_an_unmounted_mount() {
    let universe = patient().await;
    let mount = universe.alice.mount().await;
    mount.shows("file.bin").await;
    let silence = universe.link().half_open();
    let reading = begin_to_read(&mount).await;
    let unmounted = mount.try_unmount().await;
    assert!(
        matches!(unmounted, Ok(()) | Err(MountError::Busy { .. })),
        "{unmounted:?}"
    );
    assert!(!reading.is_finished());
    universe.alice.leave().await;
    let outcome = reading.await.unwrap();
    assert!(is_cut_off(&outcome), "{outcome:?}");
    silence.heal();
    universe.close().await;
}

/// Runs a process that has a file of its own mount open and ends in the way `end`. Checks that the
/// process and its mount are gone in time, and returns the exit code and the output.
async fn ends(end: &str) -> (Option<i32>, String) {
    let root = TempRoot::create().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_own_mount"));
    command.arg(end).env("TMPDIR", root.path());
    // It is not a test: its universe must not report the file that is open on purpose.
    command.env_remove("XTASK_TEST").env_remove("NEXTEST");
    command.stdin(Stdio::null()).kill_on_drop(true);
    let what = "the end of a process that uses its own mount";
    let output = complete_program(Location::caller(), what, command.output())
        .await
        .unwrap();
    assert!(mounts_under(root.path()).is_empty());
    root.close().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

/// The same, and checks that the process panicked.
async fn fails(end: &str) {
    let (code, said) = ends(end).await;
    assert_eq!(code, Some(101), "{said}");
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_process_that_panics_while_it_has_a_file_of_its_mount_open_ends() {
    fails("panic").await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_process_that_closes_its_universe_while_it_has_a_file_of_its_mount_open_ends() {
    fails("close").await;
}

#[tokio::test]
#[ignore = "needs fuse, root"]
async fn a_process_that_unmounts_while_it_has_a_file_of_its_mount_open_ends() {
    let (code, said) = ends("unmount").await;
    assert_eq!(code, Some(0), "{said}");
}
