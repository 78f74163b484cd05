//! Whether a file or folder is this user's alone.
//!
//! Owns the one check of owner and mode, for systems that have them. On other systems, inherited
//! access rules keep the files in a person's profile private. Knows no path: each caller has its
//! own errors.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// What users other than the owner may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// Anything but write.
    MayRead,
    /// Nothing.
    MayNothing,
}

/// Why a file or folder is not this user's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shared {
    /// It belongs to another user, who can do anything with it.
    NotOwn {
        /// The user that it belongs to.
        owner: u32,
        /// The user that this process runs as.
        user: u32,
    },
    /// Its mode lets others do more than they may.
    Exposed {
        /// Its permission bits.
        mode: u32,
    },
}

/// Checks that this user owns the file or folder, and that its mode lets others do no more than
/// they may.
///
/// # Errors
/// [`Shared`] says which of the two does not hold.
pub(crate) fn refuse_shared(metadata: &Metadata, others: Others) -> Result<(), Shared> {
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        return Err(Shared::NotOwn { owner, user });
    }
    let mode = metadata.mode() & 0o7777;
    let refused = match others {
        Others::MayRead => 0o022,
        Others::MayNothing => 0o077,
    };
    if mode & refused != 0 {
        return Err(Shared::Exposed { mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn each_mode_bit_that_gives_others_too_many_rights_is_refused() {
        let file = tempfile::tempfile().unwrap();
        let check = |mode, others| {
            file.set_permissions(Permissions::from_mode(mode)).unwrap();
            refuse_shared(&file.metadata().unwrap(), others)
        };
        for bit in (0..9).map(|index| 1 << index) {
            let exposed = Err(Shared::Exposed { mode: bit });
            let (is_of_others, writes) = (bit & 0o077 != 0, bit & 0o022 != 0);
            let nothing = if is_of_others { exposed } else { Ok(()) };
            let reading = if writes { exposed } else { Ok(()) };
            assert_eq!(check(bit, Others::MayNothing), nothing, "{bit:o}");
            assert_eq!(check(bit, Others::MayRead), reading, "{bit:o}");
        }
    }
}
