//! Archives: tests that are built once run elsewhere, without cargo and without the target
//! directory.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::support::{Run, Scratch, Setup, must};

const SOURCE: &str = r#"
fn main() { println!("the binary") }

#[cfg(test)]
mod tests {
    use std::env::{current_dir, var, var_os};
    use std::path::PathBuf;

    fn directory(name: &str) -> PathBuf {
        let path = PathBuf::from(var_os(name).unwrap());
        assert!(path.is_dir(), "{}", path.display());
        path
    }

    #[test]
    fn finds_its_package() {
        assert_eq!(directory("CARGO_MANIFEST_DIR"), current_dir().unwrap());
        assert_eq!(var("CARGO_PKG_VERSION").unwrap(), "0.1.0");
        directory("CARGO_TARGET_TMPDIR");
    }

    #[test]
    fn finds_what_it_reads() {
        assert_eq!(std::fs::read_to_string("fixtures/data.txt").unwrap(), "data");
        let made = directory("OUT_DIR").join("made.txt");
        assert_eq!(std::fs::read_to_string(made).unwrap(), "made");
        assert_eq!(directory("FIXTURES"), current_dir().unwrap().join("fixtures"));
        assert_eq!(var("SAID").unwrap(), "by the build script");
    }

    #[test]
    fn runs_its_example() {
        let test = std::env::current_exe().unwrap();
        let example = test.parent().unwrap().with_file_name("examples").join("greets");
        assert_eq!(std::process::Command::new(example).output().unwrap().stdout, b"hello");
    }

}
"#;

const INTEGRATION: &str = r#"#[test]
fn runs_its_binary() {
    let program = std::env::var_os("CARGO_BIN_EXE_scratch").unwrap();
    assert_eq!(std::process::Command::new(program).output().unwrap().stdout, b"the binary\n");
}"#;

const BUILD: &str = r#"fn main() {
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").unwrap());
    std::fs::write(out.join("made.txt"), "made").unwrap();
    println!("cargo::rustc-env=SAID=by the build script");
}"#;

/// A package whose tests need all that an archive has.
fn package() -> Scratch {
    let package = Scratch::package(SOURCE);
    let at = |name: &str| package.manifest().with_file_name(name);
    for name in ["fixtures", ".cargo", "examples", "tests"] {
        must("make a directory", std::fs::create_dir(at(name)));
    }
    package.add_file("build.rs", BUILD);
    package.add_file("tests/integration.rs", INTEGRATION);
    package.add_file("examples/greets.rs", "fn main() { print!(\"hello\") }\n");
    package.add_file("fixtures/data.txt", "data");
    package.add_file(
        ".cargo/config.toml",
        "[env]\nFIXTURES = { value = \"fixtures\", relative = true }\n",
    );
    package.add_to_manifest("[workspace.metadata.universe.archive]\ninclude = [\"fixtures/*.txt\"]\n");
    package
}

/// A machine with nothing but the runner and `zstd`.
struct Elsewhere(TempDir);

impl Elsewhere {
    fn new() -> Elsewhere {
        let home = must("make a temporary directory", tempfile::tempdir());
        for name in ["bin", "tmp", "work"] {
            must("make a directory", std::fs::create_dir(home.path().join(name)));
        }
        let search = std::env::var_os("PATH").unwrap_or_default();
        let zstd = std::env::split_paths(&search)
            .map(|directory| directory.join("zstd"))
            .find(|path| path.is_file());
        if let Some(zstd) = zstd {
            must(
                "link",
                std::os::unix::fs::symlink(zstd, home.path().join("bin/zstd")),
            );
        }
        Elsewhere(home)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn test(&self, archive: &Path, words: &[&str]) -> Output {
        self.run("test", archive, words)
    }

    fn run(&self, subcommand: &str, archive: &Path, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.env_clear().current_dir(self.path("work"));
        command
            .env("PATH", self.path("bin"))
            .env("TMPDIR", self.path("tmp"));
        command.env("XTASK_TEST_STRETCH", "1");
        command.arg(subcommand).arg("--archive").arg(archive).args(words);
        must("start xtask", command.output())
    }

    /// The directories of archives that are left.
    fn left(&self, target: &str) -> usize {
        let home = self.path(target).join("xtask/archive");
        let entries = home.read_dir().into_iter().flatten().flatten();
        entries.filter(|entry| entry.path().is_dir()).count()
    }
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("code {:?}\n{out}\n--- stderr\n{err}", output.status.code())
}

fn archived(package: &Scratch, to: &Path) -> Run {
    package.run("archive", &[&to.display().to_string()])
}

#[test]
fn an_archive_runs_where_there_is_neither_cargo_nor_the_target_directory() {
    let (package, elsewhere) = (package(), Elsewhere::new());
    let file = elsewhere.path("all.tar");
    let run = archived(&package, &file);
    assert_eq!(run.code, Some(0), "{run}");
    // The sources move, and cargo's target directory goes away.
    let sources = elsewhere.path("sources");
    let old = package.manifest();
    let old = must("know the package", old.parent().ok_or("it has no directory"));
    must(
        "remove what was built",
        std::fs::remove_dir_all(old.join("target")),
    );
    must("move the sources", std::fs::rename(old, &sources));
    let remap = sources.display().to_string();
    let output = elsewhere.test(&file, &["--workspace-remap", &remap]);
    let shown = text(&output);
    assert!(shown.contains("\n4 passed, 0 failed, 0 skipped\n"), "{shown}");
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let junit = std::fs::read_to_string(sources.join("target/xtask/test/junit.xml")).unwrap_or_default();
    let placed = |file: &str| junit.matches(&format!(" file=\"{file}\" line=\"")).count();
    assert_eq!(
        (placed("src/main.rs"), placed("tests/integration.rs")),
        (3, 1),
        "{junit}"
    );
    assert_eq!(elsewhere.left("sources/target"), 0);
    // Without the sources, the files of the archive are enough.
    must("remove the sources", std::fs::remove_dir_all(&sources));
    let listed = text(&elsewhere.run("list", &file, &[]));
    assert!(
        listed.contains("\nscratch::integration$runs_its_binary\n"),
        "{listed}"
    );
    let output = elsewhere.test(&file, &["finds"]);
    assert!(
        text(&output).contains("\n2 passed, 0 failed, 0 skipped\n"),
        "{}",
        text(&output)
    );
    assert_eq!(elsewhere.left("work/target"), 0);
    must("restore the directory", std::fs::create_dir(old));
}

#[test]
fn a_failure_for_a_path_of_the_first_machine_says_so_and_names_its_line() {
    let (package, elsewhere) = (package(), Elsewhere::new());
    let compiled_in = r#"#[test]
fn reads() {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
}"#;
    package.add_file("tests/compiled_in.rs", compiled_in);
    let file = elsewhere.path("all.tar");
    archived(&package, &file);
    let old = package.manifest();
    let away = old.with_file_name("away.toml");
    must("move the manifest", std::fs::rename(&old, &away));
    let shown = text(&elsewhere.test(&file, &["reads"]));
    must("move it back", std::fs::rename(&away, &old));
    let root = must("know the package", old.parent().ok_or("it has no directory"));
    let hint = format!("\n  archive: it was built in `{}`; ", root.display());
    assert!(shown.contains(&hint), "{shown}");
    assert!(shown.contains("\n  at tests/compiled_in.rs:3\n"), "{shown}");
}

#[test]
fn every_kind_of_target_runs_from_an_archive() {
    let elsewhere = Elsewhere::new();
    let file = elsewhere.path("foreign.tar");
    let run = Setup {
        subcommand: "archive",
        manifest: Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign/Cargo.toml"),
        target: "foreign",
        ..Setup::new(&[&file.display().to_string()])
    }
    .run();
    assert_eq!(run.code, Some(0), "{run}");
    let shown = text(&elsewhere.test(&file, &[]));
    assert!(shown.contains("\n8 passed, 0 failed, 1 skipped\n"), "{shown}");
}

#[test]
fn what_a_killed_run_has_unpacked_is_removed_by_the_next_run() {
    let (package, elsewhere) = (package(), Elsewhere::new());
    let file = elsewhere.path("all.tar");
    archived(&package, &file);
    // As a run that was killed leaves it.
    let left = elsewhere.path("work/target/xtask/archive/run-1");
    must("make a directory", std::fs::create_dir_all(&left));
    must("write a file", std::fs::write(left.join("lock"), ""));
    let output = elsewhere.test(&file, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(!left.exists());
}

#[test]
fn shards_of_an_archive_are_the_whole_run() {
    let (package, elsewhere) = (package(), Elsewhere::new());
    let file = elsewhere.path("all.tar");
    archived(&package, &file);
    let passed = |shard: &str| {
        let output = elsewhere.test(&file, &["--shard", shard]);
        let shown = text(&output);
        assert_eq!(output.status.code(), Some(0), "{shown}");
        shown.matches("PASS [").count()
    };
    assert_eq!(passed("1/2") + passed("2/2"), 4);
}

#[test]
#[ignore = "needs zstd"]
fn a_compressed_archive_runs_and_one_that_is_cut_is_an_error() {
    let (package, elsewhere) = (package(), Elsewhere::new());
    let file = elsewhere.path("all.tar.zst");
    let run = archived(&package, &file);
    assert_eq!(run.code, Some(0), "{run}");
    let shown = text(&elsewhere.test(&file, &[]));
    assert!(shown.contains("\n4 passed, 0 failed, 0 skipped\n"), "{shown}");
    let bytes = must("read the archive", std::fs::read(&file));
    for part in [0, 10, bytes.len() / 2, bytes.len() - 3] {
        let cut = elsewhere.path("cut.tar.zst");
        must(
            "write a part of it",
            std::fs::write(&cut, bytes.get(..part).unwrap_or_default()),
        );
        refused(&elsewhere, &cut, &[], "it is cut short");
    }
}

/// One error, exit code 96, and nothing is left.
fn refused(elsewhere: &Elsewhere, archive: &Path, words: &[&str], part: &str) {
    let output = elsewhere.test(archive, words);
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(96), "{shown}");
    let error = format!("error: could not use the archive `{}`: ", archive.display());
    assert_eq!(shown.matches("error: ").count(), 1, "{shown}");
    assert!(shown.contains(&error) && shown.contains(part), "{part}\n{shown}");
    assert_eq!(elsewhere.left("work/target"), 0, "{shown}");
}

#[test]
fn an_archive_that_cannot_be_used_is_one_error() {
    let (package, elsewhere) = (package(), Elsewhere::new());
    let file = elsewhere.path("all.tar");
    archived(&package, &file);
    let bytes = must("read the archive", std::fs::read(&file));
    let other = elsewhere.path("other.tar");
    let write = |bytes: &[u8]| must("write an archive", std::fs::write(&other, bytes));
    write(bytes.get(..bytes.len() / 2).unwrap_or_default());
    refused(&elsewhere, &other, &[], "it is cut short");
    write(b"no archive at all");
    refused(&elsewhere, &other, &[], "it is cut short, or is no archive");
    let os = format!("\"os\":\"{}\"", std::env::consts::OS);
    let foreign = "\"os\":\"p9000\"";
    assert_eq!(os.len(), foreign.len());
    write(&replaced(&bytes, os.as_bytes(), foreign.as_bytes()));
    refused(&elsewhere, &other, &[], ", and this machine is");
    refused(
        &elsewhere,
        &elsewhere.path("missing.tar"),
        &[],
        "could not open it",
    );
    refused(&elsewhere, &elsewhere.path("all.zip"), &[], "ends in `.tar.zst`");
    let nowhere = elsewhere.path("tmp").display().to_string();
    refused(
        &elsewhere,
        &file,
        &["--workspace-remap", &nowhere],
        "has no Cargo.toml",
    );
    assert!(!elsewhere.path("work/target/xtask/test").exists());
}

/// The same bytes with the first of one text exchanged for another.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let place = bytes.windows(from.len()).position(|window| window == from);
    let place = must("find the text", place.ok_or("it is not there"));
    let mut bytes = bytes.to_vec();
    bytes.splice(place..place + from.len(), to.iter().copied());
    bytes
}

#[test]
fn what_cannot_be_archived_is_an_error_that_says_why() {
    let package = package();
    let to = package.manifest().with_file_name("x.tar").display().to_string();
    for (words, code, part) in [
        (&["x.zip"][..], 96, "ends in `.tar.zst`"),
        (&[to.as_str(), "--archive"], 2, "--archive"),
    ] {
        let run = package.run("archive", words);
        assert_eq!(run.code, Some(code), "{run}");
        assert!(run.stderr.contains(part), "{run}");
        assert!(!run.stderr.contains("Finished"), "it was built first\n{run}");
    }
    let run = package.run("test", &["--archive", &to]);
    assert_eq!(run.code, Some(2), "{run}");
    let mut manifest = must("read the manifest", std::fs::read_to_string(package.manifest()));
    for (include, part) in [
        ("nothing/*", "no file matches `nothing/*`"),
        ("../*", "is not below the root"),
        ("fixtures/[", "needs a `]`"),
    ] {
        let old = manifest.clone();
        manifest = manifest.replace("fixtures/*.txt", include);
        must(
            "write the manifest",
            std::fs::write(package.manifest(), &manifest),
        );
        let run = package.run("archive", &[&to]);
        assert_eq!(run.code, Some(96), "{run}");
        assert!(
            run.stderr.contains("archive.include[0]") && run.stderr.contains(part),
            "{part}\n{run}"
        );
        assert!(!Path::new(&to).exists());
        manifest = old;
    }
}
