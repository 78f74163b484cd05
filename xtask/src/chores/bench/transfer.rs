//! `cargo xtask bench transfer`: the real `tandem` beside rsync and `cp`, one after the other in
//! each round, on the same files and the same disk.
//!
//! Each moves many small files, one large file, and one KiB from nothing connected. rsync's daemon
//! neither encrypts nor verifies, and like `cp` it makes nothing durable without `--fsync`: they
//! are what the encrypted, verified and durable transfer is compared with.

mod contender;
mod figures;
mod process;
mod workload;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use xshell::{Shell, cmd};

use cargo_universe::runner::console::Console;
use cargo_universe::runner::rundir::RunDir;
use cargo_universe::sandbox::removal;
use cargo_universe::workspace::metadata::Workspace;
use contender::{Contender, Place};
use figures::Sample;
use workload::Workload;

/// The options.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of the benchmark `transfer`")]
pub(super) struct TransferArgs {
    /// Move each workload N times with each program
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    /// How many small files of 4 KiB to move
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    small_files: u32,
    /// The size in MiB of the large file
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    large_mib: u32,
}

/// Builds `tandem`, measures, prints.
///
/// # Errors
/// When `tandem` can't be built or does not move the files.
pub(super) fn run(args: &TransferArgs, workspace: &Workspace) -> anyhow::Result<()> {
    let console = Console::new();
    let tandem = build(workspace)?;
    let directory = RunDir::create(&workspace.target_directory, super::KIND)?;
    let scratch = directory.scratch("0")?;
    let measured = measure(args, (&tandem, &scratch), &console);
    // If something can't be removed, a later run removes it.
    removal::remove(&scratch).ok();
    measured
}

fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let shell = Shell::new().context("could not open a shell")?;
    shell.change_dir(&workspace.root);
    cmd!(shell, "cargo build --release --package tandem")
        .run()
        .context("could not build `tandem`")?;
    Ok(workspace.target_directory.join("release/tandem"))
}

fn measure(args: &TransferArgs, (tandem, scratch): (&Path, &Path), console: &Console) -> anyhow::Result<()> {
    let workloads = [
        Workload::Small(args.small_files),
        Workload::Large(args.large_mib),
        Workload::FirstKib,
    ];
    for workload in workloads {
        let source = scratch.join("source");
        workload.write(&source)?;
        let mut samples: Vec<(Contender, Vec<Sample>)> = Vec::new();
        for contender in Contender::ALL.into_iter().filter(|one| one.is_installed()) {
            samples.push((contender, Vec::new()));
        }
        let mut notes = Vec::new();
        for round in 0..args.repeats {
            samples.retain_mut(|(contender, samples)| {
                let place = Place {
                    tandem,
                    source: &source,
                    own: scratch.join(format!("{}-{round}", contender.file_name())),
                };
                match contender.run(&place, workload) {
                    Ok(sample) => samples.push(sample),
                    Err(error) => notes.push((*contender, error)),
                }
                removal::remove(&place.own).ok();
                !samples.is_empty()
            });
        }
        removal::remove(&source).ok();
        for (contender, error) in notes {
            if contender == Contender::Tandem {
                return Err(error.context("`tandem` did not move the files"));
            }
            console.line(&format!("{} was not measured: {error:#}", contender.name()));
        }
        console.line(&workload.title());
        figures::lines(&samples, workload)
            .iter()
            .for_each(|line| console.line(line));
    }
    Ok(())
}
