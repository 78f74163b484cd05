//! Only one file of core may decide errnos.

use std::path::Path;

use super::code;
use super::floors::Breach;

const SOURCES: &str = "core/src";
const DECIDES: &str = "core/src/mount/errno.rs";

/// The errnos that a file names without permission. `file` is relative to the root of the
/// workspace.
pub(super) fn breaches(file: &Path, text: &str) -> Vec<Breach> {
    if !file.starts_with(SOURCES) || file == Path::new(DECIDES) {
        return Vec::new();
    }
    let lines = code::program(file, text).into_iter();
    let named = lines.filter(|(_, line)| names_one(line));
    named
        .map(|(number, _)| (number, format!("only `{DECIDES}` may name errnos")))
        .collect()
}

/// Whether a line names an errno, as in `libc::EIO` or `Errno::IO`.
fn names_one(line: &str) -> bool {
    let follows = |path: &str, is_first: fn(char) -> bool| {
        let mut rests = line.split(path).skip(1);
        rests.any(|rest| rest.starts_with(is_first))
    };
    follows("Errno::", |first| first.is_ascii_uppercase())
        || follows("libc::E", |first| {
            first.is_ascii_uppercase() || first.is_ascii_digit()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, line: &str) -> Vec<Breach> {
        breaches(Path::new(file), &format!("//! Head.\n{line}\n"))
    }

    #[test]
    fn an_errno_outside_its_file_is_found_with_its_line_and_the_rule() {
        for line in [
            "return Err(libc::ENOENT);",
            "Err(Errno::NXIO) => x,",
            "Err(rustix::io::Errno::NXIO.into())",
            "error.raw_os_error() == Some(libc::E2BIG)",
        ] {
            let expected = (2, "only `core/src/mount/errno.rs` may name errnos".to_owned());
            assert_eq!(
                found("core/src/mount/working_file.rs", line),
                [expected],
                "{line}"
            );
        }
    }

    #[test]
    fn other_crates_and_other_names_break_nothing() {
        assert_eq!(found("core/src/mount/errno.rs", "libc::EIO"), []);
        assert_eq!(found("xtask/universe/src/base/os.rs", "libc::EIO"), []);
        assert_eq!(found("core/src/mount/working_file.rs", "// libc::EIO"), []);
        assert_eq!(found("core/src/mount/working_file.rs", "libc::Elf64_Ehdr"), []);
        assert_eq!(
            found(
                "core/src/mount/fuse.rs",
                "fn f(e: rustix::io::Errno) { fuser::Errno::from_i32(e) }"
            ),
            []
        );
        assert_eq!(
            found(
                "core/src/mount/a.rs",
                "#[cfg(test)]\nmod tests {\n    use rustix::io::Errno;\n}"
            ),
            []
        );
    }
}
