//! What the log has of calls that fail.

use std::fmt::{Debug, Write as _};
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes as SpanAttributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::super::fuse::refusal;
use super::*;

/// Keeps the lines of the adapter.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG && metadata.target() == "tandem_core::mount::fuse"
    }

    fn new_span(&self, _: &SpanAttributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Recorder {
    fn has(&self, call: &str, text: &str) -> bool {
        let call = format!("call=\"{call}\"");
        let lines = self.0.lock().unwrap();
        lines
            .iter()
            .any(|line| line.contains(&call) && line.contains(text))
    }
}

#[test]
fn a_refusal_is_logged_with_its_hint() {
    let recorder = Recorder::default();
    tracing::subscriber::with_default(recorder.clone(), || refusal("readlink", &FsError::LeadsOut));
    assert!(recorder.has("readlink", "the link leads out of the share"));
    assert!(recorder.has("readlink", "hint: mount with `Links::Anywhere`"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs fuse"]
async fn each_failed_call_of_a_mount_is_logged_with_its_text() {
    let recorder = Recorder::default();
    tracing::subscriber::set_global_default(recorder.clone()).unwrap();
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
    assert!(recorder.has("lookup", "there is nothing of that name"));
    assert!(recorder.has("link", "a share can't hold that"));
    assert!(recorder.has("rmdir", "the folder is not empty"));
    assert!(recorder.has("setattr", "the file would be longer than"));
    mount.unmount().await.unwrap();
    at.close().unwrap();
}
