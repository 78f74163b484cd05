//! Reads an archive, and writes its files below a directory of our own. Nothing in it is trusted:
//! only the listed regular files are written, each once, with the listed size.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::Archived;
use super::compression::Compression;
use super::description::{Description, Listed, NAME};
use super::extraction::Extraction;
use super::path::{self, Ground, TARGET, WORKSPACE};
use crate::base::limits::{
    ARCHIVE_DESCRIPTION_LEN_MAX, ARCHIVE_FILES_MAX, ARCHIVE_LEN_MAX, ARCHIVE_PADDING_LEN_MAX,
    ARCHIVE_PATH_LEN_MAX,
};
use crate::base::text::plain_line;
use crate::workspace::metadata::Workspace;

/// As [`super::open`], with errors that do not name the archive.
pub(super) fn open(file: &Path, remap: Option<&Path>) -> Result<Workspace> {
    let compression = Compression::of(file)?;
    let opened = File::open(file).context("could not open it")?;
    let root = remap.map(root).transpose()?;
    let target = target(root.as_deref())?;
    let extraction = Extraction::create(&target)?;
    let mut stream = compression.reader(opened)?;
    let read = entries(stream.end(), extraction.path()).and_then(|description| {
        ends(stream.end())?;
        Ok(description)
    });
    let description = match read {
        Ok(description) => description,
        Err(error) if is_cut(&error) => bail!("it is cut short, or is no archive"),
        Err(error) => return Err(error),
    };
    stream.finish().context("it is cut short or damaged")?;
    let ground = Ground {
        target: extraction.path().join(TARGET),
        workspace: root.unwrap_or_else(|| extraction.path().join(WORKSPACE)),
    };
    let restored = description.restore(&ground)?;
    let mut workspace = restored.workspace;
    has_packages(&workspace)?;
    // The output directory of a build script may be empty.
    let out_dirs = restored.build.out_dirs.values();
    let out_dirs = out_dirs.filter(|path| path.starts_with(&ground.target));
    for directory in out_dirs.chain([&ground.target.join("tmp")]) {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("could not create `{}`", directory.display()))?;
    }
    workspace.target_directory = target;
    workspace.archived = Some(Archived {
        features: restored.features,
        build: restored.build,
        settings: restored.settings,
        extraction,
    });
    Ok(workspace)
}

/// The sources on this machine.
fn root(given: &Path) -> Result<PathBuf> {
    let root = given.canonicalize();
    let root = root.with_context(|| format!("`{}`, given with --workspace-remap", given.display()))?;
    ensure!(
        root.join("Cargo.toml").is_file(),
        "`{}` has no Cargo.toml; give --workspace-remap the root of the workspace",
        root.display()
    );
    Ok(root)
}

/// Where reports and the unpacked files go.
fn target(root: Option<&Path>) -> Result<PathBuf> {
    let current = std::env::current_dir().context("could not read the current directory")?;
    Ok(match std::env::var_os("CARGO_TARGET_DIR") {
        Some(given) => current.join(given),
        None => root.unwrap_or(&current).join("target"),
    })
}

/// Tests run in the directories of their packages.
fn has_packages(workspace: &Workspace) -> Result<()> {
    let mut directories = workspace.packages.values().map(|package| package.directory());
    match directories.find(|directory| !directory.is_dir()) {
        None => Ok(()),
        Some(missing) => bail!(
            "it is of another workspace: `{}` is missing; give --workspace-remap the same sources",
            missing.display()
        ),
    }
}

/// Whether the input ended too early or was not what it should be.
fn is_cut(error: &anyhow::Error) -> bool {
    use io::ErrorKind::{InvalidData, Other, UnexpectedEof};
    let of_reading = |error: &Unreadable| matches!(error.0.kind(), InvalidData | Other | UnexpectedEof);
    error.downcast_ref::<Unreadable>().is_some_and(of_reading)
}

/// An error of the input, which is the fault of the archive.
#[derive(Debug)]
struct Unreadable(io::Error);

impl std::error::Error for Unreadable {}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "could not read it: {}", self.0)
    }
}

/// Writes all files below `to`.
fn entries(from: &mut dyn Read, to: &Path) -> Result<Description> {
    let mut archive = tar::Archive::new(from);
    // The library would read a name of any length into memory.
    let mut entries = archive.entries().map_err(Unreadable)?.raw(true);
    let nothing = || Err(io::ErrorKind::UnexpectedEof.into());
    let first = entries.next().unwrap_or_else(nothing).map_err(Unreadable)?;
    let description = description(first)?;
    let listed = description.files.iter();
    let mut expected: BTreeMap<&str, &Listed> = listed.map(|file| (file.path.as_str(), file)).collect();
    let mut long_name = None;
    for entry in entries {
        let mut entry = entry.map_err(Unreadable)?;
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() {
            long_name = Some(name_of_next(&mut entry)?);
            continue;
        }
        let own_name = || entry.path_bytes().into_owned();
        let name = long_name.take().unwrap_or_else(own_name);
        if kind.is_dir() {
            continue;
        }
        let name = String::from_utf8_lossy(&name).into_owned();
        path::checked(&name)?;
        let shown = plain_line(&name);
        ensure!(
            kind.is_file(),
            "`{shown}` is a link or a device; only files may be in it"
        );
        let listed = expected.remove(name.as_str());
        let listed =
            listed.with_context(|| format!("`{shown}` is not in its list of files, or is there twice"))?;
        ensure!(
            entry.size() == listed.len,
            "`{shown}` has {} bytes and not {}, as its list of files says",
            entry.size(),
            listed.len
        );
        write(&mut entry, listed, to)?;
    }
    if let Some(name) = expected.into_keys().next() {
        bail!("it is cut short: `{}` is missing", plain_line(name));
    }
    Ok(description)
}

/// The name of the next entry, which is too long for a header.
fn name_of_next(entry: &mut tar::Entry<'_, &mut dyn Read>) -> Result<Vec<u8>> {
    ensure!(
        entry.size() <= ARCHIVE_PATH_LEN_MAX,
        "it has a path of {} bytes; {ARCHIVE_PATH_LEN_MAX} are the limit",
        entry.size()
    );
    let mut name = Vec::new();
    entry.read_to_end(&mut name).map_err(Unreadable)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

/// Reads the padding behind the last entry, without which the program that decompresses fails.
fn ends(mut from: &mut dyn Read) -> Result<()> {
    let mut rest = Read::take(&mut from, ARCHIVE_PADDING_LEN_MAX + 1);
    let len = io::copy(&mut rest, &mut io::sink()).map_err(Unreadable)?;
    ensure!(
        len <= ARCHIVE_PADDING_LEN_MAX,
        "it does not end after its last file"
    );
    Ok(())
}

fn description(mut entry: tar::Entry<'_, &mut dyn Read>) -> Result<Description> {
    let is_it = entry.path_bytes().as_ref() == NAME.as_bytes() && entry.header().entry_type().is_file();
    ensure!(is_it, "its first entry is not `{NAME}`");
    ensure!(
        entry.size() <= ARCHIVE_DESCRIPTION_LEN_MAX,
        "its `{NAME}` has {} bytes; {ARCHIVE_DESCRIPTION_LEN_MAX} are the limit",
        entry.size()
    );
    let mut json = Vec::new();
    entry.read_to_end(&mut json).map_err(Unreadable)?;
    if u64::try_from(json.len()).ok() != Some(entry.size()) {
        return Err(Unreadable(io::ErrorKind::UnexpectedEof.into()).into());
    }
    let description = Description::parse(&json)?;
    let files = &description.files;
    ensure!(
        files.len() <= ARCHIVE_FILES_MAX,
        "it lists {} files; {ARCHIVE_FILES_MAX} are the limit",
        files.len()
    );
    let len = files.iter().fold(0_u64, |len, file| len.saturating_add(file.len));
    ensure!(
        len <= ARCHIVE_LEN_MAX,
        "its files have {len} bytes; {ARCHIVE_LEN_MAX} are the limit"
    );
    Ok(description)
}

/// Writes one file, whose path was checked. Its parents are directories that were made here,
/// because no links are written.
fn write(entry: &mut impl Read, listed: &Listed, to: &Path) -> Result<()> {
    let path = to.join(&listed.path);
    let not_written = || format!("could not write `{}`", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(not_written)?;
    }
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(if listed.is_executable { 0o755 } else { 0o644 });
    }
    let mut file = options
        .write(true)
        .create_new(true)
        .open(&path)
        .with_context(not_written)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut len = 0_u64;
    loop {
        match entry.read(&mut buffer).map_err(Unreadable)? {
            0 => break,
            read => {
                let part = buffer.get(..read).unwrap_or_default();
                io::Write::write_all(&mut file, part).with_context(not_written)?;
                len += u64::try_from(read).unwrap_or_default();
            }
        }
    }
    match len == listed.len {
        true => Ok(()),
        false => Err(Unreadable(io::ErrorKind::UnexpectedEof.into()).into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A description with these files.
    fn described(files: &[(&str, u64)]) -> serde_json::Value {
        let file = |(path, len): &(&str, u64)| json!({"path": path, "len": len, "is_executable": false});
        json!({
            "version": 1,
            "platform": {"os": std::env::consts::OS, "arch": std::env::consts::ARCH},
            "metadata": {}, "features": [], "settings": {},
            "build": {
                "tests": [], "bins": {}, "bins_of": {}, "variables": {}, "has_macros": false,
                "linked_paths": [], "out_dirs": {},
            },
            "files": files.iter().map(file).collect::<Vec<_>>(),
        })
    }

    /// An entry whose path is written as it is.
    fn entry(path: &str, kind: tar::EntryType, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        let name = path.as_bytes().iter();
        let field = header.as_old_mut().name.iter_mut();
        field.zip(name).for_each(|(to, from)| *to = *from);
        header.set_entry_type(kind);
        header.set_size(content.len().try_into().unwrap());
        if kind != tar::EntryType::Regular {
            header.set_link_name("/etc").unwrap();
        }
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;

    fn archive(description: &serde_json::Value, entries: &[Vec<u8>]) -> Vec<u8> {
        let json = description.to_string();
        let mut bytes = entry(NAME, FILE, json.as_bytes());
        bytes.extend(entries.concat());
        bytes
    }

    /// What is written below a directory, and the error.
    fn unpacked(bytes: &[u8]) -> (Vec<String>, String) {
        let home = tempfile::tempdir().unwrap();
        let to = home.path().join("to");
        std::fs::create_dir(&to).unwrap();
        let error = match entries(&mut &bytes[..], &to) {
            Ok(_) => String::new(),
            Err(error) if is_cut(&error) => "cut".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        let written = crate::workspace::archive::files_below(home.path(), &[]).into_iter();
        let written = written.map(|path| path.strip_prefix(home.path()).unwrap().display().to_string());
        (written.collect(), error)
    }

    #[test]
    fn listed_files_are_written_and_directories_ignored() {
        let directory = entry("target/", tar::EntryType::Directory, b"");
        let bytes = archive(
            &described(&[("target/a", 2)]),
            &[directory, entry("target/a", FILE, b"ab")],
        );
        assert_eq!(unpacked(&bytes), (vec!["to/target/a".to_owned()], String::new()));
    }

    #[test]
    fn a_file_with_a_path_that_is_too_long_for_a_header_is_written() {
        let path = format!("target/{}", "x".repeat(200));
        let name = entry(
            "././@LongLink",
            tar::EntryType::GNULongName,
            format!("{path}\0").as_bytes(),
        );
        let bytes = archive(&described(&[(&path, 2)]), &[name, entry("target/x", FILE, b"ab")]);
        assert_eq!(unpacked(&bytes), (vec![format!("to/{path}")], String::new()));
    }

    #[test]
    fn nothing_is_written_outside_and_nothing_that_is_not_listed() {
        let listed = described(&[("target/a", 2)]);
        let link = tar::EntryType::Symlink;
        for (bytes, part) in [
            (
                archive(&listed, &[entry("../a", FILE, b"ab")]),
                "`../a` leads out",
            ),
            (
                archive(&listed, &[entry("/tmp/a", FILE, b"ab")]),
                "`/tmp/a` leads out",
            ),
            (
                archive(&listed, &[entry("target/../../a", FILE, b"ab")]),
                "leads out",
            ),
            (
                archive(&listed, &[entry("target/a", link, b"")]),
                "is a link or a device",
            ),
            (
                archive(&listed, &[entry("target/a", tar::EntryType::Link, b"")]),
                "is a link",
            ),
            (
                archive(&listed, &[entry("target/b", FILE, b"ab")]),
                "not in its list",
            ),
            (
                archive(&listed, &[entry("target/a", FILE, b"abc")]),
                "3 bytes and not 2",
            ),
            (archive(&listed, &[]), "cut short: `target/a` is missing"),
            (
                archive(&described(&[("../a", 2)]), &[entry("../a", FILE, b"ab")]),
                "leads out",
            ),
            (
                entry("target/a", FILE, b"ab"),
                "first entry is not `archive.json`",
            ),
        ] {
            let (written, error) = unpacked(&bytes);
            assert!(error.contains(part), "{part}: {error}");
            assert_eq!(written, [""; 0], "{part}");
        }
        let twice = vec![entry("target/a", FILE, b"ab"); 2];
        assert!(unpacked(&archive(&listed, &twice)).1.contains("there twice"));
    }

    #[test]
    fn an_archive_that_ends_anywhere_is_cut() {
        let whole = archive(
            &described(&[("target/a", 600), ("target/b", 1)]),
            &[entry("target/a", FILE, &[7; 600]), entry("target/b", FILE, b"b")],
        );
        assert_eq!(unpacked(&whole).1, "");
        for len in (0..whole.len() - 511).step_by(97) {
            let error = unpacked(&whole[..len]).1;
            assert!(error.contains("cut"), "{len}: {error}");
        }
        assert_eq!(unpacked(&[b'x'; 4096]).1, "cut");
    }

    #[test]
    fn another_platform_and_another_version_are_named() {
        for (key, value, part) in [
            ("version", json!(2), "version 2; this program reads version 1"),
            (
                "platform",
                json!({"os": "plan9", "arch": "mips"}),
                "it was built for plan9-mips, and this machine is",
            ),
            ("build", json!(7), "is not that of an archive"),
        ] {
            let mut description = described(&[]);
            description[key] = value;
            let error = unpacked(&archive(&description, &[])).1;
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn limits_hold_at_their_value_and_one_past_it() {
        let of_len = |len| unpacked(&archive(&described(&[("target/a", len)]), &[])).1;
        assert!(of_len(ARCHIVE_LEN_MAX).contains("cut short"));
        assert!(of_len(ARCHIVE_LEN_MAX + 1).contains("are the limit"));
        let of_count = |count: usize| {
            let paths: Vec<String> = (0..count).map(|number| format!("target/{number}")).collect();
            let files: Vec<_> = paths.iter().map(|path| (path.as_str(), 1)).collect();
            unpacked(&archive(&described(&files), &[])).1
        };
        assert!(of_count(ARCHIVE_FILES_MAX).contains("cut short"));
        assert!(of_count(ARCHIVE_FILES_MAX + 1).contains("are the limit"));
        let of_description = |len: u64| {
            let mut header = tar::Header::new_gnu();
            header.set_path(NAME).unwrap();
            header.set_entry_type(FILE);
            header.set_size(len);
            header.set_cksum();
            unpacked(header.as_bytes()).1
        };
        let of_path = |len: u64| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::GNULongName);
            header.set_size(len);
            header.set_cksum();
            unpacked(&archive(&described(&[]), &[header.as_bytes().to_vec()])).1
        };
        assert_eq!(of_path(ARCHIVE_PATH_LEN_MAX), "cut");
        assert!(of_path(ARCHIVE_PATH_LEN_MAX + 1).contains("are the limit"));
        let of_padding = |len: u64| ends(&mut io::repeat(0).take(len));
        assert!(of_padding(ARCHIVE_PADDING_LEN_MAX).is_ok());
        assert!(of_padding(ARCHIVE_PADDING_LEN_MAX + 1).is_err());
        assert_eq!(of_description(ARCHIVE_DESCRIPTION_LEN_MAX), "cut");
        assert!(of_description(ARCHIVE_DESCRIPTION_LEN_MAX + 1).contains("are the limit"));
    }
}
