//! Files of a mount that are mapped into memory and written there without a call, even after they
//! were closed.
//!
//! The mounts belong to another process. The kernel locks the address space of a process while it
//! removes a mapping, and the process that serves the mount may need to change its own address
//! space then.

use std::fs::File;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::path::{Path, PathBuf};

use tandem_tests::mapping::Mapping;
use tandem_tests::mountpoint::Mountpoint;
use tandem_tests::temp::TempRoot;
use tandem_tests::wait::{Look, poll};

const LEN: NonZeroUsize = NonZeroUsize::new(8192).unwrap();
/// The offset of the stored bytes, on the second page.
const OFFSET: usize = 5000;

/// The content of the file after `stored` was stored in it.
fn with(stored: &[u8]) -> Vec<u8> {
    let mut content = vec![b'.'; LEN.get()];
    content[OFFSET..OFFSET + stored.len()].copy_from_slice(stored);
    content
}

/// Maps a file and closes it.
fn mapped(path: &Path) -> Mapping {
    let file = File::options().read(true).write(true).open(path).unwrap();
    Mapping::new(&file, LEN).unwrap()
}

/// Waits until a file has exactly this content.
#[track_caller]
fn reads(path: &Path, content: Vec<u8>) -> impl Future<Output = ()> {
    let at = Location::caller();
    async move {
        let look = || match std::fs::read(path) {
            Ok(found) if found == content => Look::Ready(()),
            Ok(found) => Look::NotYet(format!("{} other bytes", found.len())),
            Err(error) => Look::NotYet(error.to_string()),
        };
        poll(at, "the bytes stored in mapped memory", look).await;
    }
}

/// Two peers that are mounted and share a file.
struct Pair {
    root: TempRoot,
    mounts: Mountpoint,
    /// The file in alice's mount.
    mine: PathBuf,
    /// The same in bob's.
    theirs: PathBuf,
}

impl Pair {
    async fn new(passthrough: &str) -> Pair {
        let (root, program) = (TempRoot::create().unwrap(), env!("CARGO_BIN_EXE_mountpoint"));
        let arguments = ["--passthrough", passthrough];
        let mounts = Mountpoint::start_with(program, root.path(), &arguments).await;
        let [mine, theirs] = [&mounts.alice, &mounts.bob].map(|mount| mount.join("table.bin"));
        std::fs::write(&mine, with(b"")).unwrap();
        reads(&theirs, with(b"")).await;
        Pair {
            root,
            mounts,
            mine,
            theirs,
        }
    }

    async fn close(mut self) {
        self.mounts.end().await;
        self.root.close().unwrap();
    }
}

/// Returns when the peers have processed all earlier changes: a file that is shared later has
/// arrived.
async fn settled(pair: &Pair) {
    std::fs::write(pair.mine.with_file_name("later.txt"), b"later").unwrap();
    reads(&pair.theirs.with_file_name("later.txt"), b"later".to_vec()).await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn bytes_stored_after_closing_are_shared_when_the_file_is_unmapped() {
    for passthrough in ["on", "off"] {
        let pair = Pair::new(passthrough).await;
        let mut mapping = mapped(&pair.mine);
        mapping.store(OFFSET, b"first.");
        settled(&pair).await;
        mapping.store(OFFSET, b"second");
        drop(mapping);
        reads(&pair.theirs, with(b"second")).await;
        assert_eq!(std::fs::read(&pair.mine).unwrap(), with(b"second"));
        pair.close().await;
    }
}

/// With passthrough the kernel doesn't report the sync: there the file is shared when it is
/// unmapped.
#[tokio::test]
#[ignore = "needs fuse"]
async fn without_passthrough_bytes_synced_while_mapped_are_shared_at_once() {
    let pair = Pair::new("off").await;
    let mut mapping = mapped(&pair.mine);
    for stored in [b"first.", b"second"] {
        mapping.store(OFFSET, stored);
        mapping.sync().unwrap();
        reads(&pair.theirs, with(stored)).await;
    }
    drop(mapping);
    pair.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_reader_that_closes_the_file_last_does_not_hide_the_stored_bytes() {
    for passthrough in ["on", "off"] {
        let pair = Pair::new(passthrough).await;
        let reader = File::open(&pair.mine).unwrap();
        let mut mapping = mapped(&pair.mine);
        settled(&pair).await;
        mapping.store(OFFSET, b"before");
        drop(reader);
        settled(&pair).await;
        mapping.store(OFFSET, b"behind");
        drop(mapping);
        reads(&pair.theirs, with(b"behind")).await;
        pair.close().await;
    }
}
