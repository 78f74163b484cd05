//! The names of conflict copies: `stem (conflict SHORT-COUNTER).ext`, after the maker of the
//! version.
//!
//! Deterministic, so that both peers show the same name. If a name is taken or had to be cut, the
//! next attempt holds more of the version's identity.

use super::share_path::Name;
use super::state::EntryId;
use super::version_vector::Dot;
use crate::limits::{CONFLICT_EXTENSION_LEN_MAX, SHARE_NAME_LEN_MAX};

const MARK: &str = " (conflict ";
/// Hexadecimal digits that distinguish later attempts.
const TAG_LEN: usize = 12;

/// Whether a conflict copy could have this name.
pub(super) fn may_be_conflict_name(name: &Name) -> bool {
    name.as_str().contains(MARK)
}

/// The name of `version` as a conflict copy of `base`; a different one for each attempt, counted
/// from 0.
pub(super) fn conflict_name(base: &Name, version: (&Dot, EntryId), attempt: u32) -> Option<Name> {
    let (dot, id) = version;
    let (stem, extension) = split(base.as_str());
    let mut suffix = format!("{MARK}{}-{}", dot.replica.fingerprint.fmt_short(), dot.counter);
    if attempt > 0 {
        suffix.push('-');
        suffix.push_str(&tag(dot, id, attempt));
    }
    suffix.push(')');
    let room = SHARE_NAME_LEN_MAX.saturating_sub(suffix.len() + extension.len());
    let stem = stem.get(..stem.floor_char_boundary(room))?;
    Name::new(&format!("{stem}{suffix}{extension}")).ok()
}

/// The stem, and the extension with its dot. A name that only starts with a dot has no extension.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(position) if position > 0 && name.len() - position <= CONFLICT_EXTENSION_LEN_MAX => {
            name.split_at(position)
        }
        _ => (name, ""),
    }
}

fn tag(dot: &Dot, id: EntryId, attempt: u32) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(id.as_bytes());
    hasher.update(&dot.replica.incarnation.to_le_bytes());
    hasher.update(&attempt.to_le_bytes());
    crate::hex::encode(hasher.finalize().as_bytes())
        .chars()
        .take(TAG_LEN)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::catalog_of;

    #[test]
    fn an_extension_at_the_limit_stays_at_the_end_and_a_longer_one_does_not() {
        let replica = catalog_of(1).replica();
        let dot = Dot { counter: 1, replica };
        let copy_of = |extension: &str| {
            let base = Name::new(&format!("stem{extension}")).unwrap();
            let copy = conflict_name(&base, (&dot, EntryId::ROOT), 0).unwrap();
            copy.as_str().to_owned()
        };
        let at_limit = format!(".{}", "x".repeat(CONFLICT_EXTENSION_LEN_MAX - 1));
        assert!(copy_of(&at_limit).ends_with(&format!("){at_limit}")));
        let longer = format!("{at_limit}y");
        assert!(copy_of(&longer).starts_with(&format!("stem{longer}{MARK}")));
    }
}
