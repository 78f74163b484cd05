//! Mounting and unmounting: many times in one process, and cleanly in every way a mount can end.

use std::io;
use std::path::Path;

use tandem_core::mount::MountError;
use tandem_tests::leaks::mounts_under;
use tandem_tests::mountpoint::Mountpoint;
use tandem_tests::temp::TempRoot;
use tandem_tests::universe::Universe;

#[tokio::test]
#[ignore = "needs fuse"]
async fn eight_mounts_of_two_peers_live_in_one_process() {
    let universe = Universe::new().await;
    let mut mounts = Vec::new();
    for _ in 0..4 {
        mounts.push(universe.alice.mount().await);
        mounts.push(universe.bob.mount().await);
    }
    for (index, mount) in mounts.iter().enumerate() {
        mount.write(&format!("file-{index}"), &[b'x'; 1000]).await;
    }
    for mount in &mounts {
        for index in 0..mounts.len() {
            mount.reads(&format!("file-{index}"), &[b'x'; 1000]).await;
        }
    }
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn the_same_folder_can_be_mounted_many_times() {
    let universe = Universe::new().await;
    let point = universe.alice.mount_point();
    for round in 0..5 {
        let mount = universe.alice.try_mount(&point).await.unwrap();
        let name = format!("round-{round}");
        mount.write(&name, name.as_bytes()).await;
        mount.unmount().await;
        assert!(std::fs::read_dir(&point).unwrap().next().is_none());
    }
    let mount = universe.alice.try_mount(&point).await.unwrap();
    assert_eq!(mount.list("").await.len(), 5);
    assert_eq!(mount.read("round-3").await, b"round-3");
    universe.close().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs fuse, root"]
async fn unmounting_does_not_wait_for_a_copy_of_the_mount_in_another_name_space() {
    let universe = Universe::new().await;
    let point = universe.alice.mount_point();
    let mount = universe.alice.try_mount(&point).await.unwrap();
    mount.write("notes.txt", b"shared").await;
    let elsewhere = tandem_tests::namespace::MountNamespace::new().unwrap();
    mount.unmount().await;
    assert!(mounts_under(universe.root()).is_empty());
    universe.bob.sees("notes.txt", b"shared").await;
    let again = universe.alice.try_mount(&point).await.unwrap();
    assert_eq!(again.read("notes.txt").await, b"shared");
    drop(elsewhere);
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn two_mounts_of_one_peer_agree() {
    let universe = Universe::new().await;
    let (one, other) = (universe.alice.mount().await, universe.alice.mount().await);
    one.write("notes.txt", b"from one").await;
    other.reads("notes.txt", b"from one").await;
    other.write("notes.txt", b"FROM TWO").await;
    one.reads("notes.txt", b"FROM TWO").await;
    other.rename("notes.txt", "renamed.txt").await;
    one.lists("", &["renamed.txt"]).await;
    one.remove("renamed.txt").await;
    other.lists("", &[]).await;
    universe.close().await;
}

/// Checks that mounting is refused with an error that names the path and that `is_right` accepts.
async fn is_refused(universe: &Universe, path: &Path, is_right: impl Fn(&MountError) -> bool) {
    let refusal = universe.alice.try_mount(path).await.unwrap_err();
    let message = refusal.to_string();
    assert!(is_right(&refusal), "{refusal:?}");
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert!(mounts_under(universe.root()).is_empty());
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_folder_that_does_not_exist_is_not_mounted_on() {
    let universe = Universe::new().await;
    let missing = universe.root().join("missing");
    is_refused(&universe, &missing, |error| {
        matches!(error, MountError::NoMountPoint { .. })
    })
    .await;
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_file_is_not_mounted_on() {
    let universe = Universe::new().await;
    let file = universe.alice.write("file", b"kept");
    is_refused(&universe, &file, |error| {
        matches!(error, MountError::NotAFolder { .. })
    })
    .await;
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_folder_that_is_a_mount_already_is_not_mounted_on() {
    let universe = Universe::new().await;
    let point = universe.alice.mount_point();
    let mount = universe.alice.try_mount(&point).await.unwrap();
    let refusal = universe.bob.try_mount(&point).await.unwrap_err();
    assert!(
        matches!(refusal, MountError::AlreadyMounted { .. }),
        "{refusal:?}"
    );
    mount.write("still.txt", b"works").await;
    assert_eq!(mount.read("still.txt").await, b"works");
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_mount_in_use_is_detached_and_still_serves_its_open_files() {
    let universe = Universe::new().await;
    universe.bob.add("notes.txt", b"in use").await;
    let mount = universe.alice.mount().await;
    mount.reads("notes.txt", b"in use").await;
    let file = mount.within(|path| std::fs::File::open(path.join("notes.txt")));
    let file = file.await.unwrap();
    // An ordinary user unmounts lazily, through `fusermount3`, and never gets "busy".
    let outcome = mount.try_unmount().await;
    assert!(
        matches!(outcome, Ok(()) | Err(MountError::Busy { .. })),
        "{outcome:?}"
    );
    assert!(mounts_under(universe.root()).is_empty());
    let reading = tokio::task::spawn_blocking(move || io::read_to_string(file));
    assert_eq!(reading.await.unwrap().unwrap(), "in use");
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn dropping_the_guard_unmounts() {
    let universe = Universe::new().await;
    let mount = universe.alice.mount().await;
    mount.write("notes.txt", b"kept").await;
    mount.drop_guard();
    assert!(mounts_under(universe.root()).is_empty());
    assert_eq!(universe.alice.list(), ["notes.txt"]);
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_task_that_panics_leaves_no_mount() {
    let universe = Universe::new().await;
    let mount = universe.alice.mount().await;
    let panicking = tokio::spawn(async move {
        let _guard = scopeguard(&mount);
        panic!("on purpose");
    });
    assert!(panicking.await.unwrap_err().is_panic());
    assert!(mounts_under(universe.root()).is_empty());
    universe.close().await;
}

/// A value that drops the mount's guard when it is dropped, here while the panic unwinds.
fn scopeguard(mount: &tandem_tests::mounted::Mounted) -> impl Drop + use<> {
    struct OnDrop(tandem_tests::mounted::Mounted);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.drop_guard();
        }
    }
    OnDrop(mount.clone())
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_written_file_is_there_after_mounting_again() {
    let universe = Universe::new().await;
    let mount = universe.alice.mount().await;
    mount.mkdir("folder").await;
    mount.write("folder/notes.txt", b"kept").await;
    mount.unmount().await;
    let again = universe.alice.mount().await;
    assert_eq!(again.read("folder/notes.txt").await, b"kept");
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn closing_standard_input_of_a_process_with_mounts_unmounts_them() {
    let root = TempRoot::create().unwrap();
    let mut mountpoint = Mountpoint::start(env!("CARGO_BIN_EXE_mountpoint"), root.path()).await;
    assert_eq!(mounts_under(root.path()).len(), 2);
    mountpoint.end().await;
    assert!(mounts_under(root.path()).is_empty());
    root.close().unwrap();
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn the_mounts_of_a_killed_process_fail_at_once_and_the_next_process_clears_them() {
    let root = TempRoot::create().unwrap();
    let mut killed = Mountpoint::start(env!("CARGO_BIN_EXE_mountpoint"), root.path()).await;
    let file = killed.alice.join("notes.txt");
    write(&file, b"before the kill").await.unwrap();
    killed.kill().await;
    assert_eq!(
        mounts_under(root.path()).len(),
        2,
        "the dead mounts are still there"
    );
    for _ in 0..3 {
        assert_eq!(errno(read(&file).await), NOT_CONNECTED);
    }
    assert_eq!(errno(write(&file, b"after").await), NOT_CONNECTED);
    let mut next = Mountpoint::start(env!("CARGO_BIN_EXE_mountpoint"), root.path()).await;
    write(&file, b"alive again").await.unwrap();
    assert_eq!(read(&file).await.unwrap(), b"alive again");
    next.end().await;
    assert!(mounts_under(root.path()).is_empty());
    root.close().unwrap();
}

/// The error of every access to a mount whose server is dead.
const NOT_CONNECTED: Option<i32> = Some(rustix::io::Errno::NOTCONN.raw_os_error());

fn errno<T>(outcome: io::Result<T>) -> Option<i32> {
    outcome.err().and_then(|error| error.raw_os_error())
}

async fn read(path: &Path) -> io::Result<Vec<u8>> {
    tokio::fs::read(path).await
}

async fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    tokio::fs::write(path, bytes).await
}
