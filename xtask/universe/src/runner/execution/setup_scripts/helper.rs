//! The process that runs one setup script. It waits for the script to end and reports the outcome
//! in one line. Then it stays, and so does what the script left in the background, until its owner
//! ends both.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};

use crate::base::limits::SCRIPT_VARIABLES_LEN_MAX;
use crate::base::os::TEMPORARY;
use crate::base::text::plain_line;

/// The first argument of such a process; the command of the script follows.
pub(super) const ARGUMENT: &str = "__script";

/// The variable that names the file into which a script writes variables for its tests.
pub(super) const VARIABLE: &str = "XTASK_SCRIPT_ENV";

/// Variables of this beginning are the runner's.
const OURS: &str = "XTASK_";

/// By name.
pub(in crate::runner::execution) type Variables = BTreeMap<String, String>;

/// What came of a script.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Word {
    /// It ended with 0, and its tests get these variables.
    Ready(Variables),
    /// Why its tests cannot run.
    Failed(String),
}

/// Runs a script, if the arguments say so; `None` if they say something else.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    words.next().filter(|first| first == ARGUMENT)?;
    let word = set_up(words.collect(), &std::env::temp_dir()).map_or_else(Word::Failed, Word::Ready);
    let mut line = serde_json::to_vec(&word).unwrap_or_default();
    line.push(b'\n');
    let mut out = io::stdout();
    let told = out.write_all(&line).and_then(|()| out.flush());
    if told.is_err() || matches!(word, Word::Failed(_)) {
        return Some(ExitCode::FAILURE);
    }
    loop {
        // Whoever owns this process ends it.
        std::thread::park();
    }
}

/// Runs the script. The file for its variables is in the folder `temporary`.
fn set_up(words: Vec<OsString>, temporary: &Path) -> Result<Variables, String> {
    let (program, arguments) = words.split_first().ok_or("there is no command")?;
    let path = temporary.join("script-variables");
    File::create(&path).map_err(|error| format!("the file for its variables could not be made: {error}"))?;
    // Standard output is for our word alone.
    let status = Command::new(program)
        .args(arguments)
        .env(VARIABLE, &path)
        .stdin(Stdio::null())
        .stdout(Stdio::from(io::stderr()))
        .status()
        .map_err(|error| {
            let what = format!("`{}` could not be started: {error}", program.display());
            advice(&error).map_or_else(|| what.clone(), |advice| format!("{what}; {advice}"))
        })?;
    match status.success() {
        true => variables(&path),
        false => Err(format!("it ended with {status}")),
    }
}

/// What a person can do about a program that cannot be started.
fn advice(error: &io::Error) -> Option<&'static str> {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::ENOEXEC) {
        return Some("a script begins with a line such as `#!/bin/sh`");
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied => Some("is the file executable?"),
        _ => None,
    }
}

fn variables(path: &Path) -> Result<Variables, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(SCRIPT_VARIABLES_LEN_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("the file of its variables could not be read: {error}"))?;
    if bytes.len() as u64 > SCRIPT_VARIABLES_LEN_MAX {
        let max = SCRIPT_VARIABLES_LEN_MAX;
        return Err(format!("its variables have more than {max} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "its variables are not UTF-8".to_owned())?;
    parse(&text)
}

/// Understands one `KEY=VALUE` per line; a value is the rest of its line as it is.
fn parse(text: &str) -> Result<Variables, String> {
    let mut variables = Variables::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty()) {
        let wrong = |why: &str| {
            let shown: String = plain_line(line)
                .chars()
                .take(crate::base::limits::SCRIPT_LINE_SHOWN_LEN_MAX)
                .collect();
            format!("line {number} of its variables {why}: `{shown}`")
        };
        let (name, value) = line
            .split_once('=')
            .filter(|(name, _)| is_name(name))
            .ok_or_else(|| wrong("is no `KEY=VALUE`"))?;
        if name.starts_with(OURS) || TEMPORARY.contains(&name) {
            return Err(wrong("sets what only the runner sets"));
        }
        if value.contains('\0') {
            return Err(wrong("has a zero byte"));
        }
        variables.insert(name.to_owned(), value.to_owned());
    }
    Ok(variables)
}

/// As POSIX has it (Base Definitions, 8.1).
fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(is_part) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_script_that_cannot_be_started_says_what_it_lacks() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("start.sh");
        std::fs::write(&path, "echo no first line\n").unwrap();
        for (mode, part) in [
            (0o644, "; is the file executable?"),
            (0o755, "; a script begins with a line such as `#!"),
        ] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let why = set_up(vec![path.clone().into()], home.path()).unwrap_err();
            assert!(why.contains(part), "{part}: {why}");
        }
    }

    #[test]
    fn a_value_is_the_rest_of_its_line() {
        let found = parse("URL=postgres://x?a=b\n\nEMPTY=\r\n_Q= \"a b\" \n").unwrap();
        let expected = [("EMPTY", ""), ("URL", "postgres://x?a=b"), ("_Q", " \"a b\" ")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, BTreeMap::from(expected));
    }

    #[test]
    fn a_line_that_is_no_variable_is_named_by_its_number() {
        for (text, part) in [
            (
                "A=1\nready\n",
                "line 2 of its variables is no `KEY=VALUE`: `ready`",
            ),
            ("export A=1", "line 1 of its variables is no `KEY=VALUE`"),
            ("=1", "is no `KEY=VALUE`"),
            ("1A=1", "is no `KEY=VALUE`"),
            ("A=\0", "has a zero byte"),
            ("TMPDIR=/x", "sets what only the runner sets"),
            ("XTASK_TEST_ID=x", "sets what only the runner sets"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(part), "{part}: {why}");
        }
        let long = parse(&"x".repeat(1000)).unwrap_err();
        assert!(long.len() < 200, "{long}");
    }

    #[test]
    fn the_variables_of_a_script_have_a_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("v");
        let text = |len: u64| format!("A={}", "x".repeat(usize::try_from(len).unwrap() - 2));
        std::fs::write(&path, text(SCRIPT_VARIABLES_LEN_MAX)).unwrap();
        assert!(variables(&path).is_ok());
        std::fs::write(&path, text(SCRIPT_VARIABLES_LEN_MAX + 1)).unwrap();
        assert!(variables(&path).unwrap_err().contains("more than"));
    }
}
