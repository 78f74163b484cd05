//! `cargo xtask readers`: what programs that read JUnit files make of our reports, compared with
//! the events of the same runs.
//!
//! The readers are not ours and are installed below the target directory, in tested versions. One
//! that is written in Java needs Maven; without it, the command prints so and checks the others.

mod comparison;
mod programs;
mod samples;
mod truth;

use std::path::PathBuf;
use std::process::ExitCode;

use cargo_universe::base::exit::Exit;
use cargo_universe::report::junit::Dialect;
use cargo_universe::runner::console::Console;
use cargo_universe::workspace::metadata::Workspace;
use comparison::differences;
use programs::Reader;
use samples::Sample;

/// Check what other programs read in our JUnit reports: of runs that pass, fail, print hostile
/// output, are interrupted or killed, cannot be built, or are merged
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also check the reports of these runs
    #[arg(long, value_name = "PATH")]
    events: Vec<PathBuf>,
}

/// Makes the reports, has each reader read them, compares. Exit code 100 if anything differs.
///
/// # Errors
/// When a run does not end as it should, or a reader other than Maven's cannot be had.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::load(None)?;
    let directory = workspace.target_directory.join("xtask").join("readers");
    let console = Console::new();
    let installed = programs::install(&workspace.root, &directory)?;
    installed.missing.iter().for_each(|line| console.line(line));
    let mut samples = samples::make(&workspace.root, &directory)?;
    samples.extend(args.events.iter().map(|events| Sample::of_file(events)));
    let mut difference_count = 0;
    for sample in &samples {
        for dialect in [Dialect::Rich, Dialect::Jenkins] {
            let report = sample.report(dialect, &directory)?;
            for reader in &installed.readers {
                let found = check(reader, sample, dialect, &report)?;
                console.line(&line(reader, sample, dialect, &found));
                found.iter().for_each(|difference| console.line(difference));
                difference_count += found.len();
            }
        }
    }
    Ok(match difference_count {
        0 => Exit::Success,
        _ => Exit::TestsFailed,
    }
    .into())
}

fn check(
    reader: &Reader,
    sample: &Sample,
    dialect: Dialect,
    report: &std::path::Path,
) -> anyhow::Result<Vec<String>> {
    let answer = match reader.read(report, dialect)? {
        programs::Answer::Report(answer) => answer,
        programs::Answer::Complaints(complaints) => return Ok(complaints),
    };
    Ok(differences(&sample.truth(dialect)?, &answer))
}

fn line(reader: &Reader, sample: &Sample, dialect: Dialect, found: &[String]) -> String {
    let verdict = match found.len() {
        0 => "same".to_owned(),
        count => format!("{count} DIFFERENCES"),
    };
    let dialect = samples::word(dialect);
    format!("{:<14} {dialect:<8} {:<22} {verdict}", sample.name, reader.name)
}
