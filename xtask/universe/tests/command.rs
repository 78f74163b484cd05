//! The program as cargo starts it, and as a person does.

use std::process::{Command, Output};

fn run(words: &[&str]) -> std::io::Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-universe"));
    command.args(words).output()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn cargo_starts_it_with_the_name_of_the_subcommand_and_a_person_without() {
    let by_cargo = run(&["universe", "completions", "bash"]).unwrap();
    let by_a_person = run(&["completions", "bash"]).unwrap();
    assert!(by_cargo.status.success(), "{}", text(&by_cargo.stderr));
    assert_eq!(text(&by_cargo.stdout), text(&by_a_person.stdout));
    // The script completes the words after the last word of the command.
    assert!(text(&by_cargo.stdout).contains("_universe()"));
}

#[test]
fn its_help_names_the_command_that_a_person_types() {
    for words in [["universe", "--help"].as_slice(), &["universe", "test", "--help"]] {
        let help = text(&run(words).unwrap().stdout);
        assert!(help.contains("Usage: cargo universe"), "{help}");
        assert!(!help.contains("cargo xtask"), "{help}");
    }
}
