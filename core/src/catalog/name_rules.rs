//! What one name inside a share may look like: whatever POSIX allows and can be written as text.
//!
//! Owns the rules for single names and nothing about paths. Names are compared byte by byte, and no
//! Unicode form is imposed. What a file system at hand can't hold, and which names collide there,
//! is the business of the store; how a name is shown to people, that of `crate::printable`.

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
