//! Where this person's tandem keeps what lasts: the identity. `TANDEM_HOME`, or the place that the
//! platform has for the data of programs.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use tandem_core::identity::Identity;

use crate::exit::{Exit, Failure, OrExit};

/// The variable that names another place.
const VARIABLE: &str = "TANDEM_HOME";
const IDENTITY_FILE: &str = "identity";

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
    pub(crate) fn overlaps(&self, folder: &Path) -> bool {
        let own = self.0.canonicalize().unwrap_or_else(|_| self.0.clone());
        own.starts_with(folder) || folder.starts_with(&own)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
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
