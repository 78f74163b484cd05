//! WinFsp on Windows: its registry key names the directory, the directory holds the dll.
//!
//! Written from the vendor's pages; not yet run on such a machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Capability;

const KEY: &str = r"HKLM\SOFTWARE\WOW6432Node\WinFsp";

/// Whether WinFsp is installed; only a mount can show whether its driver runs.
pub(super) fn winfsp() -> Capability {
    let hint = "install WinFsp (`winget install WinFsp.WinFsp`)";
    let Some(directory) = install_directory() else {
        return Capability::missing("winfsp", format!(r"the registry has no `{KEY}\InstallDir`"))
            .with_hint(hint);
    };
    let library = directory.join("bin").join(library_name(std::env::consts::ARCH));
    match library.exists() {
        true => Capability::present("winfsp", format!("`{}` exists", library.display())),
        false => {
            Capability::missing("winfsp", format!("`{}` does not exist", library.display())).with_hint(hint)
        }
    }
}

fn install_directory() -> Option<PathBuf> {
    let output = Command::new("reg")
        .args(["query", KEY, "/v", "InstallDir"])
        .output()
        .ok()?;
    installed_at(&String::from_utf8_lossy(&output.stdout))
}

/// Reads `    InstallDir    REG_SZ    C:\Program Files (x86)\WinFsp\`.
fn installed_at(answer: &str) -> Option<PathBuf> {
    let value = answer
        .lines()
        .find_map(|line| line.trim().strip_prefix("InstallDir"))?;
    let path = value.trim_start().strip_prefix("REG_SZ")?.trim();
    (!path.is_empty()).then(|| Path::new(path).to_owned())
}

fn library_name(architecture: &str) -> &'static str {
    match architecture {
        "aarch64" => "winfsp-a64.dll",
        "x86" => "winfsp-x86.dll",
        _ => "winfsp-x64.dll",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_read_from_the_registrys_answer() {
        let answer = "\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\WOW6432Node\\WinFsp\r\n    InstallDir    REG_SZ    C:\\Program Files (x86)\\WinFsp\\\r\n\r\n";
        assert_eq!(
            installed_at(answer),
            Some(PathBuf::from("C:\\Program Files (x86)\\WinFsp\\"))
        );
        assert_eq!(
            installed_at("ERROR: The system was unable to find the key.\r\n"),
            None
        );
    }

    #[test]
    fn each_architecture_has_its_library() {
        assert_eq!(library_name("x86_64"), "winfsp-x64.dll");
        assert_eq!(library_name("aarch64"), "winfsp-a64.dll");
    }

    #[cfg(not(windows))]
    #[test]
    fn a_machine_without_a_registry_has_no_winfsp() {
        assert!(!winfsp().available);
    }
}
