//! The stream of an archive: a file, or one end of the program `zstd`.
//!
//! A program instead of a library: the C code of one takes ten seconds to build, and the one in
//! Rust is slow where this runner is built without optimisation, as an xtask is.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail, ensure};

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
        let stdin = program.stdin.take().context("it has no standard input")?;
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
        let stdout = program.stdout.take().context("it has no standard output")?;
        Ok(Stream {
            end: Box::new(stdout),
            program: Some(program),
        })
    }
}

fn started(command: &mut Command, stdin: Stdio, stdout: Stdio) -> anyhow::Result<Child> {
    let spawned = command.stdin(stdin).stdout(stdout).stderr(Stdio::null()).spawn();
    spawned.with_context(|| {
        format!("could not start `{PROGRAM}`; install it, or use an archive whose name ends in `.tar`")
    })
}

/// One end of a stream. If this value is dropped early, the program at its other end loses its pipe
/// and exits; nothing waits for it.
pub(super) struct Stream<E> {
    end: E,
    program: Option<Child>,
}

impl<E> Stream<E> {
    pub(super) fn end(&mut self) -> &mut E {
        &mut self.end
    }

    /// Closes this end and waits for the program.
    ///
    /// # Errors
    /// When the program failed.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Stream { end, program } = self;
        drop(end);
        if let Some(mut program) = program {
            let status = program.wait().context("could not wait for the program")?;
            ensure!(status.success(), "`{PROGRAM}` failed ({status})");
        }
        Ok(())
    }
}
