//! Two people, each with a home of their own.

use std::panic::Location;
use std::path::{Path, PathBuf};

use tandem_tests::temp::TempRoot;
#[cfg(unix)]
use tandem_tests::wait::poll_for;
use tandem_tests::wait::{Look, poll};

use crate::process::{Ended, Tandem};

/// The homes of alice and bob.
pub(crate) struct Homes {
    root: TempRoot,
}

impl Homes {
    pub(crate) fn new() -> Self {
        let homes = Self {
            root: TempRoot::create().unwrap(),
        };
        for home in [homes.alice(), homes.bob()] {
            std::fs::create_dir(home).unwrap();
        }
        homes
    }

    pub(crate) fn alice(&self) -> PathBuf {
        self.root.path().join("alice")
    }

    pub(crate) fn bob(&self) -> PathBuf {
        self.root.path().join("bob")
    }

    /// Alice shares her folder `photos`, which has these files. Returns the code as well.
    pub(crate) async fn alice_shares(&self, files: &[(&str, &str)]) -> (Tandem, String) {
        for (name, text) in files {
            write(&self.alice().join("photos").join(name), text);
        }
        self.alice_shares_by(&[]).await
    }

    /// Alice shares her folder `photos`, with these options too. Returns the code as well.
    pub(crate) async fn alice_shares_by(&self, options: &[&str]) -> (Tandem, String) {
        std::fs::create_dir_all(self.alice().join("photos")).unwrap();
        let mut share = Tandem::start(&self.alice(), &[&["share", "photos"], options].concat());
        let code = share.answers().await;
        (share, code)
    }

    /// Alice shares `a.txt` and `in/b.txt`, and bob follows.
    pub(crate) async fn following(&self) -> (Tandem, Tandem) {
        let (share, code) = self.alice_shares(&[("a.txt", "one"), ("in/b.txt", "two")]).await;
        let mut join = self.bob_joins(&code, &[]).await;
        join.says("following").await;
        (share, join)
    }

    /// Bob starts `tandem join` with these arguments and types the code.
    pub(crate) async fn bob_joins(&self, code: &str, args: &[&str]) -> Tandem {
        let mut join = Tandem::start(&self.bob(), &[&["join"], args].concat());
        join.types(code).await;
        join
    }

    /// Bob joins and the command ends.
    pub(crate) async fn bob_joins_once(&self, code: &str) -> Ended {
        self.bob_joins(code, &["--once"]).await.ends().await
    }
}

/// Writes a file, with its folders.
pub(crate) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The text of a file, or what is there instead.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| format!("({error})"))
}

/// Waits until a file has this text.
pub(crate) async fn becomes(path: &Path, text: &str) {
    poll(Location::caller(), "the text of a file", || match read(path) {
        found if found == text => Look::Ready(()),
        found => Look::NotYet(found),
    })
    .await;
}

/// Waits until `tandem` with these arguments answers something without `text` in it.
#[cfg(unix)]
pub(crate) async fn answers_without(home: &Path, args: &[&str], text: &str) -> String {
    poll_for(Location::caller(), "an answer without a text", async || {
        let ended = Tandem::asked(home, args).await;
        if ended.code == Some(0) && !ended.stdout.contains(text) {
            return Look::Ready(ended.stdout);
        }
        Look::NotYet(ended.stdout + &ended.stderr)
    })
    .await
}

/// Waits until `tandem` with these arguments answers something with `text` in it.
#[cfg(unix)]
pub(crate) async fn answers(home: &Path, args: &[&str], text: &str) -> String {
    poll_for(Location::caller(), "an answer", async || {
        let ended = Tandem::asked(home, args).await;
        if ended.stdout.contains(text) {
            return Look::Ready(ended.stdout);
        }
        Look::NotYet(ended.stdout + &ended.stderr)
    })
    .await
}
