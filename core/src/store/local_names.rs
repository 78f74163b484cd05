//! Which names of a share the file system of this machine can hold.
//!
//! A share allows every name that POSIX allows; Windows allows fewer. Names are checked before
//! anything is made on a disk: on Windows such a name may not only fail, it can mean another file,
//! a stream of one, or a device. Pure, so that every platform tests it. Collisions of case or of
//! Unicode normalisation are not detected. Source of the rules: "Naming Files, Paths, and
//! Namespaces" (Microsoft Learn), and CVE-2023-45284 for the superscript digits.

/// Characters that Windows forbids in names. `:` would also open an alternate data stream or a
/// drive.
const FORBIDDEN: &[char] = &['<', '>', '"', '|', '?', '*', ':', '\\', '/'];
/// Device names without a number.
const DEVICES: &[&str] = &["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"];
/// Device names that a digit completes.
const NUMBERED_DEVICES: &[&str] = &["COM", "LPT"];

/// A family of systems with the same rules for names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    /// Everything but Windows. It can hold every name of a share.
    Posix,
    /// Windows.
    Windows,
}

impl Platform {
    /// The platform of this machine.
    pub(crate) const HERE: Self = if cfg!(windows) { Self::Windows } else { Self::Posix };
}

/// Why a name of the share can't be the name of a file here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameFault {
    /// A control character.
    #[error("it has the control character `{}` in it", character.escape_unicode())]
    Control {
        /// The character.
        character: char,
    },
    /// A character with another meaning on Windows.
    #[error("it has `{character}` in it")]
    Forbidden {
        /// The character.
        character: char,
    },
    /// A name that is a device on Windows.
    #[error("it is the name of a device")]
    Device,
    /// A dot or a space at the end, which Windows drops.
    #[error("it ends with a dot or a space")]
    TrailingDotOrSpace,
}

/// Checks whether this platform can hold the name.
pub(crate) fn check(name: &str, platform: Platform) -> Result<(), NameFault> {
    if platform == Platform::Posix {
        return Ok(());
    }
    name.chars().try_for_each(check_character)?;
    if name.ends_with(['.', ' ']) {
        return Err(NameFault::TrailingDotOrSpace);
    }
    if is_device(name) {
        Err(NameFault::Device)
    } else {
        Ok(())
    }
}

fn check_character(character: char) -> Result<(), NameFault> {
    match character {
        '\0'..='\u{1f}' => Err(NameFault::Control { character }),
        _ if FORBIDDEN.contains(&character) => Err(NameFault::Forbidden { character }),
        _ => Ok(()),
    }
}

/// Windows ignores everything from the first dot on, and spaces before it: `nul .tar.gz` is the
/// null device.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(name: &str) -> Option<NameFault> {
        check(name, Platform::Windows).err()
    }

    #[test]
    fn ordinary_names_of_any_script_fit_everywhere() {
        let names = [
            "a",
            "b.txt",
            ".git",
            "-rf",
            "日本",
            "Ångström ﬁ",
            "a..b",
            "..a",
            " a",
            "%2e%2e",
            "．．",
            "CONS",
            "COM10",
            "com",
            "gpj\u{202e}.exe",
        ];
        for name in names {
            assert_eq!(fault(name), None, "{name}");
        }
    }

    #[test]
    fn names_that_windows_cannot_hold_do_not_fit_there() {
        for name in [
            "C:x", "file:ads", r"a\..\b", r"\\?\C", "a<", "a>", "a\"", "a|", "a?", "a*",
        ] {
            assert!(matches!(fault(name), Some(NameFault::Forbidden { .. })), "{name}");
        }
        for name in [
            "CON",
            "nul",
            "NUL.txt",
            "Aux.tar.gz",
            "COM1 .txt",
            "com¹",
            "LPT³.x",
            "LPT0",
            "conin$",
            "clock$",
        ] {
            assert_eq!(fault(name), Some(NameFault::Device), "{name}");
        }
        for name in ["a.", "a ", "COM1 ", "..."] {
            assert_eq!(fault(name), Some(NameFault::TrailingDotOrSpace), "{name}");
        }
        for character in ['\n', '\t', '\u{1b}', '\u{1f}'] {
            assert_eq!(
                fault(&format!("a{character}b")),
                Some(NameFault::Control { character })
            );
        }
    }

    #[test]
    fn elsewhere_every_name_of_a_share_fits() {
        for name in ["C:x", r"a\b", "CON", "a.", "a\n\u{1b}"] {
            assert_eq!(check(name, Platform::Posix), Ok(()), "{name}");
        }
    }
}
