//! Either side is killed again and again, at moments that a seed decides. What has arrived is used
//! when bob joins again; in the end everything is there, and nothing else.

use std::os::unix::fs::MetadataExt;
use std::panic::Location;
use std::path::Path;

use tandem_tests::seed::Seed;
use tandem_tests::wait::{Look, poll};

use crate::home::Homes;
use crate::process::Tandem;

/// Decides contents and moments. Another one may be tried here; it is printed on failure.
const SEED: &str = "0x7a6d";
/// How often one side is killed.
const KILLS: u64 = 10;
const LARGE_LEN: usize = 30_000_001;

/// Alice's folder: two large files, many small ones and an empty one.
fn files(seed: Seed) -> Vec<(String, Vec<u8>)> {
    let large = ["one.bin", "in/two.bin"].map(|name| (name.to_owned(), seed.payload(name, LARGE_LEN)));
    let small = (0..100).map(|index| format!("small/{index}.bin"));
    let small = small.map(|name| (name.clone(), seed.payload(&name, 9_000)));
    let empty = ("in/empty".to_owned(), Vec::new());
    large.into_iter().chain(small).chain([empty]).collect()
}

/// A number below `limit` for the kill with this number.
fn below(limit: u64, seed: Seed, kill: u64) -> u64 {
    let bytes = seed.payload(&format!("kill {kill}"), 8);
    u64::from_le_bytes(bytes.try_into().unwrap()) % limit.max(1)
}

/// All files beneath a folder.
fn all(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let inside = |path: std::path::PathBuf| match path.symlink_metadata() {
        Ok(there) if there.is_dir() => all(&path),
        _ => vec![path],
    };
    paths.flat_map(inside).collect()
}

/// Bytes on the disk of everything beneath a folder, whatever its name.
fn arrived(folder: &Path) -> u64 {
    let len = |path: std::path::PathBuf| path.symlink_metadata().map_or(0, |there| there.blocks() * 512);
    all(folder).into_iter().map(len).sum()
}

struct Pair {
    homes: Homes,
    seed: Seed,
    files: Vec<(String, Vec<u8>)>,
}

impl Pair {
    fn new() -> Self {
        let (homes, seed) = (Homes::new(), Seed::parse(SEED).unwrap());
        let files = files(seed);
        let photos = homes.alice().join("photos");
        for (name, bytes) in &files {
            let path = photos.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        Self { homes, seed, files }
    }

    async fn join(&self) -> (Tandem, Tandem) {
        let (share, code) = self.homes.alice_shares_by(&[]).await;
        let join = self.homes.bob_joins(&code, &["--once", "inbox"]).await;
        (share, join)
    }

    /// Starts both, and returns when up to a third of what is missing has arrived.
    async fn until_some_has_arrived(&self, kill: u64) -> (Tandem, Tandem) {
        let inbox = self.homes.bob().join("inbox");
        let whole: u64 = self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let there = arrived(&inbox);
        let enough = there + below(whole.saturating_sub(there) / 3, self.seed, kill);
        let both = self.join().await;
        poll(Location::caller(), "bytes at bob", || match arrived(&inbox) {
            now if now >= enough => Look::Ready(()),
            now => Look::NotYet(format!("kill {kill} of seed {}: {now} of {enough}", self.seed)),
        })
        .await;
        both
    }

    /// Bob joins once more, undisturbed: everything is there, and nothing else.
    async fn arrives(&self) {
        let (_share, join) = self.join().await;
        let ended = join.ends().await;
        assert_eq!(ended.code, Some(0), "seed {}: {}", self.seed, ended.stderr);
        let inbox = self.homes.bob().join("inbox");
        for (name, bytes) in &self.files {
            let there = std::fs::read(inbox.join(name)).ok();
            assert!(
                there.as_ref() == Some(bytes),
                "`{name}` is wrong with seed {}: {}",
                self.seed,
                ended.stderr
            );
        }
        let names = all(&inbox);
        assert_eq!(names.len(), self.files.len(), "seed {}: {names:?}", self.seed);
    }
}

#[tokio::test]
async fn a_join_that_is_killed_at_any_moment_goes_on_and_leaves_nothing() {
    let pair = Pair::new();
    for kill in 0..KILLS {
        let (share, join) = pair.until_some_has_arrived(kill).await;
        join.killed().await;
        share.killed().await;
    }
    pair.arrives().await;
}

#[tokio::test]
async fn a_join_whose_other_side_is_killed_at_any_moment_goes_on_and_leaves_nothing() {
    let pair = Pair::new();
    for kill in KILLS..2 * KILLS {
        let (share, join) = pair.until_some_has_arrived(kill).await;
        share.killed().await;
        join.interrupt();
        let ended = join.ends_unasked().await;
        // What it says depends on the moment; a panic is never right.
        assert_ne!(ended.code, Some(101), "{ended:?}");
    }
    pair.arrives().await;
}
