//! Files that were never shared, or are not shared any more, reach no other peer, whatever the
//! other side shares and whatever takes the place of a shared file.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::super::{Event, Peer};
use super::{content, lonely_peer, serves};
use crate::catalog::{EntryId, FileVersion, LinkTarget, LinkVersion, OnExisting, SharePath};
use crate::transfer::{Holder, Progress};

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn path(text: &str) -> SharePath {
    SharePath::parse(text).unwrap()
}

/// A peer with a folder of its own, and another one whose catalog it merges. The tests hand over
/// the states themselves, so nothing here waits.
pub(super) struct Two {
    root: TempDir,
    pub(super) alice: Peer,
    pub(super) mallory: Peer,
}

impl Two {
    pub(super) async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("project")).unwrap();
        let (alice, mallory) = (lonely_peer().await, lonely_peer().await);
        Self { root, alice, mallory }
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.root.path().join("project").join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Alice shares a new file under its own name, and mallory merges it.
    pub(super) async fn share(&self, name: &str, bytes: &[u8]) -> SharePath {
        let shared = path(name);
        self.alice.add_as(self.write(name, bytes), &shared).await.unwrap();
        self.mallory_hears();
        shared
    }

    pub(super) fn alice_hears(&self) {
        let states = self.mallory.share.files().catalog.all_states();
        self.alice.share.merge(states).unwrap();
    }

    pub(super) fn mallory_hears(&self) {
        let states = self.alice.share.files().catalog.all_states();
        self.mallory.share.merge(states).unwrap();
    }

    /// Mallory announces a content that it does not have.
    pub(super) fn name_content(&self, name: &str, bytes: &[u8]) {
        let file = FileVersion {
            content: content(bytes),
            mtime_ns: 0,
            mode: 0o644,
        };
        let added = self.mallory.share.files().catalog.add_file(&path(name), file);
        assert!(!added.unwrap().is_empty());
        self.alice_hears();
    }

    pub(super) fn link(&self, name: &str, target: &str) {
        let target = LinkTarget::new(target).unwrap();
        let link = LinkVersion { target, mtime_ns: 0 };
        let added = self.mallory.share.files().catalog.add_link(&path(name), link);
        assert!(!added.unwrap().is_empty());
        self.alice_hears();
    }

    pub(super) fn unlink(&self, name: &str) {
        let removed = self.mallory.share.files().catalog.remove(&path(name));
        assert!(!removed.unwrap().is_empty());
        self.alice_hears();
    }

    /// Mallory renames a file onto another one, as an editor does when it saves.
    pub(super) fn rename_onto(&self, from: &str, to: &str) {
        let (from, to) = (path(from), path(to));
        let mut files = self.mallory.share.files();
        let renamed = files.catalog.rename_with(&from, &to, OnExisting::Replace);
        assert!(!renamed.unwrap().is_empty());
        drop(files);
        self.alice_hears();
    }

    pub(super) async fn pull_tree(&self) -> Result<super::super::Pulled, super::super::PullError> {
        let folder = self.root.path().join("project");
        self.alice.pull_tree(None, folder, &Progress::default()).await
    }

    /// The other side reports that alice serves other bytes as this content.
    pub(super) fn look_again(&self, bytes: &[u8]) {
        for source in self.alice.share.sources(&content(bytes)) {
            drop(self.alice.share.refresh(&source));
        }
    }

    pub(super) async fn close(self) {
        self.alice.close().await.unwrap();
        self.mallory.close().await.unwrap();
    }
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn a_link_in_the_place_of_a_shared_file_is_not_followed() {
    let two = Two::new().await;
    two.share("notes.txt", b"shared").await;
    std::fs::remove_file(two.at("notes.txt")).unwrap();
    symlink(two.write("secret", b"secret"), two.at("notes.txt")).unwrap();
    two.look_again(b"shared");
    assert!(!serves(&two.alice, b"secret") && !serves(&two.alice, b"shared"));
    two.close().await;
}

#[tokio::test]
async fn a_link_in_the_place_of_a_folder_of_a_shared_file_is_not_followed() {
    let two = Two::new().await;
    two.share("folder/notes.txt", b"shared").await;
    std::fs::rename(two.at("folder"), two.at("moved")).unwrap();
    two.write("private/notes.txt", b"secret");
    symlink("private", two.at("folder")).unwrap();
    two.look_again(b"shared");
    assert!(!serves(&two.alice, b"secret") && !serves(&two.alice, b"shared"));
    two.close().await;
}

#[tokio::test]
async fn a_file_that_is_added_through_links_of_the_user_is_shared_from_where_it_is() {
    let two = Two::new().await;
    two.write("folder/notes.txt", b"shared");
    symlink("folder", two.at("way")).unwrap();
    two.alice.add(two.at("way/notes.txt")).await.unwrap();
    std::fs::remove_file(two.at("way")).unwrap();
    assert!(serves(&two.alice, b"shared"));
    let source = two.alice.share.sources(&content(b"shared")).remove(0);
    assert!(source.open().is_ok());
    two.close().await;
}

#[tokio::test]
async fn a_file_that_was_received_through_links_of_the_user_is_served_from_where_it_is() {
    let two = Two::new().await;
    two.share("notes.txt", b"shared").await;
    std::fs::create_dir(two.at("folder")).unwrap();
    symlink("folder", two.at("way")).unwrap();
    two.alice
        .pull(&path("notes.txt"), two.at("way/copy"))
        .await
        .unwrap();
    let mut sources = two.alice.share.sources(&content(b"shared"));
    let copy = two.at("folder").canonicalize().unwrap().join("copy");
    sources.retain(|source| source.path == copy);
    assert!(sources.remove(0).open().is_ok());
    two.close().await;
}

#[tokio::test]
async fn a_link_that_turns_into_a_folder_leads_no_pull_to_another_file() {
    let two = Two::new().await;
    two.share("report.txt", b"shared").await;
    two.write(".env", b"secret");
    two.link("x", ".");
    two.pull_tree().await.unwrap();
    two.unlink("x");
    two.link("x/report.txt", ".env");
    let refused = two.pull_tree().await.unwrap_err().to_string();
    assert!(refused.contains("x` is a link"), "{refused}");
    assert!(!two.at("report.txt").is_symlink());
    two.look_again(b"shared");
    assert!(!serves(&two.alice, b"secret") && serves(&two.alice, b"shared"));
    two.close().await;
}

#[tokio::test]
async fn a_received_link_leads_no_later_pull_elsewhere() {
    let two = Two::new().await;
    two.share("other.txt", b"other").await;
    two.write("private.txt", b"mine");
    two.link("x", ".");
    two.pull_tree().await.unwrap();
    two.unlink("x");
    two.name_content("x/private.txt", b"other");
    let refused = two
        .alice
        .pull(&path("x/private.txt"), two.at("x/private.txt"))
        .await;
    assert!(refused.unwrap_err().to_string().contains("x` is a link"));
    let folder = path("x");
    let progress = Progress::default();
    let refused = two.alice.pull_tree(Some(&folder), two.at("x"), &progress).await;
    assert!(refused.unwrap_err().to_string().contains("x` is a link"));
    assert_eq!(read(two.at("private.txt")), b"mine");
    // A link that the user has made since belongs to the user.
    std::fs::create_dir(two.at("folder")).unwrap();
    std::fs::remove_file(two.at("x")).unwrap();
    symlink("folder", two.at("x")).unwrap();
    two.alice
        .pull(&path("x/private.txt"), two.at("x/private.txt"))
        .await
        .unwrap();
    assert_eq!(read(two.at("folder/private.txt")), b"other");
    two.close().await;
}

#[tokio::test]
async fn a_link_through_a_link_of_the_user_is_left_out() {
    let two = Two::new().await;
    two.write("../home/id", b"key");
    symlink("../home", two.at("h")).unwrap();
    symlink("project/inside", two.at("../loose")).unwrap();
    std::fs::create_dir(two.at("inside")).unwrap();
    symlink("inside", two.at("in")).unwrap();
    for (name, target) in [
        ("n", "h/id"),
        ("deep/n", "../h/id"),
        ("direct", "h"),
        ("through", "in/x"),
        ("fine", "inside/x"),
    ] {
        two.link(name, target);
    }
    let pulled = two.pull_tree().await.unwrap();
    let left_out: Vec<_> = pulled.left_out.iter().map(ToString::to_string).collect();
    assert_eq!(left_out, ["deep/n", "direct", "n", "through"]);
    assert!(!two.at("n").is_symlink() && two.at("fine").is_symlink());
    two.close().await;
}

#[tokio::test]
async fn a_link_through_a_link_of_the_same_share_is_made_again_and_again() {
    let two = Two::new().await;
    two.link("current", "releases/5");
    two.link("start", "current/bin/start");
    two.link("releases/5/bin/start", "../lib");
    for _ in 0..2 {
        assert_eq!(two.pull_tree().await.unwrap().left_out, []);
        assert_eq!(
            two.at("start").read_link().unwrap(),
            Path::new("current/bin/start")
        );
    }
    two.close().await;
}

#[tokio::test]
async fn links_are_made_whatever_their_order_when_a_link_on_their_way_has_a_new_target() {
    let two = Two::new().await;
    two.link("zone", "releases/5");
    two.link("a", "zone/bin");
    two.link("zoo", "a/deep");
    assert_eq!(two.pull_tree().await.unwrap().left_out, []);
    two.link("zone", "releases/6");
    two.link("a", "zone/lib");
    two.link("b", "zoo/x");
    two.link("c", "zone/bin");
    assert_eq!(two.pull_tree().await.unwrap().left_out, []);
    let target = |name: &str| two.at(name).read_link().unwrap();
    assert_eq!(target("zone"), Path::new("releases/6"));
    assert_eq!(target("a"), Path::new("zone/lib"));
    assert_eq!(target("b"), Path::new("zoo/x"));
    assert_eq!(target("c"), Path::new("zone/bin"));
    two.close().await;
}

#[tokio::test]
async fn a_pull_never_replaces_a_file_that_is_shared_from_there() {
    let two = Two::new().await;
    two.alice
        .add_as(two.write("report.txt", b"mine"), &path("docs/report.txt"))
        .await
        .unwrap();
    two.share("other.txt", b"other").await;
    two.name_content("report.txt", b"other");
    let refused = two.pull_tree().await.unwrap_err().to_string();
    assert!(refused.contains("report.txt` is shared from there"), "{refused}");
    let refused = two.alice.pull(&path("report.txt"), two.at("report.txt")).await;
    assert!(refused.unwrap_err().to_string().contains("is shared from there"));
    two.unlink("report.txt");
    two.link("report.txt", "other.txt");
    let refused = two.pull_tree().await.unwrap_err().to_string();
    assert!(refused.contains("is shared from there"), "{refused}");
    assert_eq!(read(two.at("report.txt")), b"mine");
    assert!(serves(&two.alice, b"mine"));
    two.close().await;
}

#[tokio::test]
async fn a_file_whose_entry_the_other_side_removed_is_replaced_by_no_link() {
    let two = Two::new().await;
    two.share("report.txt", b"mine").await;
    two.share("other.txt", b"other").await;
    two.unlink("report.txt");
    two.link("report.txt", "other.txt");
    let refused = two.pull_tree().await.unwrap_err().to_string();
    assert!(refused.contains("is shared from there"), "{refused}");
    assert_eq!(read(two.at("report.txt")), b"mine");
    two.alice.remove(&path("report.txt")).unwrap();
    two.mallory_hears();
    two.link("report.txt", "other.txt");
    two.pull_tree().await.unwrap();
    assert!(two.at("report.txt").is_symlink());
    two.close().await;
}

#[tokio::test]
async fn a_received_file_is_replaced_by_any_file_that_is_pulled_there() {
    let two = Two::new().await;
    for name in ["one", "two"] {
        two.share(name, name.as_bytes()).await;
        two.alice.pull(&path(name), two.at("copy")).await.unwrap();
        assert_eq!(read(two.at("copy")), name.as_bytes());
    }
    two.close().await;
}

#[tokio::test]
async fn the_same_file_shared_by_both_is_pulled_over_itself() {
    let two = Two::new().await;
    let name = path("report.txt");
    let shared = two.alice.add_as(two.write("report.txt", b"ours"), &name);
    shared.await.unwrap();
    two.name_content("report.txt", b"ours");
    two.pull_tree().await.unwrap();
    assert_eq!(read(two.at("report.txt")), b"ours");
    two.close().await;
}

#[tokio::test]
async fn a_file_that_is_shared_from_there_is_replaced_by_its_own_new_version() {
    let two = Two::new().await;
    let name = two.share("report.txt", b"mine").await;
    two.share("other.txt", b"other").await;
    two.name_content("report.txt", b"other");
    two.alice.pull(&name, two.at("report.txt")).await.unwrap();
    assert_eq!(read(two.at("report.txt")), b"other");
    two.close().await;
}

#[tokio::test]
async fn a_removed_file_is_not_served_for_another_entry_with_its_content() {
    let two = Two::new().await;
    let name = two.share("tax.pdf", b"by mistake").await;
    two.name_content("pin", b"by mistake");
    two.alice.remove(&name).unwrap();
    assert!(!serves(&two.alice, b"by mistake"));
    two.name_content("another", b"by mistake");
    // The entry that was removed is taken up again.
    two.mallory_hears();
    two.name_content("tax.pdf", b"by mistake");
    assert!(!serves(&two.alice, b"by mistake"));
    two.close().await;
}

#[tokio::test]
async fn a_removed_folder_is_not_served_for_other_entries_with_its_contents() {
    let two = Two::new().await;
    two.share("folder/deep/tax.pdf", b"by mistake").await;
    two.name_content("pin", b"by mistake");
    two.alice.remove(&path("folder")).unwrap();
    assert!(!serves(&two.alice, b"by mistake"));
    two.close().await;
}

#[tokio::test]
async fn a_replaced_content_is_not_served_for_another_entry_with_it() {
    let two = Two::new().await;
    let name = two.share("tax.pdf", b"by mistake").await;
    two.name_content("pin", b"by mistake");
    let right = two.write("right.pdf", b"on purpose");
    two.alice.replace(&right, &name).await.unwrap();
    assert!(!serves(&two.alice, b"by mistake") && serves(&two.alice, b"on purpose"));
    two.close().await;
}

#[tokio::test]
async fn a_file_that_is_shared_under_two_names_is_served_until_both_are_removed() {
    let two = Two::new().await;
    let name = two.share("notes.txt", b"text").await;
    two.alice
        .add_as(two.at("notes.txt"), &path("again"))
        .await
        .unwrap();
    two.alice.remove(&name).unwrap();
    assert!(serves(&two.alice, b"text"));
    two.alice.remove(&path("again")).unwrap();
    assert!(!serves(&two.alice, b"text"));
    two.close().await;
}

#[tokio::test]
async fn of_two_files_with_the_same_content_the_one_that_is_still_shared_is_served() {
    let two = Two::new().await;
    let first = two.share("first", b"text").await;
    two.share("second", b"text").await;
    two.alice.remove(&first).unwrap();
    let sources = two.alice.share.sources(&content(b"text"));
    let paths: Vec<_> = sources.iter().map(|source| source.path.clone()).collect();
    assert_eq!(paths, [two.at("second").canonicalize().unwrap()]);
    two.close().await;
}

#[tokio::test]
async fn what_the_other_side_renamed_onto_another_file_is_served_until_that_is_removed() {
    let two = Two::new().await;
    two.share("target.txt", b"old").await;
    two.share("draft", b"saved").await;
    two.name_content("pin", b"saved");
    two.rename_onto("draft", "target.txt");
    assert!(serves(&two.alice, b"saved") && !serves(&two.alice, b"old"));
    two.alice.remove(&path("target.txt")).unwrap();
    assert!(!serves(&two.alice, b"saved"));
    two.close().await;
}

#[tokio::test]
async fn what_the_other_side_removed_is_not_served_any_more() {
    let two = Two::new().await;
    two.share("notes.txt", b"text").await;
    two.unlink("notes.txt");
    assert!(!serves(&two.alice, b"text"));
    two.name_content("pin", b"text");
    assert!(!serves(&two.alice, b"text"));
    two.close().await;
}

#[tokio::test]
async fn a_content_is_not_served_for_an_entry_that_is_not_shown() {
    let two = Two::new().await;
    two.share("notes.txt", b"text").await;
    two.name_content("pin", b"text");
    // The folder of the pin never arrives.
    let mut states = two.mallory.share.files().catalog.all_states();
    let pin = two.mallory.share.files().catalog.lookup(&path("pin")).unwrap().id;
    states.retain(|(id, _)| *id == pin);
    for (_, state) in &mut states {
        state.place.parent = EntryId::from_bytes([9; 16]);
        state.place.stamp.counter += 1 << 20;
        state.seen.note(state.place.stamp);
    }
    two.alice.share.merge(states).unwrap();
    let removed = two.mallory.share.files().catalog.remove(&path("notes.txt"));
    assert!(!removed.unwrap().is_empty());
    let notes = two.mallory.share.files().catalog.all_states();
    let notes = notes.into_iter().filter(|(id, _)| *id != pin).collect();
    two.alice.share.merge(notes).unwrap();
    assert!(two.alice.list().is_empty());
    assert!(!serves(&two.alice, b"text"));
    two.close().await;
}

#[tokio::test]
async fn a_file_that_was_edited_after_it_was_received_is_not_shared() {
    let two = Two::new().await;
    two.share("notes.txt", b"text").await;
    two.alice.pull(&path("notes.txt"), two.at("copy")).await.unwrap();
    two.write("copy", b"private");
    two.name_content("guess", b"private");
    two.look_again(b"text");
    assert!(!serves(&two.alice, b"private") && serves(&two.alice, b"text"));
    two.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unchanged_file_is_not_read_again_at_each_report_of_the_other_side() {
    let two = Two::new().await;
    let name = two.share("notes.txt", b"text").await;
    let other = two.share("other.txt", b"other").await;
    let mut events = two.alice.events();
    for _ in 0..40 {
        two.alice.share.recheck(&content(b"text"));
        tokio::task::yield_now().await;
    }
    // A changed file is read at once, after all files that were queued before it.
    two.write("other.txt", b"another");
    let counted = async {
        let mut read_count = 0;
        while two.alice.share.waiting_rechecks() > 0 {
            tokio::task::yield_now().await;
        }
        two.alice.share.recheck(&content(b"other"));
        while let Some(event) = events.next().await {
            match event {
                Event::SourceRefreshed { path } if path == other => break,
                Event::SourceRefreshed { path } => read_count += usize::from(path == name),
                _ => {}
            }
        }
        read_count
    };
    assert_eq!(timeout(PATIENCE, counted).await.unwrap(), 1);
    two.close().await;
}
