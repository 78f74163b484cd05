//! `cargo universe archive`: builds the tests once and packs all that a run needs, for `test
//! --archive` on other machines.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::base::exit::{Exit, Stop};
use crate::base::runtime;
use crate::runner::build_only::build_only;
use crate::runner::console::Console;
use crate::runner::discover::Built;
use crate::sandbox::isolation::Isolation;
use crate::select::filter::Glob;
use crate::workspace::archive::{self, Packed};
use crate::workspace::cargo::BuildArgs;
use crate::workspace::metadata::Workspace;

/// Build the tests and pack them, with all that a run needs, into one file
///
/// `test --archive FILE` runs them on a machine of the same platform that needs neither cargo nor
/// the target directory. Files that tests read at run time are named by `archive.include` in
/// `[workspace.metadata.universe]`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The archive to write; its name ends in `.tar.zst`, or in `.tar` to do without the program
    /// `zstd`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    build: BuildArgs,
}

/// The archive to run instead of a build.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Build")]
pub(crate) struct ArchiveArgs {
    /// Build nothing; run the tests of this archive, which `archive` wrote
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "release", "cargo_profile", "offline", "frozen", "locked", "package", "workspace", "exclude",
            "features", "all_features", "no_default_features", "manifest_path", "target", "target_dir",
            "doc", "lib", "bin", "bins", "test", "tests", "example", "examples", "bench", "benches",
            "all_targets"
        ]
    )]
    archive: Option<PathBuf>,
    /// The sources of the archive's workspace on this machine; without them, the tests run in the
    /// files that the archive has
    #[arg(long, value_name = "DIR", requires = "archive")]
    workspace_remap: Option<PathBuf>,
}

impl ArchiveArgs {
    /// The workspace of the archive, otherwise the one that cargo knows.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn workspace(&self, build: &BuildArgs) -> Result<Workspace, Stop> {
        match &self.archive {
            Some(file) => archive::open(file, self.workspace_remap.as_deref()),
            None => Ok(Workspace::load(build.manifest_path.as_deref())?),
        }
    }

    /// The same options again; `None` if they cannot be typed.
    pub(crate) fn words(&self) -> Option<Vec<String>> {
        let archive = [
            ("--archive", &self.archive),
            ("--workspace-remap", &self.workspace_remap),
        ];
        let given = archive
            .into_iter()
            .filter_map(|(name, path)| Some((name, path.as_ref()?)));
        let words = given.map(|(name, path)| Some(format!("{name}={}", path.to_str()?)));
        words.collect()
    }
}

/// Builds and packs.
///
/// # Errors
/// When there is no workspace, it cannot be built, or the archive cannot be written.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Nobody waits for a build that cannot be packed.
    archive::can_write(&args.file)?;
    let workspace = args.build.workspace()?;
    let included = included(&workspace)?;
    let Built { features, build } =
        runtime::block_on(build_only(&workspace, &args.build, Isolation::default()))??;
    let packed = archive::pack(&workspace, (&build, &features), &included, &args.file)?;
    let console = Console::new();
    console.line(&line(&args.file, &packed));
    if args.build.has_doc_tests(&workspace) {
        console.line("doc tests are not in it: rustdoc builds each when it runs");
    }
    Ok(Exit::Success.into())
}

fn line(file: &Path, packed: &Packed) -> String {
    let mib = |len: u64| {
        let tenths = len.saturating_mul(10) / (1024 * 1024);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    let Packed {
        file_count,
        len,
        packed_len,
    } = *packed;
    format!(
        "{}: {file_count} files of {} MiB in {} MiB",
        file.display(),
        mib(len),
        mib(packed_len)
    )
}

/// The files that the workspace names, by their paths relative to its root.
///
/// # Errors
/// When a glob is invalid or matches no file.
fn included(workspace: &Workspace) -> Result<Vec<PathBuf>, Stop> {
    let home = &workspace.config.home;
    let mut found = BTreeSet::new();
    for (number, text) in workspace.config.archive.include.iter().enumerate() {
        let wrong = |why: &str| home.misunderstood(&format!("archive.include[{number}]"), why);
        let glob = Glob::parse(text).map_err(|missing| wrong(&format!("`{text}` needs {missing}")))?;
        if Path::new(text).is_absolute() || text.split('/').any(|part| part == "..") {
            return Err(wrong(&format!("`{text}` is not below the root of the workspace")));
        }
        let matching = matching(workspace, text, &glob);
        if matching.is_empty() {
            return Err(wrong(&format!("no file matches `{text}`")));
        }
        found.extend(matching);
    }
    Ok(found.into_iter().collect())
}

/// Only the directory is searched that the glob names before its first special character; the
/// target directory and that of git only if the glob names them.
fn matching(workspace: &Workspace, text: &str, glob: &Glob) -> Vec<PathBuf> {
    let root = &workspace.root;
    let except = [workspace.target_directory.clone(), root.join(".git")];
    let plain = text.split(['*', '?', '[']).next().unwrap_or_default();
    let directory = plain.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut files = archive::files_below(&root.join(directory), &except);
    files.retain(|path| {
        let inside = path
            .strip_prefix(root)
            .ok()
            .map(|path| path.to_string_lossy().replace('\\', "/"));
        inside.is_some_and(|inside| glob.fits(&inside))
    });
    files
}
