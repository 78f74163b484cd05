//! Ordinary programs (git, tar, cp, rsync) work on a mount, and their files arrive complete at the
//! other mount.

use std::path::{Path, PathBuf};

use tandem_tests::mounted::{Mounted, run};
use tandem_tests::seed::Seed;
use tandem_tests::temp::TempRoot;
use tandem_tests::tree::{Times, Tree, plant};
use tandem_tests::universe::Universe;
use tokio::process::Command;

/// The options of `tar` for an archive that keeps fractions of seconds.
const POSIX: [&str; 2] = ["--format=posix", "-cf"];

/// A universe in which both sides are mounted, and a directory outside of it.
struct Ground {
    universe: Universe,
    alices: Mounted,
    bobs: Mounted,
    outside: TempRoot,
}

impl Ground {
    async fn new() -> Ground {
        let universe = Universe::new().await;
        let (alices, bobs) = (universe.alice.mount().await, universe.bob.mount().await);
        let outside = TempRoot::create().unwrap();
        Ground {
            universe,
            alices,
            bobs,
            outside,
        }
    }

    /// Returns when bob's mount shows every earlier change in alice's mount.
    async fn settle(&self) {
        self.alices.write("the mark", b"").await;
        self.bobs.shows("the mark").await;
        self.alices.remove("the mark").await;
        self.bobs.misses("the mark").await;
    }

    /// A tree outside of the mounts.
    fn planted(&self) -> PathBuf {
        let source = self.outside.dir("source").unwrap();
        plant(&source, Seed::choose()).unwrap();
        source
    }

    /// The differences between the directory and a folder of the mount.
    async fn differences(
        &self,
        from: &Path,
        mount: &Mounted,
        folder: &'static str,
        times: Times,
    ) -> Vec<String> {
        let expected = Tree::of(from, times).unwrap();
        let found = mount.within(move |path| Tree::of(&path.join(folder), times));
        expected.differences(&found.await.unwrap())
    }

    async fn close(self) {
        self.universe.close().await;
        self.outside.close().unwrap();
    }
}

/// Git without any configuration of the machine or the user.
fn git(mut command: Command, arguments: &[&str], home: &Path) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("HOME", home);
    for (name, value) in [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", "Alice"),
        ("GIT_AUTHOR_EMAIL", "alice@example.org"),
        ("GIT_COMMITTER_NAME", "Alice"),
        ("GIT_COMMITTER_EMAIL", "alice@example.org"),
    ] {
        command.env(name, value);
    }
    command.args(["-c", "init.defaultBranch=main"]).args(arguments);
    command
}

/// A repository with `count` commits outside of any mount.
async fn origin(outside: &TempRoot, count: usize) -> PathBuf {
    let origin = outside.dir("origin").unwrap();
    plant(&origin, Seed::choose()).unwrap();
    let here = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(&origin);
        git(command, arguments, outside.path())
    };
    run(&mut here(&["init", "--quiet"])).await;
    for index in 0..count {
        std::fs::write(origin.join("counter"), index.to_string()).unwrap();
        run(&mut here(&["add", "--all"])).await;
        run(&mut here(&[
            "commit",
            "--quiet",
            "--message",
            &format!("commit {index}"),
        ]))
        .await;
    }
    origin
}

#[tokio::test]
#[ignore = "needs fuse, git"]
async fn a_clone_in_one_mount_is_sound_and_its_commits_are_in_the_log_of_the_other() {
    let ground = Ground::new().await;
    let home = ground.outside.path();
    let origin = origin(&ground.outside, 3).await;
    let there = |mount: &Mounted, arguments: &[&str]| git(mount.command("git"), arguments, home);
    let clone = [
        "clone",
        "--quiet",
        "--no-hardlinks",
        origin.to_str().unwrap(),
        "repo",
    ];
    run(&mut there(&ground.alices, &clone)).await;
    run(&mut there(&ground.alices, &["-C", "repo", "fsck", "--strict"])).await;
    ground.alices.write("repo/new.txt", b"from a mount").await;
    run(&mut there(&ground.alices, &["-C", "repo", "add", "--all"])).await;
    run(&mut there(
        &ground.alices,
        &["-C", "repo", "commit", "--quiet", "--message", "made in a mount"],
    ))
    .await;
    ground.settle().await;
    let log = run(&mut there(&ground.bobs, &["-C", "repo", "log", "--format=%s"])).await;
    assert_eq!(
        String::from_utf8_lossy(&log.stdout),
        "made in a mount\ncommit 2\ncommit 1\ncommit 0\n"
    );
    run(&mut there(&ground.bobs, &["-C", "repo", "fsck", "--strict"])).await;
    let status = run(&mut there(&ground.bobs, &["-C", "repo", "status", "--porcelain"])).await;
    assert_eq!(String::from_utf8_lossy(&status.stdout), "");
    ground.close().await;
}

#[tokio::test]
#[ignore = "needs fuse, tar"]
async fn a_tree_goes_through_both_mounts_by_tar_and_comes_out_the_same() {
    let ground = Ground::new().await;
    let source = ground.planted();
    let (archive, back) = (
        ground.outside.path().join("in.tar"),
        ground.outside.path().join("out.tar"),
    );
    run(Command::new("tar")
        .args(POSIX)
        .arg(&archive)
        .arg("-C")
        .arg(&source)
        .arg("."))
    .await;
    run(ground.alices.command("tar").arg("-xpf").arg(&archive)).await;
    assert_eq!(
        ground
            .differences(&source, &ground.alices, "", Times::Compared)
            .await,
        [""; 0]
    );
    ground.settle().await;
    assert_eq!(
        ground
            .differences(&source, &ground.bobs, "", Times::Compared)
            .await,
        [""; 0]
    );
    run(ground.bobs.command("tar").args(POSIX).arg(&back).arg(".")).await;
    let out = ground.outside.dir("out").unwrap();
    run(Command::new("tar").arg("-xpf").arg(&back).arg("-C").arg(&out)).await;
    let of = |path: &Path| Tree::of(path, Times::Compared).unwrap();
    assert_eq!(of(&source).differences(&of(&out)), [""; 0]);
    ground.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_tree_goes_through_both_mounts_by_cp_and_comes_out_the_same() {
    let ground = Ground::new().await;
    let source = ground.planted();
    run(ground.alices.command("cp").arg("-r").arg(&source).arg("tree")).await;
    ground.settle().await;
    assert_eq!(
        ground
            .differences(&source, &ground.bobs, "tree", Times::Ignored)
            .await,
        [""; 0]
    );
    let out = ground.outside.path().join("out");
    run(Command::new("cp")
        .arg("-r")
        .arg(ground.bobs.argument("tree"))
        .arg(&out))
    .await;
    let of = |path: &Path| Tree::of(path, Times::Ignored).unwrap();
    assert_eq!(of(&source).differences(&of(&out)), [""; 0]);
    ground.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_tree_is_copied_from_mount_to_mount_and_removed() {
    let ground = Ground::new().await;
    let source = ground.planted();
    run(ground.alices.command("cp").arg("-pR").arg(&source).arg("tree")).await;
    ground.settle().await;
    run(ground.bobs.command("cp").args(["-pR", "tree", "copy"])).await;
    assert_eq!(
        ground
            .differences(&source, &ground.bobs, "copy", Times::Compared)
            .await,
        [""; 0]
    );
    run(ground.bobs.command("rm").args(["-r", "tree", "copy"])).await;
    ground.alices.lists("", &[]).await;
    ground.close().await;
}

#[tokio::test]
#[ignore = "needs fuse, rsync"]
async fn rsync_with_checksums_finds_nothing_to_do_on_the_other_side() {
    let ground = Ground::new().await;
    let source = ground.planted();
    let from = format!("{}/", source.display());
    run(ground
        .alices
        .command("rsync")
        .args(["-a", "--checksum", &from, "tree/"]))
    .await;
    ground.settle().await;
    let arguments = [
        "-a",
        "--checksum",
        "--dry-run",
        "--itemize-changes",
        "--omit-dir-times",
        &from,
    ];
    let told = run(ground.bobs.command("rsync").args(arguments).arg("tree/")).await;
    assert_eq!(String::from_utf8_lossy(&told.stdout), "");
    let changed = source.join("a/plain.txt");
    std::fs::write(&changed, b"changed, so that rsync has something to do").unwrap();
    run(ground
        .bobs
        .command("rsync")
        .args(["-a", "--checksum", &from, "tree/"]))
    .await;
    ground
        .alices
        .reads("tree/a/plain.txt", b"changed, so that rsync has something to do")
        .await;
    ground.close().await;
}
