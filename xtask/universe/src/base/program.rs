//! Programs by name: where one is, and whether it can be started.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A program as cargo finds it: a path starts in `base`, a mere name is left to PATH.
pub(crate) fn within(base: &Path, program: &str) -> OsString {
    match program.contains(std::path::is_separator) {
        true => base.join(program).into_os_string(),
        false => program.into(),
    }
}

/// Why it cannot be started: the path of a file, or a mere name, which is looked up in
/// `directories`, the value of PATH.
pub(crate) fn problem(program: &Path, directories: &OsStr) -> Option<String> {
    let problem = match program.components().count() {
        1 if in_path(program, directories) => return None,
        1 => "is not in PATH",
        _ if is_executable(program) => return None,
        _ if program.exists() => "is not an executable file",
        _ => "does not exist",
    };
    Some(format!("`{}` {problem}", program.display()))
}

/// Whether a directory of this search path has the program.
fn in_path(name: &Path, directories: &OsStr) -> bool {
    let suffixes = ["", std::env::consts::EXE_SUFFIX];
    let candidates = |directory: PathBuf| {
        suffixes.map(|suffix| {
            let mut file = directory.join(name).into_os_string();
            file.push(suffix);
            PathBuf::from(file)
        })
    };
    std::env::split_paths(directories)
        .flat_map(candidates)
        .any(|file| is_executable(&file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cannot_be_started_is_named_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("text"), "").unwrap();
        let this = std::env::current_exe().unwrap();
        let path = directory.path().as_os_str();
        let ends =
            |program: &Path| problem(program, path).map(|text| text.rsplit("` ").next().unwrap().to_owned());
        assert_eq!(ends(&this), None);
        assert_eq!(
            problem(
                Path::new(this.file_name().unwrap()),
                this.parent().unwrap().as_os_str()
            ),
            None
        );
        assert_eq!(ends(Path::new("none")).as_deref(), Some("is not in PATH"));
        assert_eq!(
            ends(&directory.path().join("none")).as_deref(),
            Some("does not exist")
        );
        assert_eq!(
            ends(directory.path()).as_deref(),
            Some("is not an executable file")
        );
        #[cfg(unix)]
        assert_eq!(
            ends(&directory.path().join("text")).as_deref(),
            Some("is not an executable file")
        );
    }
}
