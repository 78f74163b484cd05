//! A folder that pulls fill and that the user works in too: nothing of the user's is lost there,
//! and nothing lands elsewhere.

use super::super::{JoinedFolder, PullError, Pulled};
use super::unshared::{Two, path};
use crate::catalog::SharePath;
use crate::transfer::Progress;

/// Alice's folder `inbox`, and a file in it that she pulled. The bytes are at hand.
async fn joined(two: &Two) -> (JoinedFolder, SharePath) {
    let inbox = two.at("inbox");
    std::fs::create_dir(&inbox).unwrap();
    two.share("at hand/one", b"one").await;
    two.share("at hand/two", b"two").await;
    two.name_content("notes.txt", b"one");
    let (folder, notes) = (two.alice.join_folder(inbox).unwrap(), path("notes.txt"));
    folder.pull(&notes, &notes).await.unwrap();
    assert_eq!(read(two, "notes.txt"), "one");
    (folder, notes)
}

fn read(two: &Two, name: &str) -> String {
    std::fs::read_to_string(two.at("inbox").join(name)).unwrap()
}

fn is_kept(pulled: Result<Pulled, PullError>) {
    let refused = pulled.unwrap_err();
    assert!(refused.keeps_what_is_there(), "{refused}");
}

#[tokio::test]
async fn what_a_pull_has_put_there_is_replaced_and_removed() {
    let two = Two::new().await;
    let (folder, notes) = joined(&two).await;
    two.name_content("notes.txt", b"two");
    folder.pull(&notes, &notes).await.unwrap();
    assert_eq!(read(&two, "notes.txt"), "two");
    folder.remove(&notes).unwrap();
    assert!(!two.at("inbox/notes.txt").exists());
    folder.remove(&notes).unwrap();
    folder.remove(&path("no folder/notes.txt")).unwrap();
    two.close().await;
}

#[tokio::test]
async fn what_was_changed_here_is_neither_replaced_nor_removed() {
    let two = Two::new().await;
    let (folder, notes) = joined(&two).await;
    two.write("inbox/notes.txt", b"mine");
    two.name_content("notes.txt", b"two");
    is_kept(folder.pull(&notes, &notes).await);
    assert!(folder.remove(&notes).unwrap_err().keeps_what_is_there());
    assert!(folder.pull_all(&Progress::default()).await.is_err());
    assert_eq!(read(&two, "notes.txt"), "mine");
    two.close().await;
}

#[tokio::test]
async fn what_no_pull_has_put_there_is_neither_replaced_nor_removed() {
    let two = Two::new().await;
    let (folder, _) = joined(&two).await;
    two.write("inbox/own.txt", b"mine");
    // The other side shares something under the name of the user's file, and changes it.
    let own = path("own.txt");
    for bytes in [b"one", b"two"] {
        two.name_content("own.txt", bytes);
        is_kept(folder.pull(&own, &own).await);
        drop(folder.pull_all(&Progress::default()).await);
    }
    assert!(folder.remove(&own).unwrap_err().keeps_what_is_there());
    assert_eq!(read(&two, "own.txt"), "mine");
    two.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_replaced_in_a_folder_that_was_moved() {
    let two = Two::new().await;
    let (folder, notes) = joined(&two).await;
    std::fs::rename(two.at("inbox"), two.at("moved")).unwrap();
    two.write("moved/notes.txt", b"mine");
    two.name_content("notes.txt", b"two");
    for is_replaced in [false, true] {
        if is_replaced {
            std::fs::create_dir(two.at("inbox")).unwrap();
        }
        let refused = folder.pull(&notes, &notes).await.unwrap_err().to_string();
        assert!(refused.contains("inbox` was moved or replaced"), "{refused}");
        assert!(folder.remove(&notes).is_err());
        let stayed = std::fs::read(two.at("moved/notes.txt")).unwrap();
        assert_eq!(stayed, b"mine");
    }
    two.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_made_or_removed_through_a_link() {
    let two = Two::new().await;
    let (folder, notes) = joined(&two).await;
    two.write("private/notes.txt", b"mine");
    std::fs::create_dir(two.at("private/empty")).unwrap();
    std::os::unix::fs::symlink("../private", two.at("inbox/way")).unwrap();
    let refused = [
        folder.pull(&notes, &path("way/x")).await.map(drop),
        folder.make_folder(&path("way/made")),
        folder.make_folder(&path("way")),
        folder.remove(&path("way/notes.txt")),
        folder.remove_empty(&path("way")),
        folder.remove_empty(&path("way/empty")),
    ];
    assert_eq!(refused.iter().filter(|refused| refused.is_ok()).count(), 0);
    let mut names: Vec<_> = std::fs::read_dir(two.at("private"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["empty", "notes.txt"]);
    two.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_has_become_a_link_is_not_joined() {
    let two = Two::new().await;
    drop(joined(&two).await);
    std::fs::create_dir(two.at("inbox/deep")).unwrap();
    std::fs::rename(two.at("inbox"), two.at("private")).unwrap();
    std::os::unix::fs::symlink("private", two.at("inbox")).unwrap();
    for name in ["inbox", "inbox/deep"] {
        let refused = two.alice.join_folder(two.at(name)).unwrap_err().to_string();
        assert!(refused.contains("was moved or replaced"), "{name}: {refused}");
    }
    two.alice.join_folder(two.at("private/deep")).unwrap();
    two.close().await;
}

#[tokio::test]
async fn what_an_interrupted_pull_has_brought_is_not_in_the_way_of_the_next_process() {
    let two = Two::new().await;
    let (_, notes) = joined(&two).await;
    let shown = two.alice.lookup(&notes).unwrap();
    // As another process, which does not know what the first one has put there.
    let folder = two.alice.join_folder(two.at("inbox")).unwrap();
    folder.check(&shown).unwrap();
    folder.pull(&notes, &notes).await.unwrap();
    two.name_content("notes.txt", b"two");
    folder.pull(&notes, &notes).await.unwrap();
    assert_eq!(read(&two, "notes.txt"), "two");
    two.close().await;
}

#[tokio::test]
async fn a_file_of_the_user_that_only_looks_like_the_shared_one_stays() {
    let two = Two::new().await;
    let (_, notes) = joined(&two).await;
    let shown = two.alice.lookup(&notes).unwrap();
    let mine = two.write("inbox/notes.txt", b"own");
    let mine = std::fs::File::options().write(true).open(mine).unwrap();
    mine.set_modified(std::time::UNIX_EPOCH).unwrap();
    let folder = two.alice.join_folder(two.at("inbox")).unwrap();
    folder.check(&shown).unwrap();
    is_kept(folder.pull(&notes, &notes).await);
    assert_eq!(read(&two, "notes.txt"), "own");
    mine.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1))
        .unwrap();
    assert!(folder.check(&shown).unwrap_err().keeps_what_is_there());
    two.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_that_an_interrupted_pull_has_made_is_not_in_the_way_and_another_one_stays() {
    let two = Two::new().await;
    let inbox = two.at("inbox");
    std::fs::create_dir(&inbox).unwrap();
    two.link("way", "notes.txt");
    let shown = two.alice.lookup(&path("way")).unwrap();
    let pull = async || {
        let folder = two.alice.join_folder(&inbox).unwrap();
        (
            folder.check(&shown).is_ok(),
            folder.pull_all(&Progress::default()).await,
        )
    };
    for _ in 0..2 {
        assert!(matches!(pull().await, (true, Ok(_))));
    }
    std::fs::remove_file(inbox.join("way")).unwrap();
    std::os::unix::fs::symlink("elsewhere", inbox.join("way")).unwrap();
    assert!(matches!(pull().await, (false, Err(_))));
    assert_eq!(
        inbox.join("way").read_link().unwrap(),
        std::path::Path::new("elsewhere")
    );
    two.close().await;
}
