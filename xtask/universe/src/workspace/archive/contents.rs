//! Which files go into an archive: what the tests run and load, the manifests, and what the
//! workspace names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::description::{Listed, Subject};
use super::path::{COMPILER, Ground};
use crate::base::limits::ARCHIVE_FILES_MAX;
use crate::workspace::cargo::{self, Build};
use crate::workspace::metadata::Workspace;

/// The files, by their path in the archive.
#[derive(Debug, Default)]
pub(super) struct Contents(BTreeMap<String, PathBuf>);

impl Contents {
    /// The files of a build and `included` ones, which are below the root of the workspace.
    ///
    /// # Errors
    /// When one of them is missing, or is outside of the workspace and the target directory.
    pub(super) fn of(
        subject: Subject<'_>,
        ground: &Ground,
        included: &[PathBuf],
    ) -> anyhow::Result<Contents> {
        let Subject { workspace, build, .. } = subject;
        let mut contents = Contents::default();
        for package in workspace.packages.values() {
            workspace.inside(package)?;
            contents.add(&package.manifest_path, ground)?;
        }
        // The root of a workspace may be no package.
        contents.add(&workspace.manifest(), ground)?;
        let executables = build.tests.iter().map(|test| &test.executable);
        let bins = build.bins_of.values().flat_map(BTreeMap::values);
        let binaries = executables.chain(bins).chain(&build.examples);
        for path in binaries.chain(&build.libraries).chain(included) {
            contents.add(path, ground)?;
        }
        contents.add_libraries(build, ground)?;
        contents.add_out_dirs(workspace, build, ground)?;
        if build.has_macros {
            contents.add_compiler(&workspace.root)?;
        }
        ensure!(
            contents.0.len() <= ARCHIVE_FILES_MAX,
            "there are {} files; an archive has at most {ARCHIVE_FILES_MAX}",
            contents.0.len()
        );
        Ok(contents)
    }

    fn add(&mut self, path: &Path, ground: &Ground) -> anyhow::Result<()> {
        let packed = ground.packed(path);
        super::path::checked(&packed).ok().with_context(|| {
            format!(
                "`{}` is neither in the workspace nor in the target directory",
                path.display()
            )
        })?;
        self.0.insert(packed, path.to_owned());
        Ok(())
    }

    /// The dynamic libraries in directories of build scripts.
    fn add_libraries(&mut self, build: &Build, ground: &Ground) -> anyhow::Result<()> {
        let inside = build
            .linked_paths
            .iter()
            .filter(|path| path.starts_with(&ground.target));
        let files = inside.flat_map(|directory| files(directory));
        let mut libraries = files.filter(|path| is_dynamic(path));
        libraries.try_for_each(|path| self.add(&path, ground))
    }

    /// What build scripts of the packages made; their tests may read it.
    fn add_out_dirs(&mut self, workspace: &Workspace, build: &Build, ground: &Ground) -> anyhow::Result<()> {
        let own = build
            .out_dirs
            .iter()
            .filter(|(id, _)| workspace.packages.contains_key(*id));
        for (_, directory) in own {
            for path in files_below(directory, &[]) {
                self.add(&path, ground)?;
            }
        }
        Ok(())
    }

    /// The standard library, which a test of a procedural macro loads.
    fn add_compiler(&mut self, root: &Path) -> anyhow::Result<()> {
        let directory =
            cargo::compiler_libraries(root).context("could not ask `rustc` where its libraries are")?;
        let is_std = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            is_dynamic(path) && name.trim_start_matches("lib").starts_with("std-")
        };
        for path in files(&directory).filter(is_std) {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            self.0.insert(format!("{COMPILER}/{name}"), path);
        }
        Ok(())
    }

    /// Each file with its size and its place on this machine.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(super) fn listed(&self) -> anyhow::Result<Vec<(Listed, PathBuf)>> {
        let listed = |(packed, path): (&String, &PathBuf)| {
            let metadata = std::fs::metadata(path);
            let metadata = metadata.with_context(|| format!("could not read `{}`", path.display()))?;
            ensure!(metadata.is_file(), "`{}` is not a regular file", path.display());
            let listed = Listed {
                path: packed.clone(),
                len: metadata.len(),
                is_executable: is_executable(&metadata),
            };
            Ok((listed, path.clone()))
        };
        self.0.iter().map(listed).collect()
    }
}

/// The regular files in a directory, and links to such; none if it cannot be read.
fn files(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = directory.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_file())
}

/// The same for a whole tree without these directories. Links to directories are not followed.
pub(crate) fn files_below(directory: &Path, except: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        found.extend(files(&directory));
        let entries = directory.read_dir().into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let below = below.map(|entry| entry.path());
        directories.extend(below.filter(|path| !except.contains(path)));
    }
    found
}

fn is_dynamic(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ends = [".so", ".dylib", ".dll"].iter().any(|end| name.ends_with(end));
    ends || name.contains(".so.")
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &std::fs::Metadata) -> bool {
    true
}
