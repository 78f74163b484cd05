//! `cargo xtask doctor` as scripts use it: exit codes and the JSON document. `--quick` leaves the
//! real mount out, because proving it builds the whole workspace.

use std::process::Command;

fn doctor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["doctor", "--quick"]).args(arguments);
    command
}

#[test]
fn the_page_names_every_part() {
    let output = doctor(&[]).output().expect("xtask starts");
    let page = String::from_utf8(output.stdout).expect("the page is UTF-8");
    for part in [
        "machine\n",
        "rustc",
        "TMPDIR disk",
        "capabilities\n",
        "fuse",
        "ipv6",
        "features: ",
    ] {
        assert!(page.contains(part), "`{part}` is missing in:\n{page}");
    }
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn json_has_a_version_and_the_stable_names() {
    let output = doctor(&["--json"]).output().expect("xtask starts");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(document["version"], 1);
    for name in ["machine", "capabilities", "features", "proven", "missing"] {
        assert!(!document[name].is_null(), "`{name}` is missing in {document}");
    }
    let first = &document["capabilities"][0];
    assert_eq!(first["name"], "fuse");
    assert!(
        first["available"].is_boolean() && first["evidence"].is_string(),
        "{first}"
    );
}

#[test]
fn a_missing_required_capability_is_exit_code_107() {
    let elsewhere = if cfg!(windows) { "userns" } else { "winfsp" };
    let output = doctor(&["--require", &format!("{elsewhere},ipv4")])
        .output()
        .expect("xtask starts");
    let page = String::from_utf8(output.stdout).expect("the page is UTF-8");
    assert_eq!(output.status.code(), Some(107), "{page}");
    assert!(
        page.contains(&format!("required and missing: {elsewhere}")),
        "{page}"
    );
}

#[test]
fn an_unknown_capability_is_exit_code_2_and_lists_the_known_ones() {
    let output = doctor(&["--require", "telepathy"])
        .output()
        .expect("xtask starts");
    let complaint = String::from_utf8(output.stderr).expect("the complaint is UTF-8");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        complaint.contains("`telepathy`") && complaint.contains("fuse, winfsp, ipv6"),
        "{complaint}"
    );
}
