//! What the log has of calls that fail.

use tracing::Level;

use super::super::fuse::refusal;
use super::*;
use crate::recorded_log::RecordedLog;

/// The log of the adapter.
fn adapters_log() -> RecordedLog {
    RecordedLog::of("tandem_core::mount::fuse", Level::DEBUG)
}

fn has(log: &RecordedLog, call: &str, text: &str) -> bool {
    let call = format!("call=\"{call}\"");
    let is_meant = |line: &String| line.contains(&call) && line.contains(text);
    log.lines().iter().any(is_meant)
}

#[test]
fn a_refusal_is_logged_with_its_hint() {
    let log = adapters_log();
    tracing::subscriber::with_default(log.clone(), || refusal("readlink", &FsError::LeadsOut));
    assert!(has(&log, "readlink", "the link leads out of the share"));
    assert!(has(&log, "readlink", "hint: mount with `Links::Anywhere`"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs fuse"]
async fn each_failed_call_of_a_mount_is_logged_with_its_text() {
    let log = adapters_log();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let (alone, at) = (alone().await, tempfile::tempdir().unwrap());
    alone.write("a", b"text");
    alone
        .peer
        .file_system()
        .unwrap()
        .make_folder(Inode::ROOT, OsStr::new("folder"), 0o755, OWNER)
        .unwrap();
    let mount = alone
        .peer
        .mount(at.path(), MountOptions::default())
        .await
        .unwrap();
    let path = at.path().to_owned();
    let failing = move || {
        assert!(std::fs::read(path.join("none")).is_err());
        assert!(std::fs::hard_link(path.join("a"), path.join("b")).is_err());
        std::fs::write(path.join("folder/file"), b"").unwrap();
        assert!(std::fs::remove_dir(path.join("folder")).is_err());
        let file = std::fs::File::options().write(true).open(path.join("a")).unwrap();
        assert!(file.set_len(1 << 62).is_err());
    };
    tokio::task::spawn_blocking(failing).await.unwrap();
    assert!(has(&log, "lookup", "there is nothing of that name"));
    assert!(has(&log, "link", "a share can't hold that"));
    assert!(has(&log, "rmdir", "the folder is not empty"));
    assert!(has(&log, "setattr", "the file would be longer than"));
    mount.unmount().await.unwrap();
    at.close().unwrap();
}
