//! The shares of this person, kept from one start to the next: what is shared, with whom, and where
//! the other side is found again.
//!
//! Each share has a folder of its own in tandem's folder: `share.toml`, what the peer keeps
//! (`state` and `store`), and `lock`, held by the process that runs the share.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tandem_core::catalog::SharePath;
use tandem_core::identity::Fingerprint;
use url::Url;

use crate::control::Answers;
use crate::exit::{Exit, Failure, OrExit};
use crate::limits::{NAMES_TRIED_MAX, SHARE_NAME_LEN_MAX};
use crate::screen::{clean, say_always};

/// The format that this version writes and reads.
const FORMAT: u32 = 1;
const RECORD_FILE: &str = "share.toml";
const LOCK_FILE: &str = "lock";
/// In the folder of all shares, held while one is begun.
const TURN_FILE: &str = ".lock";
/// The name of a share that has no better one.
const UNNAMED: &str = "shared";

/// All shares of this person.
#[derive(Debug)]
pub(crate) struct Shares(PathBuf);

/// One share, as it is kept.
#[derive(Debug)]
pub(crate) struct Share {
    /// Its name on this machine, which is also that of its folder.
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) record: Record,
}

/// A share that this process runs. No other process does at the same time.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) share: Share,
    _lock: File,
    /// Dropped after the lock.
    waiting: Vec<Answers>,
}

/// What is kept of a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    format: u32,
    /// The relay by which the two find each other again, if they use one.
    pub(crate) relay: Option<Url>,
    /// The port on which this side listens; the other side looks for it there.
    pub(crate) port: Option<u16>,
    /// The other side; `None` until it has answered the code.
    pub(crate) friend: Option<Friend>,
    /// What else is shared from this machine, by `tandem put`. It is not watched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) put: Vec<Root>,
    #[serde(flatten)]
    pub(crate) side: Side,
}

/// The other side of a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Friend {
    /// What this person calls it.
    pub(crate) name: Option<String>,
    #[serde(with = "as_text")]
    pub(crate) fingerprint: Fingerprint,
    /// Where it was found last.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// What this side does in a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "side", rename_all = "lowercase")]
pub(crate) enum Side {
    /// It shares these paths.
    Shared { paths: Vec<Root> },
    /// It brings what the other side shares into this folder.
    Joined { folder: PathBuf },
    /// It shows what both share on this folder.
    Mounted { at: PathBuf },
}

/// A shared path of this machine, and its name in the share; `None` for the share itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    pub(crate) name: Option<SharePath>,
}

impl Shares {
    /// Those whose folders are in `dir`, which exists.
    pub(crate) fn of(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// All shares that have another side, by name.
    pub(crate) fn all(&self) -> Result<Vec<Share>, Failure> {
        let mut shares = self.readable()?;
        shares.retain(|share| share.record.friend.is_some());
        Ok(shares)
    }

    /// Each share whose record can be read. One that can't is named, and in nobody's way.
    fn readable(&self) -> Result<Vec<Share>, Failure> {
        let mut shares = Vec::new();
        for name in self.names()? {
            match self.read(&name) {
                Ok(share) => shares.extend(share),
                Err(failure) => failure.text.iter().for_each(say_always),
            }
        }
        Ok(shares)
    }

    /// As [`Shares::all`], with those that wait for an answer to their code.
    pub(crate) fn present(&self) -> Result<Vec<Share>, Failure> {
        let mut shares = self.readable()?;
        shares
            .retain(|share| share.record.friend.is_some() || matches!(lock(&share.dir), Err(Locked::By(_))));
        Ok(shares)
    }

    /// The share with that name, or the only one.
    pub(crate) fn chosen(&self, name: Option<&str>) -> Result<Share, Failure> {
        if let Some(name) = name {
            return self.named(name);
        }
        let mut present = self.present()?;
        match (present.pop(), present.is_empty()) {
            (Some(only), true) => Ok(only),
            (last, _) => {
                let names: Vec<_> = present
                    .iter()
                    .chain(&last)
                    .map(|share| clean(&share.name))
                    .collect();
                let text = format!("name the share\nhint: {}", there_are(&names));
                Err(Failure::new(Exit::Usage, text))
            }
        }
    }

    /// What this person calls the other side with that fingerprint, in any share.
    pub(crate) fn name_of(&self, fingerprint: &Fingerprint) -> Result<Option<String>, Failure> {
        let friends = self.all()?.into_iter().filter_map(|share| share.record.friend);
        let mut same = friends.filter(|friend| friend.fingerprint == *fingerprint);
        Ok(same.find_map(|friend| friend.name))
    }

    /// The share with that name.
    pub(crate) fn named(&self, name: &str) -> Result<Share, Failure> {
        let all = self.present()?;
        let names: Vec<_> = all.iter().map(|share| clean(&share.name)).collect();
        all.into_iter().find(|share| share.name == name).ok_or_else(|| {
            let text = format!("there is no share `{}`\nhint: {}", clean(name), there_are(&names));
            Failure::new(Exit::Usage, text)
        })
    }

    /// A new share, held by this process: with that name, or with a number behind it if the name is
    /// taken. Shares that nobody has answered and that no process runs are removed.
    pub(crate) fn begin(&self, wanted: Option<&str>, record: Record) -> Result<Held, Failure> {
        let _turn = self.take_turn()?;
        self.clear_unanswered()?;
        let wanted = wanted.filter(|name| is_name(name)).unwrap_or(UNNAMED);
        let numbered = (2..=NAMES_TRIED_MAX).map(|number| format!("{wanted}-{number}"));
        for name in std::iter::once(wanted.to_owned()).chain(numbered) {
            let dir = self.0.join(&name);
            match private_folder(&dir) {
                Ok(()) => {
                    let held = Share { name, dir, record }.hold()?;
                    held.share.save()?;
                    return Ok(held);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(at_fault("could not make", &dir, &error)),
            }
        }
        let text = format!("no name like `{}` is free for the share", clean(wanted));
        Err(Failure::new(Exit::LocalDisk, text))
    }

    /// Waits until no other process begins a share.
    fn take_turn(&self) -> Result<File, Failure> {
        let path = self.0.join(TURN_FILE);
        let options = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let locked = options.and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| at_fault("could not lock", &path, &error))
    }

    fn clear_unanswered(&self) -> Result<(), Failure> {
        for name in self.names()? {
            let dir = self.0.join(&name);
            let is_unanswered = match self.read(&name) {
                Ok(share) => share.is_none_or(|share| share.record.friend.is_none()),
                // It may be one of a later version.
                Err(_) => false,
            };
            if is_unanswered && let Ok(_lock) = lock(&dir) {
                std::fs::remove_dir_all(&dir).map_err(|error| at_fault("could not remove", &dir, &error))?;
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, Failure> {
        let entries =
            std::fs::read_dir(&self.0).map_err(|error| at_fault("could not read", &self.0, &error))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| is_name(name)).collect();
        names.sort();
        Ok(names)
    }

    /// The share in that folder; `None` if the folder holds none.
    fn read(&self, name: &str) -> Result<Option<Share>, Failure> {
        let dir = self.0.join(name);
        let path = dir.join(RECORD_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at_fault("could not read", &path, &error)),
        };
        let record = Record::parse(&text).map_err(|error| {
            let text = format!(
                "`{}` can't be used: {error}\nhint: mend it, or move `{}` away; then that share is gone here",
                path.display(),
                dir.display()
            );
            Failure::new(Exit::LocalDisk, text)
        })?;
        let name = name.to_owned();
        Ok(Some(Share { name, dir, record }))
    }
}

impl Share {
    /// Where its peer keeps the catalog.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Where its peer keeps contents.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Runs the share in this process.
    ///
    /// # Errors
    /// If another process does.
    pub(crate) fn hold(self) -> Result<Held, Failure> {
        match lock(&self.dir) {
            Ok(lock) => Ok(Held {
                share: self,
                _lock: lock,
                waiting: Vec::new(),
            }),
            Err(Locked::By(process)) => {
                let process = process.map_or_else(String::new, |id| format!(", in process {id}"));
                let text = format!("the share `{}` runs already{process}", clean(&self.name));
                Err(Failure::new(Exit::Usage, text))
            }
            Err(Locked::Failed(error)) => Err(at_fault("could not lock", &self.dir, &error)),
        }
    }

    /// Removes what is kept of it. Files of the person stay.
    pub(crate) fn forget(self) -> Result<(), Failure> {
        let held = self.hold()?;
        held.forget()
    }

    /// Writes what is kept, whole or not at all.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        let path = self.dir.join(RECORD_FILE);
        let text = toml::to_string(&self.record).or_exit(Exit::LocalDisk)?;
        let saved = tempfile::NamedTempFile::new_in(&self.dir).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        });
        saved.map_err(|error| at_fault("could not write", &path, &error))
    }
}

impl Held {
    /// Lets a process wait until this one holds the share no longer.
    pub(crate) fn keep_waiting(&mut self, process: Answers) {
        self.waiting.push(process);
    }

    /// Changes what is kept.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Record)) -> Result<(), Failure> {
        let before = self.share.record.clone();
        change(&mut self.share.record);
        if self.share.record == before {
            return Ok(());
        }
        self.share.save()
    }

    /// Removes what is kept of it. Files of the person stay.
    pub(crate) fn forget(self) -> Result<(), Failure> {
        let dir = &self.share.dir;
        std::fs::remove_dir_all(dir).map_err(|error| at_fault("could not remove", dir, &error))
    }
}

impl Friend {
    /// What this person calls it, or else the beginning of its fingerprint.
    pub(crate) fn called(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.fingerprint.fmt_short())
    }
}

impl Record {
    /// A new share of that side, which nobody has answered.
    pub(crate) fn new(side: Side, relay: Option<Url>) -> Self {
        Self {
            format: FORMAT,
            relay,
            port: None,
            friend: None,
            put: Vec::new(),
            side,
        }
    }

    /// Whether `tandem put` has shared that path under that name.
    pub(crate) fn has_put(&self, path: &Path, name: &SharePath) -> bool {
        self.put
            .iter()
            .any(|root| root.path == path && root.name.as_ref() == Some(name))
    }

    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = toml::from_str(text).map_err(|error| error.to_string())?;
        if format != FORMAT {
            return Err(format!(
                "it has format {format}, and this version of tandem reads format {FORMAT}"
            ));
        }
        toml::from_str(text).map_err(|error| error.to_string())
    }
}

/// Why a share can't be held.
enum Locked {
    /// Another process holds it; with its id, if it can be read.
    By(Option<u32>),
    Failed(std::io::Error),
}

fn lock(dir: &Path) -> Result<File, Locked> {
    let opened = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join(LOCK_FILE));
    let mut file = opened.map_err(Locked::Failed)?;
    match file.try_lock() {
        Ok(()) => {
            let id = std::process::id().to_string();
            let written = file
                .set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(id.as_bytes()));
            written.map_err(Locked::Failed)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            drop(file.read_to_string(&mut text));
            Err(Locked::By(text.trim().parse().ok()))
        }
        Err(TryLockError::Error(error)) => Err(Locked::Failed(error)),
    }
}

/// Which shares there are, as a hint.
fn there_are(names: &[String]) -> String {
    match names {
        [] => "there is none yet; `tandem share` and `tandem join` begin one".to_owned(),
        names => format!("there are: {}", names.join(", ")),
    }
}

/// Makes a folder that only its owner may enter.
pub(crate) fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Whether a text can be the name of a share: typed before a `:`, and the name of a folder.
pub(crate) fn is_name(name: &str) -> bool {
    let is_one = SharePath::parse(name).is_ok() && !name.contains(['/', '\\', ':']);
    let is_trimmed = name.trim() == name;
    is_one
        && is_trimmed
        && !name.starts_with(['.', '-'])
        && name.len() <= SHARE_NAME_LEN_MAX
        && clean(name) == name
}

/// Whether a text can be what this person calls another one.
pub(crate) fn is_peer_name(name: &str) -> bool {
    let is_plain = !name.is_empty() && name.trim() == name && !name.starts_with('-') && clean(name) == name;
    is_plain && name.len() <= SHARE_NAME_LEN_MAX && name.parse::<Fingerprint>().is_err()
}

fn at_fault(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    let text = format!("{what} `{}`: {error}", clean(&path.display().to_string()));
    Failure::new(Exit::LocalDisk, text)
}

/// A fingerprint in files for people.
mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use tandem_core::identity::Fingerprint;

    pub(super) fn serialize<S: Serializer>(
        fingerprint: &Fingerprint,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(fingerprint)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fingerprint, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let paths = vec![Root {
            path: "/home/alice/photos".into(),
            name: None,
        }];
        Record::new(Side::Shared { paths }, None)
    }

    fn friend() -> Friend {
        Friend {
            name: None,
            fingerprint: tandem_core::identity::Identity::ephemeral()
                .unwrap()
                .fingerprint(),
            addresses: vec!["192.0.2.1:26000".parse().unwrap()],
        }
    }

    fn shares() -> (tempfile::TempDir, Shares) {
        let root = tempfile::tempdir().unwrap();
        let shares = Shares::of(root.path().to_owned());
        (root, shares)
    }

    #[test]
    fn what_is_kept_of_a_share_is_read_again() {
        let (_root, shares) = shares();
        let mut held = shares.begin(Some("photos"), record()).unwrap();
        let relay = "https://relay.example.org/".parse().unwrap();
        held.change(|record| {
            record.relay = Some(relay);
            record.port = Some(26_001);
            record.friend = Some(friend());
        })
        .unwrap();
        assert_eq!(shares.named("photos").unwrap().record, held.share.record);
        let joined = Record::new(
            Side::Joined {
                folder: "/home/bob/photos".into(),
            },
            None,
        );
        let mut held = shares.begin(Some("photos"), joined).unwrap();
        held.change(|record| record.friend = Some(friend())).unwrap();
        let names: Vec<_> = shares
            .all()
            .unwrap()
            .into_iter()
            .map(|share| share.name)
            .collect();
        assert_eq!(names, ["photos", "photos-2"]);
    }

    #[test]
    fn a_share_that_nobody_answered_is_gone_once_no_process_runs_it() {
        let (_root, shares) = shares();
        let first = shares.begin(Some("photos"), record()).unwrap();
        let second = shares.begin(Some("photos"), record()).unwrap();
        assert_eq!(second.share.name, "photos-2");
        assert!(shares.all().unwrap().is_empty());
        drop((first, second));
        let third = shares.begin(Some("photos"), record()).unwrap();
        assert_eq!(third.share.name, "photos");
        assert_eq!(shares.names().unwrap(), ["photos"]);
    }

    #[test]
    fn a_share_runs_in_one_process() {
        let (_root, shares) = shares();
        let mut held = shares.begin(Some("photos"), record()).unwrap();
        held.change(|record| record.friend = Some(friend())).unwrap();
        let share = shares.named("photos").unwrap();
        let refused = share.hold().unwrap_err();
        assert!(refused.text.unwrap().contains("runs already, in process"));
        drop(held);
        shares.named("photos").unwrap().forget().unwrap();
        let unknown = shares.named("photos").unwrap_err();
        assert!(unknown.text.unwrap().contains("there is none yet"));
    }

    #[test]
    fn a_record_of_another_version_or_a_damaged_one_is_named_and_stays() {
        let (root, shares) = shares();
        for text in ["format = 2", "format = 1\nside = \"else\"", "\u{0}", ""] {
            let dir = root.path().join("photos");
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join(RECORD_FILE), text).unwrap();
            let error = shares.read("photos").unwrap_err();
            assert!(
                error.text.unwrap().contains("share.toml` can't be used"),
                "{text:?}"
            );
            assert!(shares.all().unwrap().is_empty() && shares.present().unwrap().is_empty());
            let begun = shares.begin(Some("photos"), record()).unwrap();
            assert_eq!(begun.share.name, "photos-2");
            begun.forget().unwrap();
        }
    }

    #[test]
    fn the_name_of_a_share_is_one_plain_name() {
        for name in [
            "", ".", "..", ".ssh", "-x", "a/b", "a:b", "a\u{1b}b", "a\\b", " a", " ",
        ] {
            assert!(!is_name(name), "{name:?}");
        }
        assert!(is_name("Fotos 2026"));
    }
}
