//! `cargo universe init`: describes a workspace to the runner, as far as its sources tell.
//!
//! Adds a commented table to the root manifest and, if asked for, an alias to cargo's
//! configuration. Whatever is there stays as it is: what cannot be added by adding lines is printed
//! instead.

mod additions;
mod needs;
mod template;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::base::atomic_file::write_atomically;
use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::invocation::Invocation;
use crate::runner::console;
use crate::workspace::cargo;
use crate::workspace::metadata::Workspace;
use additions::Added;
use needs::Needs;

/// Add a commented table for this workspace to its Cargo.toml, and say what its tests need
///
/// Changes nothing that is there. If a test names a need that is not built in
/// (`#[ignore = "needs NAME"]`), the table gets an entry for it, with a guess of how to try it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also add an alias to `.cargo/config.toml`: `cargo NAME` for this program's `test`
    /// [default name: ut]
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "ut", require_equals = true)]
    alias: Option<String>,
    /// Use the workspace of this Cargo.toml instead of the one around the current directory
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
}

/// A file that gets lines, before anything is written.
#[derive(Debug)]
struct Change {
    file: PathBuf,
    added: Added,
    /// What a person is told of it.
    told: String,
}

/// Looks, writes, tells.
///
/// # Errors
/// When there is no workspace, a file cannot be read or written, or what is to be added does not
/// fit into what is there. Nothing is written then.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::load(args.manifest_path.as_deref())?;
    let needs = Needs::find(&workspace);
    let changes = [
        table(&workspace, &needs)?,
        args.alias
            .as_deref()
            .map(|name| alias(&workspace, name))
            .transpose()?,
    ];
    for change in changes.iter().flatten() {
        change.write()?;
    }
    let mut page = needs.page();
    if changes[0].is_none() {
        page.push_str(&described_already(&workspace, &needs));
    }
    for change in changes.iter().flatten() {
        page.push_str(&format!("\n{}\n", change.told));
    }
    page.push_str(&next(args.alias.as_deref()));
    console::print(&page)?;
    Ok(Exit::Success.into())
}

/// The table for the root manifest; `None` where one is there.
fn table(workspace: &Workspace, needs: &Needs) -> anyhow::Result<Option<Change>> {
    if workspace.config.is_given {
        return Ok(None);
    }
    let file = workspace.manifest();
    let before = read(&file)?;
    let text = template::table(&needs.without_a_table());
    let added = additions::add_table(&before, &text).map_err(|why| by_hand(&file, &why, &text))?;
    let mut told = format!(
        "added to `{}`:\n{}",
        file.display(),
        template::headers(&needs.without_a_table())
    );
    if added.makes_a_workspace {
        told.push_str("\n  It makes this package the root of a workspace, to which packages below it belong that it depends on.");
    }
    Ok(Some(Change { file, added, told }))
}

/// The alias for cargo's configuration.
fn alias(workspace: &Workspace, name: &str) -> anyhow::Result<Change> {
    let place = workspace.root.join(".cargo");
    let file = place.join("config.toml");
    let line = alias_line(name);
    let old = place.join("config");
    if old.exists() {
        let why = format!("`{}` is there, and cargo reads only that one", old.display());
        return Err(by_hand(&old, &why, &format!("[alias]\n{line}\n")).into());
    }
    let before = if file.exists() {
        read(&file)?
    } else {
        String::new()
    };
    let word = value_of_alias();
    let added = additions::add_alias(&before, name, &word)
        .map_err(|why| by_hand(&file, &why, &format!("[alias]\n{line}\n")))?;
    if added.text == before {
        let told = format!("`cargo {name}` is in `{}` already", file.display());
        return Ok(Change { file, added, told });
    }
    if is_command_of_cargo(workspace, name) {
        let message = format!("`{name}` is a command of cargo already\nhint: choose another `--alias=NAME`");
        return Err(Stop::new(Exit::Usage, FailureKind::Usage, message).into());
    }
    let told = format!("added to `{}`:\n  {line}", file.display());
    Ok(Change { file, added, told })
}

/// `ut = "universe test"`.
fn alias_line(name: &str) -> String {
    format!("{} = \"{}\"", template::key(name), value_of_alias())
}

fn value_of_alias() -> String {
    let command = Invocation::current().with("test");
    command.strip_prefix("cargo ").unwrap_or(&command).to_owned()
}

/// Whether cargo lists a command of this name, which no alias can replace, or an alias.
fn is_command_of_cargo(workspace: &Workspace, name: &str) -> bool {
    let Ok(shell) = xshell::Shell::new() else {
        return false;
    };
    shell.change_dir(&workspace.root);
    let list = cargo::command(&shell).arg("--list").quiet().read();
    let list = list.unwrap_or_default();
    list.lines()
        .any(|line| line.starts_with(' ') && line.split_whitespace().next() == Some(name))
}

/// Lines that a person has to add, and why.
fn by_hand(file: &Path, why: &str, text: &str) -> Stop {
    let message = format!(
        "could not add to `{}`: {why}\nhint: nothing was changed; add this by hand:\n\n{}",
        file.display(),
        text.trim_matches('\n')
    );
    Stop::new(Exit::SetupFailed, FailureKind::Config, message)
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("could not read `{}`", file.display()))
}

impl Change {
    fn write(&self) -> anyhow::Result<()> {
        let Added { text, end, .. } = &self.added;
        let could = || format!("could not write `{}`", self.file.display());
        if let Some(end) = end {
            let file = std::fs::OpenOptions::new().append(true).open(&self.file);
            return file
                .and_then(|mut file| file.write_all(end.as_bytes()))
                .with_context(could);
        }
        // A link stays one, and a mode what it was.
        let file = self.file.canonicalize().unwrap_or_else(|_| self.file.clone());
        let mode = std::fs::metadata(&file).map(|metadata| metadata.permissions());
        write_atomically(&file, text)?;
        mode.map_or(Ok(()), |mode| std::fs::set_permissions(&file, mode))
            .with_context(could)
    }
}

/// What a person has to add to a table that is there.
fn described_already(workspace: &Workspace, needs: &Needs) -> String {
    let (table, file) = (&workspace.config.home.table, workspace.manifest());
    let mut text = format!(
        "\n`[{table}]` is in `{}` already; nothing was added\n",
        file.display()
    );
    let missing = needs.without_a_table();
    if !missing.is_empty() {
        let tables = template::capabilities(&missing, table);
        text.push_str(&format!(
            "add this to it, with what proves the capability:\n\n{tables}"
        ));
    }
    text
}

fn next(alias: Option<&str>) -> String {
    let invocation = Invocation::current();
    let doctor = invocation.with("doctor");
    let test = alias.map_or_else(|| invocation.with("test"), |alias| format!("cargo {alias}"));
    let width = doctor.len().max(test.len());
    format!(
        "\nnext:\n  {doctor:<width$}  # what this machine can do, and what is missing\n  \
         {test:<width$}  # run every test in a process of its own\n"
    )
}
