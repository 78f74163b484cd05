//! What keeps the calls of a kernel apart: a limit, and that one which panics harms no other.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

use tempfile::TempDir;

use super::*;
use crate::peer::{Peer, PeerConfig};

/// An adapter for a peer that is connected to no other.
struct Adapted {
    adapter: Adapter,
    _peer: Peer,
    _served: Receiver<Infallible>,
    _store: TempDir,
}

async fn adapted() -> Adapted {
    let store = tempfile::tempdir().unwrap();
    let config = PeerConfig::new("http://[::1]:9/".parse().unwrap()).store(store.path());
    let peer = Peer::start(config.listen("127.0.0.1:0".parse().unwrap()))
        .await
        .unwrap();
    let (serving, served) = channel();
    let fs = Arc::new(peer.file_system().unwrap());
    Adapted {
        adapter: Adapter::new(fs, Backings::new(Wished::No), serving),
        _peer: peer,
        _served: served,
        _store: store,
    }
}

/// Returns when all tasks and all blocking work that were started before have had their turn: there
/// is one thread for either.
async fn after_all_others() {
    tokio::spawn(async {}).await.unwrap();
    tokio::task::spawn_blocking(|| ()).await.unwrap();
}

/// Whether a slow call runs while that many others do, and that it runs once they are done.
async fn runs_beside(adapter: &Adapter, others: usize) -> bool {
    let others = u32::try_from(others).unwrap();
    let turns = adapter.slow_calls.clone().try_acquire_many_owned(others);
    let turns = turns.unwrap();
    let has_run = Arc::new(AtomicBool::new(false));
    let call = has_run.clone();
    adapter.later(move |_| call.store(true, Ordering::Relaxed));
    after_all_others().await;
    let runs = has_run.load(Ordering::Relaxed);
    drop(turns);
    after_all_others().await;
    assert!(has_run.load(Ordering::Relaxed));
    runs
}

#[test]
fn slow_calls_run_at_once_up_to_the_limit_and_one_more_waits_for_its_turn() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let Adapted { adapter, .. } = &adapted().await;
        assert!(runs_beside(adapter, SLOW_CALLS_MAX - 1).await);
        assert!(!runs_beside(adapter, SLOW_CALLS_MAX).await);
    });
}

/// An adapter that panics when it looks up certain names, in each of the two ways in which it runs
/// the calls of the kernel.
struct Panicking(Adapter);

fn panic_over(reply: ReplyEntry) {
    let _unanswered = reply;
    panic!("on purpose");
}

impl Filesystem for Panicking {
    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name.to_str() {
            Some("at once") => self.0.guarded(|| panic_over(reply)),
            Some("later") => self.0.later(move |_| panic_over(reply)),
            _ => self.0.lookup(request, parent, name, reply),
        }
    }

    fn getattr(&self, request: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        self.0.getattr(request, ino, fh, reply);
    }
}

fn errno_of(path: &Path) -> Option<i32> {
    path.symlink_metadata().unwrap_err().raw_os_error()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs fuse"]
async fn a_call_that_panics_is_an_io_error_and_the_mount_goes_on() {
    let Adapted { adapter, .. } = adapted().await;
    let at = tempfile::tempdir().unwrap();
    let session = fuser::spawn_mount(Panicking(adapter), at.path(), &fuser::Config::default()).unwrap();
    let path = at.path().to_owned();
    let using = move || {
        for _ in 0..3 {
            for name in ["at once", "later"] {
                assert_eq!(errno_of(&path.join(name)), Some(Errno::EIO.code()), "{name}");
            }
            assert_eq!(errno_of(&path.join("none")), Some(Errno::ENOENT.code()));
        }
    };
    let used = tokio::task::spawn_blocking(using).await;
    session.umount_and_join().unwrap();
    used.unwrap();
    at.close().unwrap();
}
