//! What one name inside a share may look like: the strictest of all file systems, everywhere.
//!
//! Owns the rules for single names and nothing about paths. A share is portable (invariant): a name that Windows can't
//! hold is refused on Linux too, at the side that adds it, instead of failing on the side that receives it. Names are
//! compared byte by byte; collisions of case or of Unicode normalisation are the business of the store, which knows the
//! file system at hand, and no Unicode form is imposed here. Source of the Windows rules: "Naming Files, Paths, and
//! Namespaces" (Microsoft Learn), and CVE-2023-45284 for the superscript digits.

use super::share_path::PathFault;
use crate::limits::SHARE_NAME_LEN_MAX;

/// Characters that Windows forbids in names. `:` would also open an alternate data stream or a drive.
const FORBIDDEN: &[char] = &['<', '>', '"', '|', '?', '*', ':'];
/// Device names without a number.
const DEVICES: &[&str] = &["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"];
/// Device names that a digit completes.
const NUMBERED_DEVICES: &[&str] = &["COM", "LPT"];

/// Checks one name.
pub(super) fn check(name: &str) -> Result<(), PathFault> {
    if name.is_empty() {
        return Err(PathFault::EmptyName);
    }
    if name == "." || name == ".." {
        return Err(PathFault::Dots);
    }
    if name.len() > SHARE_NAME_LEN_MAX {
        return Err(PathFault::NameTooLong { len: name.len() });
    }
    name.chars().try_for_each(check_character)?;
    if name.ends_with(['.', ' ']) {
        return Err(PathFault::TrailingDotOrSpace);
    }
    if is_device(name) {
        Err(PathFault::Device)
    } else {
        Ok(())
    }
}

fn check_character(character: char) -> Result<(), PathFault> {
    match character {
        '\0' => Err(PathFault::Nul),
        '/' => Err(PathFault::Separator),
        '\\' => Err(PathFault::Backslash),
        '\u{2028}' | '\u{2029}' => Err(PathFault::Control { character }),
        _ if character.is_control() => Err(PathFault::Control { character }),
        _ if is_bidi_control(character) => Err(PathFault::Bidi { character }),
        _ if FORBIDDEN.contains(&character) => Err(PathFault::Forbidden { character }),
        _ => Ok(()),
    }
}

/// Characters that reorder the text around them, so that `gpj.exe` reads as `exe.jpg` (Unicode TR 36).
fn is_bidi_control(character: char) -> bool {
    matches!(
        character,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Windows ignores everything from the first dot on, and spaces before it: `nul .tar.gz` is the null device.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ');
    let named = DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device));
    named || NUMBERED_DEVICES.iter().any(|device| is_numbered(stem, device))
}

fn is_numbered(stem: &str, device: &str) -> bool {
    let Some((start, number)) = stem.split_at_checked(device.len()) else {
        return false;
    };
    let mut digits = number.chars();
    let digit = matches!(digits.next(), Some('0'..='9' | '¹' | '²' | '³'));
    start.eq_ignore_ascii_case(device) && digit && digits.next().is_none()
}
