//! The way of another project to the runner: `init`, the table that README describes, and the lines
//! for CI systems.

use std::collections::BTreeSet;
use std::path::Path;

use super::support::{Run, Scratch, must};

/// A package whose tests need something that is built in, something else, and what is no name.
fn needy() -> Scratch {
    Scratch::package(
        "fn main() {}\n\
         #[test]\n#[ignore = \"needs sh, ipv4\"]\nfn shells() {}\n\
         #[test]\n#[ignore = \"needs sh\"]\nfn shells_again() {}\n",
    )
}

fn text(package: &Scratch, name: &str) -> String {
    let path = package.manifest().with_file_name(name);
    std::fs::read_to_string(path).unwrap_or_default()
}

fn add(package: &Scratch, name: &str, text: &str) {
    let path = package.manifest().with_file_name(name);
    must(
        "make its directory",
        std::fs::create_dir_all(path.parent().unwrap_or(&path)),
    );
    must("write a file", std::fs::write(path, text));
}

#[test]
fn init_describes_what_tests_need_and_the_first_run_uses_it() {
    let package = needy();
    let before = text(&package, "Cargo.toml");
    let init = package.run("init", &[]);
    assert_eq!(init.code, Some(0), "{init}");
    for part in [
        "ipv4  built in       src/main.rs:3\n",
        "sh    needs a table  src/main.rs:3 and 1 more\n",
        "  [workspace.metadata.universe.capabilities.sh]  command = [\"sh\", \"--version\"], a guess\n",
        "next:\n  cargo xtask doctor",
    ] {
        assert!(init.stdout.contains(part), "{part}\n{init}");
    }
    assert!(text(&package, "Cargo.toml").starts_with(&before));
    assert!(!package.manifest().with_file_name(".cargo").exists());
    let run = package.test();
    assert!(
        run.last_line().ends_with("0 failed, 2 skipped") || run.last_line().starts_with("2 passed"),
        "{run}"
    );
    let doctor = package.run("doctor", &["--quick"]);
    assert!(doctor.stdout.contains("\n  sh           "), "{doctor}");
}

#[test]
fn init_changes_nothing_that_is_there() {
    let package = needy();
    package.add_to_manifest("[workspace.metadata.universe]\nname = \"mine\"\n");
    add(&package, ".cargo/config.toml", "[alias]\nb = \"build\"\n");
    let before = text(&package, "Cargo.toml");
    let init = package.run("init", &["--alias"]);
    assert_eq!(init.code, Some(0), "{init}");
    assert!(
        init.stdout.contains("already; nothing was added\nadd this to it"),
        "{init}"
    );
    assert!(
        init.stdout
            .contains("[workspace.metadata.universe.capabilities.sh]\n"),
        "{init}"
    );
    assert_eq!(text(&package, "Cargo.toml"), before);
    let with_alias = "[alias]\nut = \"xtask test\"\nb = \"build\"\n";
    assert_eq!(text(&package, ".cargo/config.toml"), with_alias);
    let again = package.run("init", &["--alias"]);
    assert!(
        again.code == Some(0) && again.stdout.contains("`cargo ut` is in"),
        "{again}"
    );
    assert_eq!(text(&package, ".cargo/config.toml"), with_alias);
}

#[test]
fn where_init_cannot_add_lines_it_prints_them_and_writes_nothing() {
    let package = needy();
    let inline = "workspace = { members = [] }\n[package]\nname = \"scratch\"\nedition = \"2024\"\n";
    add(&package, "Cargo.toml", inline);
    let init = package.run("init", &["--alias"]);
    assert_eq!(init.code, Some(96), "{init}");
    assert!(
        init.stderr
            .contains("nothing was changed; add this by hand:\n\n#"),
        "{init}"
    );
    assert!(init.stderr.contains("[workspace.metadata.universe]\n"), "{init}");
    assert_eq!(text(&package, "Cargo.toml"), inline);
    assert!(!package.manifest().with_file_name(".cargo").exists());

    let package = needy();
    let before = text(&package, "Cargo.toml");
    for (config, alias, code, part) in [
        ("[alias]\nut = \"run\"\n", "--alias", 96, "another alias `ut`"),
        ("", "--alias=test", 2, "`test` is a command of cargo already"),
        ("", "--alias=a b", 96, "no name for an alias"),
    ] {
        add(&package, ".cargo/config.toml", config);
        let init = package.run("init", &[alias]);
        assert_eq!(init.code, Some(code), "{init}");
        assert!(init.stderr.contains(part), "{part}\n{init}");
        assert_eq!(text(&package, ".cargo/config.toml"), config);
        assert_eq!(text(&package, "Cargo.toml"), before);
    }
}

/// The part of README that is for other projects.
fn section() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = must("read README.md", std::fs::read_to_string(readme));
    let after = readme.split("\n## In your project\n").nth(1).unwrap_or_default();
    after.split("\n## ").next().unwrap_or_default().to_owned()
}

/// The keys in the table of README.
fn documented() -> BTreeSet<String> {
    let keys = section();
    let keys = keys
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    keys.map(str::to_owned).collect()
}

/// The keys that the parser names when it finds one that it does not know.
fn keys_of(table: &str) -> Vec<String> {
    let package = Scratch::package("fn main() {}\n");
    package.add_to_manifest(&format!("{table}\nnobodys = 1\n"));
    let run: Run = package.run("list", &[]);
    assert_eq!(run.code, Some(96), "{table}\n{run}");
    let (_, known) = must(
        "find the known keys",
        run.stderr
            .split_once("\nhint: ")
            .or_else(|| run.stderr.split_once("expected "))
            .ok_or(&run.stderr),
    );
    let words = known.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

#[test]
fn readme_has_every_key_that_the_parser_knows_and_no_other() {
    let tables = [
        ("features.x", "features.NAME"),
        ("archive", "archive"),
        ("probe", "probe"),
        ("capabilities.x", "capabilities.NAME"),
        ("programs.x", "programs.NAME"),
        ("[scripts", "scripts"),
        ("[test.overrides", "test.overrides"),
        ("test.groups.x", "test.groups.NAME"),
    ];
    let mut known = BTreeSet::from(["test.profiles.NAME".to_owned()]);
    for (table, name) in tables {
        let header = match table.strip_prefix('[') {
            Some(list) => format!("[[workspace.metadata.universe.{list}]]"),
            None => format!("[workspace.metadata.universe.{table}]"),
        };
        let keys = keys_of(&header);
        known.extend(keys.iter().map(|key| format!("{name}.{key}")));
    }
    // A key that holds tables must be among those above.
    let tops = keys_of("[workspace.metadata.universe]").into_iter();
    let tests = keys_of("[workspace.metadata.universe.test]").into_iter();
    for key in tops
        .filter(|key| key != "test")
        .chain(tests.map(|key| format!("test.{key}")))
    {
        if !known.iter().any(|known| known.starts_with(&format!("{key}."))) {
            known.insert(key);
        }
    }
    assert_eq!(documented(), known);
}

#[test]
fn what_the_lines_for_ci_systems_upload_is_what_a_run_writes() {
    let package = Scratch::package("fn main() {}\n#[test]\nfn fails() { panic!() }\n");
    assert_eq!(package.test().code, Some(100));
    let section = section();
    let (_, lines) = must(
        "find the lines",
        section.split_once("\n### In CI\n").ok_or("not there"),
    );
    let mut snippets = lines.split("```").skip(1).step_by(2);
    for (system, prefix) in [
        ("GitHub", "yaml\njobs:"),
        ("GitLab", "yaml\ntest:"),
        ("Jenkins", "groovy\n"),
    ] {
        let snippet = snippets.next().unwrap_or_default();
        assert!(snippet.starts_with(prefix), "{system}: {snippet}");
        let is_end = |c: char| c.is_whitespace() || "',".contains(c);
        let paths = snippet.split(is_end).filter(|word| word.starts_with("target/"));
        let paths: BTreeSet<&str> = paths.map(|path| path.trim_end_matches("/**")).collect();
        let expected = ["events.ndjson", "junit.xml", "runs", "timeline.html"];
        let expected = expected.map(|name| format!("target/xtask/test/{name}"));
        assert!(paths.iter().eq(expected.iter()), "{system}: {paths:?}");
        for path in paths {
            let written = package.manifest().with_file_name(path);
            assert!(written.exists(), "{system}: {path}");
        }
    }
}
