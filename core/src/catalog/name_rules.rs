//! Which names a share allows: every name that POSIX allows and that is text.
//!
//! Owns the rules for single names and nothing about paths. Names are compared byte by byte; no
//! Unicode form is required. The store decides which names a local file system can't hold and which
//! ones collide there; `crate::printable` decides how a name is shown to people.

use super::share_path::PathFault;
use crate::limits::SHARE_NAME_LEN_MAX;

/// Checks one name.
pub(super) fn check(name: &str) -> Result<(), PathFault> {
    match name {
        "" => Err(PathFault::EmptyName),
        "." | ".." => Err(PathFault::Dots),
        _ if name.len() > SHARE_NAME_LEN_MAX => Err(PathFault::NameTooLong { len: name.len() }),
        _ if name.contains('/') => Err(PathFault::Separator),
        _ if name.contains('\0') => Err(PathFault::Nul),
        _ => Ok(()),
    }
}
