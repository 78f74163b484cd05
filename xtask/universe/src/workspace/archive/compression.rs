//! The stream of an archive: a file, or one end of the program `zstd`.
//!
//! A program instead of a library: the C code of one takes ten seconds to build, and the one in
//! Rust is slow where this runner is built without optimisation, as an xtask is.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

use crate::base::limits::ARCHIVE_COMPLAINT_LEN_MAX;
use crate::base::text::plain_line;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Zstd,
}

const PROGRAM: &str = "zstd";

impl Compression {
    /// As the name of the file says.
    ///
    /// # Errors
    /// When it says something else.
    pub(super) fn of(file: &Path) -> anyhow::Result<Compression> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        match () {
            () if name.ends_with(".tar.zst") => Ok(Compression::Zstd),
            () if name.ends_with(".tar") => Ok(Compression::None),
            () => {
                bail!("the name of an archive ends in `.tar.zst`, or in `.tar` where there is no `{PROGRAM}`")
            }
        }
    }

    /// Whether this machine has it.
    ///
    /// # Errors
    /// When its program cannot be started.
    pub(super) fn is_here(self) -> anyhow::Result<()> {
        if self == Compression::Zstd {
            let mut program = started(
                Command::new(PROGRAM).arg("--version"),
                Stdio::null(),
                Stdio::null(),
            )?;
            program.child.wait().context("could not wait for the program")?;
        }
        Ok(())
    }

    /// What is written to the result arrives in `file`, compressed.
    pub(super) fn writer(self, file: File) -> anyhow::Result<Stream<Box<dyn Write>>> {
        let Compression::Zstd = self else {
            return Ok(Stream {
                end: Box::new(io::BufWriter::new(file)),
                program: None,
            });
        };
        let mut program = started(
            Command::new(PROGRAM).args(["-q", "-T0", "-c"]),
            Stdio::piped(),
            file.into(),
        )?;
        let stdin = program.child.stdin.take().context("it has no standard input")?;
        Ok(Stream {
            end: Box::new(stdin),
            program: Some(program),
        })
    }

    /// The reverse of [`writer`](Compression::writer).
    pub(super) fn reader(self, file: File) -> anyhow::Result<Stream<Box<dyn Read>>> {
        let Compression::Zstd = self else {
            return Ok(Stream {
                end: Box::new(io::BufReader::new(file)),
                program: None,
            });
        };
        let mut program = started(
            Command::new(PROGRAM).args(["-q", "-d", "-c"]),
            file.into(),
            Stdio::piped(),
        )?;
        let stdout = program.child.stdout.take().context("it has no standard output")?;
        Ok(Stream {
            end: Box::new(stdout),
            program: Some(program),
        })
    }
}

/// The program, and the file into which it writes about errors: nobody has to read that meanwhile.
struct Program {
    child: Child,
    stderr: File,
}

fn started(command: &mut Command, stdin: Stdio, stdout: Stdio) -> anyhow::Result<Program> {
    let stderr = tempfile::tempfile().context("could not create a temporary file")?;
    command.stdin(stdin).stdout(stdout).stderr(stderr.try_clone()?);
    let child = command.spawn().with_context(|| {
        format!("could not start `{PROGRAM}`; install it, or use an archive whose name ends in `.tar`")
    })?;
    Ok(Program { child, stderr })
}

impl Program {
    /// What it wrote about an error, in one line; `None` if it wrote nothing.
    fn complaint(&mut self) -> Option<String> {
        let mut text = Vec::new();
        self.stderr.rewind().ok()?;
        let mut part = Read::take(&mut self.stderr, ARCHIVE_COMPLAINT_LEN_MAX);
        part.read_to_end(&mut text).ok()?;
        let line = plain_line(String::from_utf8_lossy(&text).trim());
        (!line.is_empty()).then_some(line)
    }
}

/// One end of a stream. If this value is dropped early, the program at its other end loses its pipe
/// and exits; nothing waits for it.
pub(super) struct Stream<E> {
    end: E,
    program: Option<Program>,
}

impl<E> Stream<E> {
    pub(super) fn end(&mut self) -> &mut E {
        &mut self.end
    }

    /// Closes this end and waits for the program.
    ///
    /// # Errors
    /// When the program failed, with what it wrote about that.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Stream { end, program } = self;
        drop(end);
        let Some(mut program) = program else {
            return Ok(());
        };
        let status = program.child.wait().context("could not wait for the program")?;
        match (status.success(), program.complaint()) {
            (true, _) => Ok(()),
            (false, Some(complaint)) => bail!("`{PROGRAM}` failed ({status}): {complaint}"),
            (false, None) => bail!("`{PROGRAM}` failed ({status})"),
        }
    }

    /// Closes this end, waits for the program, and returns what it wrote about an error, if
    /// anything.
    pub(super) fn complaint(self) -> Option<String> {
        let Stream { end, program } = self;
        drop(end);
        let mut program = program?;
        program.child.wait().ok()?;
        program.complaint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs zstd"]
    fn an_error_has_the_words_of_the_program() {
        let mut text = tempfile::tempfile().unwrap();
        text.write_all(b"this is no archive").unwrap();
        text.rewind().unwrap();
        let reader = |file: &File| Compression::Zstd.reader(file.try_clone().unwrap()).unwrap();
        let mut stream = reader(&text);
        io::copy(stream.end(), &mut io::sink()).unwrap();
        let error = stream.finish().unwrap_err().to_string();
        assert!(error.contains("unsupported format"), "{error}");
        text.rewind().unwrap();
        let complaint = reader(&text).complaint().unwrap();
        assert!(complaint.contains("unsupported format"), "{complaint}");
    }

    #[test]
    #[ignore = "needs zstd"]
    fn a_stream_without_an_error_has_no_complaint() {
        let mut file = tempfile::tempfile().unwrap();
        let mut stream = Compression::Zstd.writer(file.try_clone().unwrap()).unwrap();
        stream.end().write_all(b"content").unwrap();
        stream.finish().unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        let mut stream = Compression::Zstd.reader(file).unwrap();
        stream.end().read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), stream.complaint()), ("content", None));
    }
}
