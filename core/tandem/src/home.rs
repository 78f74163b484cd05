//! Where this person's tandem keeps what lasts: the identity, the configuration and the shares.
//! `TANDEM_HOME`, or the place that the platform has for the data of programs.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::Deserialize;
use tandem_core::identity::Identity;
use url::Url;

use crate::exit::{Exit, Failure, OrExit};
use crate::screen::clean;
use crate::shares::{Shares, private_folder};

/// The variable that names another place.
const VARIABLE: &str = "TANDEM_HOME";
const IDENTITY_FILE: &str = "identity";
const CONFIG_FILE: &str = "config.toml";
const SHARES_FOLDER: &str = "shares";

/// What this person has configured, in `config.toml`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The relay for `tandem share`, where `--relay` and `TANDEM_RELAY` name none.
    pub(crate) relay: Option<Url>,
}

/// The directory of this person.
#[derive(Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// The directory, made if it is missing. Only its owner may enter it.
    pub(crate) fn open() -> Result<Self, Failure> {
        let named = std::env::var_os(VARIABLE).filter(|named| !named.is_empty());
        let path = match named {
            Some(named) => PathBuf::from(named),
            None => {
                let strategy = etcetera::choose_base_strategy();
                let hint = |error| {
                    let text = format!("{error}\nhint: set {VARIABLE} to a directory of your own");
                    Failure::new(Exit::LocalDisk, text)
                };
                strategy.map_err(hint)?.data_dir().join("tandem")
            }
        };
        create(&path).map_err(|error| {
            let text = format!(
                "could not make `{}`: {error}\nhint: make it, or set {VARIABLE} to another directory",
                path.display()
            );
            Failure::new(Exit::LocalDisk, text)
        })?;
        Ok(Self(path))
    }

    /// Whether it is in that folder, or the folder in it.
    fn overlaps(&self, folder: &Path) -> bool {
        let own = self.0.canonicalize().unwrap_or_else(|_| self.0.clone());
        own.starts_with(folder) || folder.starts_with(&own)
    }

    /// Refuses to share a path that this directory, with this person's secret key, is in, or that
    /// is in it.
    pub(crate) fn refuse_to_share(&self, path: &Path) -> Result<(), Failure> {
        if !self.overlaps(path) {
            return Ok(());
        }
        let text = format!(
            "`{}` can't be shared: it and tandem's own folder `{}`, which has your secret key, overlap\n\
             hint: share folders inside of it, or set TANDEM_HOME to another place",
            clean(&path.display().to_string()),
            self.0.display()
        );
        Err(Failure::new(Exit::Usage, text))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What this person has configured; nothing if there is no such file.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let path = self.0.join(CONFIG_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Config::default()),
            Err(error) => {
                let text = format!("could not read `{}`: {error}", path.display());
                return Err(Failure::new(Exit::LocalDisk, text));
            }
        };
        toml::from_str(&text).map_err(|error| {
            let text = format!("`{}` can't be used: {error}", path.display());
            Failure::new(Exit::Usage, text)
        })
    }

    /// The shares of this person.
    pub(crate) fn shares(&self) -> Result<Shares, Failure> {
        let dir = self.0.join(SHARES_FOLDER);
        match private_folder(&dir) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                let text = format!("could not make `{}`: {error}", dir.display());
                Err(Failure::new(Exit::LocalDisk, text))
            }
            Ok(()) | Err(_) => Ok(Shares::of(dir)),
        }
    }

    /// The identity of this person's peer, made at the first use.
    pub(crate) fn identity(&self) -> Result<Identity, Failure> {
        Identity::load_or_create(&self.0.join(IDENTITY_FILE)).or_exit(Exit::LocalDisk)
    }
}

fn create(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
