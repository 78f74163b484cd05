//! The identity file: three lines of text that keep a secret key across restarts.
//!
//! ```text
//! tandem-identity-v1
//! secret 64 hexadecimal digits
//! fingerprint 000G-40R4-…
//! ```
//! The last line shows people whose file it is, and reveals damage. An existing file is read or
//! refused, never overwritten. A new one is written beside its place, made durable, and then linked
//! into its place, so that it appears whole.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use super::{Fingerprint, Identity, IdentityError, SEED_LEN};
use crate::hex;
use crate::limits::{IDENTITY_FILE_LEN_MAX, IDENTITY_FORMAT_SHOWN_LEN_MAX};
#[cfg(unix)]
use crate::ownership::{Others, Shared, refuse_shared};

const FORMAT: &str = "tandem-identity-v1";
pub(super) fn load_or_create(path: &Path) -> Result<Identity, IdentityError> {
    match load(path) {
        Err(IdentityError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(path)
        }
        loaded => loaded,
    }
}

fn load(path: &Path) -> Result<Identity, IdentityError> {
    let text = read_private(path)?;
    parse(&text).map_err(|problem| match problem {
        Problem::Format(found) => IdentityError::UnknownFormat {
            path: path.to_owned(),
            found,
            expected: FORMAT,
        },
        Problem::Damage(problem) => IdentityError::Damaged {
            path: path.to_owned(),
            problem,
        },
    })
}

/// What is wrong with the text of an identity file.
enum Problem {
    Format(String),
    Damage(&'static str),
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, IdentityError> {
    let unreadable = |source| IdentityError::Unreadable {
        path: path.to_owned(),
        source,
    };
    // Checked before opening: opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(IdentityError::NotAFile {
            path: path.to_owned(),
        });
    }
    let file = open_at_once(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(IdentityError::NotAFile {
            path: path.to_owned(),
        });
    }
    #[cfg(unix)]
    refuse_foreign(path, &metadata)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(IDENTITY_FILE_LEN_MAX + 1));
    file.take(IDENTITY_FILE_LEN_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let damaged = |problem| IdentityError::Damaged {
        path: path.to_owned(),
        problem,
    };
    if bytes.len() > IDENTITY_FILE_LEN_MAX {
        return Err(damaged("it is too long"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| damaged("it is not text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Opens the file without waiting, in case a pipe has replaced it since the check.
fn open_at_once(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.open(path)
}

/// The secret must belong to this user alone: another user who owns the file can read it, and can
/// put another key into it.
#[cfg(unix)]
fn refuse_foreign(path: &Path, metadata: &fs::Metadata) -> Result<(), IdentityError> {
    let path = path.to_owned();
    refuse_shared(metadata, Others::MayNothing).map_err(|shared| match shared {
        Shared::NotOwn { owner, user } => IdentityError::NotOwn { path, owner, user },
        Shared::Exposed { mode } => IdentityError::Exposed { path, mode },
    })
}

fn parse(text: &str) -> Result<Identity, Problem> {
    let mut lines = text.lines();
    let format = lines.next().ok_or(Problem::Damage("it is empty"))?;
    if format != FORMAT {
        return Err(Problem::Format(
            format
                .escape_debug()
                .take(IDENTITY_FORMAT_SHOWN_LEN_MAX)
                .collect(),
        ));
    }
    let seed = lines
        .next()
        .and_then(parse_secret)
        .ok_or(Problem::Damage("its secret is not a valid key"))?;
    let fingerprint = lines.next().and_then(parse_fingerprint);
    let fingerprint = fingerprint.ok_or(Problem::Damage("its fingerprint is not valid"))?;
    if lines.next().is_some() {
        return Err(Problem::Damage("it has more than three lines"));
    }
    let identity = Identity::from_seed(seed).map_err(|_| Problem::Damage("its secret is not a valid key"))?;
    if identity.fingerprint() == fingerprint {
        Ok(identity)
    } else {
        Err(Problem::Damage("its fingerprint does not match its secret"))
    }
}

fn parse_secret(line: &str) -> Option<Zeroizing<[u8; SEED_LEN]>> {
    let mut seed = Zeroizing::new([0; SEED_LEN]);
    hex::decode_into(line.strip_prefix("secret ")?, seed.as_mut_slice())?;
    Some(seed)
}

fn parse_fingerprint(line: &str) -> Option<Fingerprint> {
    line.strip_prefix("fingerprint ")?.parse().ok()
}

fn create(path: &Path) -> Result<Identity, IdentityError> {
    let identity = Identity::ephemeral()?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match write_new(folder, path, &render(&identity)) {
        Ok(()) => Ok(identity),
        // Another peer created the file first; its identity counts.
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => load(path),
        Err(source) => Err(IdentityError::Unwritable {
            path: path.to_owned(),
            folder: folder.to_owned(),
            source,
        }),
    }
}

fn render(identity: &Identity) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(IDENTITY_FILE_LEN_MAX));
    text.push_str(FORMAT);
    text.push_str("\nsecret ");
    hex::push(&mut text, identity.seed.as_slice());
    text.push_str("\nfingerprint ");
    text.push_str(&identity.fingerprint().to_string());
    text.push('\n');
    text
}

fn write_new(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(".tandem-identity-")
        .tempfile_in(folder)?;
    make_private(file.as_file())?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    sync_folder(folder)
}

/// The file is created with 0600 less the umask; a umask of 0700 would lock out its owner.
#[cfg(unix)]
fn make_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn make_private(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
