//! `cargo xtask mutations`: breaks the code on purpose, one mutation after the other, and expects a
//! named test to fail.
//!
//! Each mutation is a patch in `tests/mutations/`. It is applied to a copy of the workspace, never
//! to the workspace itself. The tests run through this same xtask, as they always do. Nothing here
//! decides what the patches are.

mod check;
mod patch;
mod replica;
mod table;
mod trial;
mod verdict;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use cargo_universe::base::exit::Exit;
use cargo_universe::runner::console;
use cargo_universe::workspace::metadata::Workspace;
use patch::Patch;
use replica::Replica;
use trial::{Row, Trial};
use verdict::Verdict;

/// The directory of the patches, below the root of the workspace.
const DIRECTORY: &str = "tests/mutations";

/// Break the code on purpose, one patch after the other, and expect the named tests to fail
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Try only these mutations, by the names of their files without `.patch`
    names: Vec<String>,
    /// Only check that each patch applies and that each named test exists; build nothing
    #[arg(long)]
    check: bool,
    /// Only print the mutations and the tests that must fail
    #[arg(long, conflicts_with = "check")]
    list: bool,
}

/// Tries the mutations and prints the table. Exit code 0 if every named test failed, 100 otherwise.
///
/// # Errors
/// When a patch is invalid or does not apply, an unmutated test fails, or the copy cannot be
/// created.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load(None)?;
    let patches = patch::load(&workspace.root.join(DIRECTORY))?;
    let patches = match selected(patches, &args.names) {
        Ok(patches) => patches,
        Err(unknown) => return refuse(&unknown),
    };
    if args.list {
        return say(&table::list(&patches)).map(|()| Exit::Success.into());
    }
    let replica = Replica::make(&workspace)?;
    let rows = if args.check {
        check::rows(&replica, &patches)
    } else {
        try_all(&replica, &patches)?
    };
    say(&table::table(&rows))?;
    Ok(verdict(&rows).into())
}

fn selected(patches: Vec<Patch>, names: &[String]) -> Result<Vec<Patch>, String> {
    match names
        .iter()
        .find(|name| !patches.iter().any(|patch| patch.name == **name))
    {
        Some(unknown) => Err(unknown.clone()),
        None => Ok(patches
            .into_iter()
            .filter(|patch| names.is_empty() || names.contains(&patch.name))
            .collect()),
    }
}

fn refuse(unknown: &str) -> Result<ExitCode> {
    let hint = "hint: `cargo xtask mutations --list` lists them";
    writeln!(
        std::io::stderr(),
        "error: there is no mutation `{unknown}` in `{DIRECTORY}`\n{hint}"
    )?;
    Ok(Exit::Usage.into())
}

fn try_all(replica: &Replica, patches: &[Patch]) -> Result<Vec<Row>> {
    let mut trial = Trial::new(replica, patches)?;
    announce("building and running the unmutated tests (the first time, this builds every dependency)")?;
    trial.expect_green(patches)?;
    let mut rows = Vec::new();
    for patch in patches {
        announce(&format!("{}: {}", patch.name, patch.sentence))?;
        rows.extend(trial.rows(patch)?);
    }
    Ok(rows)
}

fn verdict(rows: &[Row]) -> Exit {
    let any = |wanted: fn(&Verdict) -> bool| rows.iter().any(|row| wanted(&row.verdict));
    if any(|verdict| matches!(verdict, Verdict::Broken(_))) {
        Exit::SetupFailed
    } else if any(|verdict| matches!(verdict, Verdict::Green)) {
        Exit::TestsFailed
    } else {
        Exit::Success
    }
}

fn say(text: &str) -> Result<()> {
    Ok(console::print(text)?)
}

fn announce(text: &str) -> Result<()> {
    writeln!(std::io::stderr(), "{}", console::disarmed(text)).context("could not write to standard error")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<Patch> {
        names.iter().map(|name| patch::tests::patch(name)).collect()
    }

    fn row(verdict: Verdict) -> Row {
        Row {
            mutation: "m".into(),
            test: "p::b$t".into(),
            verdict,
            elapsed: std::time::Duration::ZERO,
        }
    }

    #[test]
    fn without_names_all_mutations_are_selected_and_otherwise_the_named_ones() {
        let names = |patches: Vec<Patch>| patches.into_iter().map(|patch| patch.name).collect::<Vec<_>>();
        assert_eq!(
            selected(named(&["a", "b"]), &[]).map(names),
            Ok(vec!["a".into(), "b".into()])
        );
        assert_eq!(
            selected(named(&["a", "b"]), &["b".into()]).map(names),
            Ok(vec!["b".into()])
        );
        assert_eq!(selected(named(&["a"]), &["c".into()]).map(names), Err("c".into()));
    }

    #[test]
    fn one_green_row_fails_and_a_broken_one_outweighs_it() {
        let skipped = || row(Verdict::Skipped("needs fuse".into()));
        assert_eq!(verdict(&[row(Verdict::Red), skipped()]), Exit::Success);
        assert_eq!(
            verdict(&[row(Verdict::Red), row(Verdict::Green)]),
            Exit::TestsFailed
        );
        assert_eq!(
            verdict(&[row(Verdict::Green), row(Verdict::Broken("no build".into()))]),
            Exit::SetupFailed
        );
    }
}
