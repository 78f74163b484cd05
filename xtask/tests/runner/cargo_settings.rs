//! Cargo's own configuration: what it says of tests counts here as it does for `cargo test`.

use std::path::PathBuf;
use std::process::Command;

use super::support::{Scratch, Setup, must};

/// A package whose tests, of both kinds of harness, pass if something has set `VIA` for them.
fn wrapped() -> Scratch {
    let package = Scratch::package(
        "fn main() {}\n#[test]\nfn is_wrapped() { assert_eq!(std::env::var(\"VIA\").unwrap(), \"runner\"); }\n",
    );
    package.add_to_manifest("[[test]]\nname = \"mute\"\nharness = false\n");
    add(
        &package,
        "tests/mute.rs",
        "fn main() { assert_eq!(std::env::var(\"VIA\").unwrap(), \"runner\"); }\n",
    );
    add(
        &package,
        "tools/run.sh",
        "#!/bin/sh\necho \"$@\" >> \"$(dirname \"$0\")/calls\"\nVIA=runner exec \"$@\"\n",
    );
    must(
        "make it executable",
        std::fs::set_permissions(
            path(&package, "tools/run.sh"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        ),
    );
    package
}

fn path(package: &Scratch, name: &str) -> PathBuf {
    package.manifest().with_file_name(name)
}

/// Adds a file, and its directory.
fn add(package: &Scratch, name: &str, text: &str) {
    let path = path(package, name);
    let parent = path.parent().unwrap_or(&path);
    must("make its directory", std::fs::create_dir_all(parent));
    must("write a file", std::fs::write(&path, text));
}

/// The platform of this machine, as rustc calls it.
pub(crate) fn host() -> String {
    let output = must("ask rustc", Command::new("rustc").arg("-vV").output());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap_or_default().to_owned()
}

#[test]
fn an_included_file_sets_variables_too_and_the_file_that_includes_it_wins() {
    let package = Scratch::package(
        "fn main() {}\n#[test]\nfn sees_them() {
            let of = |name| std::env::var(name).unwrap();
            assert_eq!([of(\"FAR\"), of(\"NEAR\")], [\"far\", \"near\"]);
            assert!(of(\"PLACE\").ends_with(\"/conf/place\"), \"{}\", of(\"PLACE\"));
        }\n",
    );
    add(
        &package,
        ".cargo/config.toml",
        "include = [\"more.toml\", { path = \"none.toml\", optional = true }, { path = \"../conf/sub/last.toml\" }]\n\
         [env]\nNEAR = \"near\"\n",
    );
    add(
        &package,
        ".cargo/more.toml",
        "[env]\nNEAR = \"no\"\nFAR = \"farther\"\n",
    );
    add(
        &package,
        "conf/sub/last.toml",
        "[env]\nFAR = \"far\"\nPLACE = { value = \"place\", relative = true }\n",
    );
    let run = package.test();
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
}

#[test]
fn a_runner_of_cargos_configuration_lists_and_runs_tests_of_every_harness() {
    let package = wrapped();
    for table in [
        format!("target.{}", host()),
        "target.'cfg(all(unix, not(windows)))'".to_owned(),
    ] {
        for value in ["\"tools/run.sh\"", "[\"tools/run.sh\", \"env\"]"] {
            add(
                &package,
                ".cargo/config.toml",
                &format!("[{table}]\nrunner = {value}\n"),
            );
            std::fs::remove_file(path(&package, "tools/calls")).ok();
            let run = package.test();
            assert_eq!(
                run.last_line(),
                "2 passed, 0 failed, 0 skipped",
                "{table} {value}\n{run}"
            );
            let calls = std::fs::read_to_string(path(&package, "tools/calls")).unwrap_or_default();
            for part in ["--list --format terse", "is_wrapped --exact"] {
                assert!(calls.contains(part), "{part}\n{calls}");
            }
            assert_eq!(calls.contains("env /"), value.starts_with('['), "{calls}");
        }
    }
}

#[test]
fn a_runner_of_a_variable_replaces_that_of_the_configuration() {
    let package = wrapped();
    let host = host();
    add(
        &package,
        ".cargo/config.toml",
        &format!("[target.{host}]\nrunner = \"false\"\n"),
    );
    let name = format!(
        "CARGO_TARGET_{}_RUNNER",
        host.to_uppercase().replace(['-', '.'], "_")
    );
    let program = path(&package, "tools/run.sh").display().to_string();
    let run = package.run_with(&[], &[(&name, &program)]);
    assert_eq!(run.last_line(), "2 passed, 0 failed, 0 skipped", "{run}");
}

#[test]
fn a_runner_that_does_not_exist_is_one_error_that_names_its_place() {
    let package = wrapped();
    let table = format!("target.{}.runner", host());
    for (program, text) in [
        ("tools/none.sh", "/tools/none.sh` does not exist"),
        ("no-such-runner --fast", "`no-such-runner` is not in PATH"),
        ("./tools", "/tools` is not an executable file"),
    ] {
        let config = format!("[target.{}]\nrunner = \"{program}\"\n", host());
        add(&package, ".cargo/config.toml", &config);
        let run = package.test();
        assert_eq!(run.code, Some(96), "{run}");
        let errors = run.stdout.lines().filter(|line| line.contains(&table)).count();
        assert!(run.stdout.contains(text), "{text}\n{run}");
        assert!(run.stdout.contains(".cargo/config.toml`"), "{run}");
        assert_eq!(errors, 1, "{run}");
    }
}

#[test]
fn variables_that_cargo_set_for_this_program_do_not_reach_foreign_tests() {
    let ours = Scratch::package("fn main() {}\n");
    add(
        &ours,
        ".cargo/config.toml",
        "[env]\nHOUSE = \"ours\"\nOWN = \"ours\"\n",
    );
    let foreign = Scratch::package(
        "fn main() {}\n#[test]\nfn is_free() {
            let of = |name| std::env::var(name).ok();
            assert_eq!(of(\"HOUSE\"), None);
            assert_eq!(of(\"OWN\").as_deref(), Some(\"a person's\"));
        }\n#[test]\n#[ignore = \"needs house\"]\nfn needs_it() {}\n",
    );
    foreign.add_to_manifest("[workspace.metadata.universe.capabilities.house]\nenv = \"HOUSE\"\n");
    foreign.add_file(
        "build.rs",
        "fn main() { assert!(std::env::var_os(\"HOUSE\").is_none()); }\n",
    );
    let script = format!("cd {} && exec \"$@\"", path(&ours, "").display());
    let setup = Setup {
        manifest: foreign.manifest(),
        script: Some(&script),
        variables: &[
            ("HOUSE", "ours"),
            ("OWN", "a person's"),
            ("CARGO_PKG_NAME", "xtask"),
        ],
        ..Setup::new(&[])
    };
    let run = setup.run();
    assert_eq!(run.last_line(), "1 passed, 0 failed, 1 skipped", "{run}");
}

#[test]
fn the_configuration_is_that_of_the_current_directory_if_it_is_part_of_the_workspace() {
    let package = Scratch::package(
        "fn main() {}\n#[test]\nfn sees_it() { assert_eq!(std::env::var(\"DEEP\").unwrap(), \"deep\"); }\n",
    );
    add(&package, "sub/.cargo/config.toml", "[env]\nDEEP = \"deep\"\n");
    let script = format!("cd {} && exec \"$@\"", path(&package, "sub").display());
    let setup = Setup {
        manifest: package.manifest(),
        script: Some(&script),
        ..Setup::new(&[])
    };
    let run = setup.run();
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
}
