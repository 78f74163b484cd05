//! The capabilities that a workspace describes itself: which attempts prove one, and what their
//! ends mean.
//!
//! Nothing is started here: whoever owns the processes of tests makes the attempts, where the tests
//! will run. A path is opened and an address is dialled by this program itself, in a process of its
//! own ([`run_if_asked`]), as either may hang.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::process::{Command, ExitCode, Output};

use super::Capability;
use crate::base::limits::EVIDENCE_LEN_MAX;
use crate::base::text::{plain_line, word_of_shell};
use crate::base::this_program;
use crate::workspace::cargo::{self, settings};
use crate::workspace::config::{Address, Open, OwnCapability};

/// The first argument of a process that makes an attempt for another one. The second one says what
/// is tried.
const ARGUMENT: &str = "__capability";
const READ: &str = "read";
const READ_WRITE: &str = "read-write";
const TCP: &str = "tcp";

/// Where attempts are made.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// The root of the workspace, from which relative paths start.
    pub(crate) root: &'a Path,
    /// Where tools lie that the workspace has built; they come before PATH.
    pub(crate) tools: &'a Path,
    /// Variables that tests have beside those of this process.
    pub(crate) variables: &'a BTreeMap<String, OsString>,
}

/// A process that proves one condition by exiting with 0.
#[derive(Debug)]
pub(crate) struct Attempt {
    program: OsString,
    arguments: Vec<OsString>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A program of somebody else, with the words by which a person would start it.
    Foreign(String),
    /// This program, which prints evidence or cause.
    Ours,
    /// The same, which dials.
    Dial,
}

/// How to start the program `name`: as a file in `tools` if there is one, else by PATH.
pub fn path(name: &str, tools: &Path) -> OsString {
    let file = tools.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if file.is_file() {
        file.into_os_string()
    } else {
        name.into()
    }
}

/// Whether the variable that `own` names is set; `None` where it names none. The evidence never has
/// the value.
pub(crate) fn variable(own: &OwnCapability, place: &Place<'_>) -> Option<Result<String, String>> {
    let name = own.env.as_ref()?;
    let value = place
        .variables
        .get(name)
        .cloned()
        .or_else(|| settings::inherited(name));
    Some(match value {
        Some(value) if !value.is_empty() => Ok(format!("`{name}` is set")),
        Some(_) => Err(format!("the variable `{name}` is empty")),
        None => Err(format!("the variable `{name}` is not set")),
    })
}

/// What proves the rest of `own`, in the order in which it is tried.
pub(crate) fn attempts(own: &OwnCapability, place: &Place<'_>) -> Vec<Attempt> {
    let opened = own.path.as_ref().map(|(path, open)| {
        let how = match open {
            Open::Read => READ,
            Open::ReadWrite => READ_WRITE,
        };
        (how, place.root.join(path).into_os_string(), Kind::Ours)
    });
    let dialled = own.tcp.as_ref().map(|Address { host, port }| {
        let text = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        (TCP, OsString::from(text), Kind::Dial)
    });
    let ours = opened
        .into_iter()
        .chain(dialled)
        .map(|(what, subject, kind)| Attempt {
            program: this_program::command().get_program().to_owned(),
            arguments: vec![ARGUMENT.into(), what.into(), subject],
            kind,
        });
    let foreign = own.command.iter().filter_map(|words| {
        let (program, arguments) = words.split_first()?;
        Some(Attempt {
            program: path(program, place.tools),
            arguments: arguments.iter().map(OsString::from).collect(),
            kind: Kind::Foreign(as_typed(words)),
        })
    });
    ours.chain(foreign).collect()
}

impl Attempt {
    /// What is to be started.
    pub(crate) fn command(&self, place: &Place<'_>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        cargo::variables_about_us().iter().for_each(|name| {
            command.env_remove(name);
        });
        command.current_dir(place.root).envs(place.variables);
        command
    }

    /// Whether it is one that another network could change.
    pub(crate) fn dials(&self) -> bool {
        self.kind == Kind::Dial
    }

    /// What the end of its process means: evidence, or the cause why the capability is missing.
    pub(crate) fn judge(&self, ended: Result<Output, String>) -> Result<String, String> {
        match (&self.kind, ended) {
            (Kind::Foreign(words), Err(why)) => Err(format!("`{words}`: {why}")),
            (Kind::Ours | Kind::Dial, Err(why)) => Err(format!("`{}`: {why}", self.subject())),
            (Kind::Foreign(words), Ok(output)) if output.status.success() => {
                let first = line(output.stdout.split(|byte| *byte == b'\n'));
                Ok(first.unwrap_or_else(|| format!("`{words}` succeeded")))
            }
            (Kind::Foreign(words), Ok(output)) => {
                let last = line(output.stderr.rsplit(|byte| *byte == b'\n'));
                let said = last.map(|last| format!(": {last}")).unwrap_or_default();
                Err(format!("`{words}` ended with {}{said}", output.status))
            }
            (Kind::Ours | Kind::Dial, Ok(output)) => {
                let said = line(output.stdout.split(|byte| *byte == b'\n'));
                let said = said.unwrap_or_else(|| format!("it ended with {}", output.status));
                if output.status.success() {
                    Ok(said)
                } else {
                    Err(said)
                }
            }
        }
    }

    /// What our own process was to open or to dial.
    fn subject(&self) -> String {
        let last = self.arguments.last();
        last.map_or_else(String::new, |last| last.to_string_lossy().into_owned())
    }
}

/// A command as a person would type it.
fn as_typed(words: &[String]) -> String {
    let words = words
        .iter()
        .map(|word| word_of_shell(word).unwrap_or_else(|| plain_line(word)));
    words.collect::<Vec<_>>().join(" ")
}

/// The first of these lines that says something, short enough to be read.
fn line<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let line = lines.find_map(|line| {
        let line = plain_line(&String::from_utf8_lossy(line)).trim().to_owned();
        (!line.is_empty()).then_some(line)
    })?;
    match line.char_indices().nth(EVIDENCE_LEN_MAX) {
        Some((end, _)) => Some(format!("{}…", line.get(..end)?)),
        None => Some(line),
    }
}

/// The verdict on the capability `name`: all its conditions hold, or one cause why not.
pub(crate) fn verdict(name: &str, own: &OwnCapability, proof: Result<Vec<String>, String>) -> Capability {
    match proof {
        Ok(evidence) => Capability::present(name.to_owned(), evidence.join("; ")),
        Err(cause) => Capability {
            hint: own.hint.clone(),
            ..Capability::missing(name.to_owned(), plain_line(&cause))
        },
    }
}

/// Makes an attempt for another process, if the arguments say so; `None` if they say something
/// else.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().filter(|first| first == ARGUMENT)?;
    let (what, subject) = (arguments.next()?, arguments.next()?);
    let (said, code) = match attempt(&what, &subject) {
        Ok(evidence) => (evidence, ExitCode::SUCCESS),
        Err(cause) => (cause, ExitCode::FAILURE),
    };
    // Whoever has asked may be gone; nobody needs an answer then.
    writeln!(io::stdout(), "{said}").ok();
    Some(code)
}

fn attempt(what: &OsStr, subject: &OsStr) -> Result<String, String> {
    let shown = subject.to_string_lossy();
    let path = Path::new(subject);
    match what.to_str() {
        Some(READ) => File::open(path)
            .map(|_| format!("opened `{shown}` for reading"))
            .map_err(|error| format!("could not open `{shown}` for reading: {error}")),
        Some(READ_WRITE) => open_for_writing(path)
            .map(|()| format!("opened `{shown}` for reading and writing"))
            .map_err(|error| format!("could not open `{shown}` for reading and writing: {error}")),
        Some(TCP) => dial(&shown),
        _ => Err("only the test runner starts it".to_owned()),
    }
}

/// In a directory a file without a name is made, which goes when it is closed.
fn open_for_writing(path: &Path) -> io::Result<()> {
    match path.is_dir() {
        true => tempfile::tempfile_in(path).map(drop),
        false => OpenOptions::new().read(true).write(true).open(path).map(drop),
    }
}

/// Dials each address of a host until one answers.
fn dial(address: &str) -> Result<String, String> {
    let failed = |error: io::Error| format!("could not connect to `{address}`: {error}");
    let mut last = io::Error::other("the host has no address");
    for known in address.to_socket_addrs().map_err(failed)? {
        // Whoever has started us ends us in time.
        match TcpStream::connect(known) {
            Ok(_) if known.to_string() == address => return Ok(format!("connected to `{address}`")),
            Ok(_) => return Ok(format!("connected to `{address}` ({known})")),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    fn output(code: i32, stdout: &str, stderr: &str) -> Result<Output, String> {
        Ok(Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: stdout.into(),
            stderr: stderr.into(),
        })
    }

    fn foreign() -> Attempt {
        Attempt {
            program: "docker".into(),
            arguments: vec!["info".into()],
            kind: Kind::Foreign("docker info".to_owned()),
        }
    }

    #[test]
    fn an_installed_tool_comes_before_path() {
        let tools = tempfile::tempdir().unwrap();
        assert_eq!(path("fsx", tools.path()), "fsx");
        let file = tools.path().join(format!("fsx{}", std::env::consts::EXE_SUFFIX));
        std::fs::write(&file, "").unwrap();
        assert_eq!(path("fsx", tools.path()), file.as_os_str());
    }

    #[test]
    fn the_first_line_of_a_success_and_the_last_line_of_a_failure_are_shown() {
        let judge = |ended| foreign().judge(ended);
        assert_eq!(
            judge(output(0, "\n docker 27\nmore\n", "noise")),
            Ok("docker 27".to_owned())
        );
        assert_eq!(
            judge(output(0, "", "noise")),
            Ok("`docker info` succeeded".to_owned())
        );
        assert_eq!(
            judge(output(1, "out", "first\nno daemon\n\n")),
            Err("`docker info` ended with exit status: 1: no daemon".to_owned())
        );
        let why = "no answer within 10 s".to_owned();
        assert_eq!(
            judge(Err(why)),
            Err("`docker info`: no answer within 10 s".to_owned())
        );
    }

    #[test]
    fn evidence_is_one_line_of_at_most_its_limit() {
        let long = "ä".repeat(EVIDENCE_LEN_MAX);
        assert_eq!(foreign().judge(output(0, &long, "")), Ok(long.clone()));
        let longer = format!("{long}ä");
        assert_eq!(foreign().judge(output(0, &longer, "")), Ok(format!("{long}…")));
    }

    #[test]
    fn a_path_is_opened_as_it_was_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        let attempt = |how: &str, path: &Path| attempt(OsStr::new(how), path.as_os_str());
        assert!(attempt(READ, &file).is_err_and(|cause| cause.contains("could not open")));
        std::fs::write(&file, "").unwrap();
        for how in [READ, READ_WRITE] {
            assert!(
                attempt(how, &file).is_ok() && attempt(how, directory.path()).is_ok(),
                "{how}"
            );
        }
        let entries = directory.path().read_dir().unwrap().count();
        assert_eq!(entries, 1, "nothing is left of the attempt to write");
    }

    #[test]
    fn an_address_is_dialled() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let dial = |address: &str| attempt(OsStr::new(TCP), OsStr::new(address));
        assert_eq!(dial(&address), Ok(format!("connected to `{address}`")));
        // A socket that is bound and does not listen refuses, and keeps the port.
        let silent = rustix::net::socket(
            rustix::net::AddressFamily::INET,
            rustix::net::SocketType::STREAM,
            None,
        )
        .unwrap();
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        rustix::net::bind(&silent, &any).unwrap();
        let bound: std::net::SocketAddr = rustix::net::getsockname(&silent).unwrap().try_into().unwrap();
        let refused = dial(&bound.to_string()).unwrap_err();
        assert!(
            refused.starts_with(&format!("could not connect to `{bound}`: ")),
            "{refused}"
        );
    }

    #[test]
    fn a_variable_is_looked_up_where_the_tests_have_it_and_never_shown() {
        let variables = BTreeMap::from([
            ("XT_KEY".to_owned(), "secret".into()),
            ("XT_NONE".to_owned(), "".into()),
        ]);
        let place = Place {
            root: Path::new("/"),
            tools: Path::new("/nonexistent"),
            variables: &variables,
        };
        let look = |name: &str| {
            let env = Some(name.to_owned());
            variable(
                &OwnCapability {
                    env,
                    ..OwnCapability::default()
                },
                &place,
            )
            .unwrap()
        };
        assert_eq!(look("XT_KEY"), Ok("`XT_KEY` is set".to_owned()));
        assert_eq!(look("XT_NONE"), Err("the variable `XT_NONE` is empty".to_owned()));
        assert_eq!(
            look("XT_OTHER"),
            Err("the variable `XT_OTHER` is not set".to_owned())
        );
    }
}
