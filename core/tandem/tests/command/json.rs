//! `--json`: each line is an object that has the fields which the README lists, and no others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::home::{Homes, becomes, write};
use crate::process::Tandem;

const README: &str = include_str!("../../../../README.md");

/// The fields of each kind, as the README lists them; `true` for one that every line has.
fn documented() -> BTreeMap<&'static str, BTreeMap<&'static str, bool>> {
    let (_, table) = README
        .split_once("| kind | fields | what |\n|---|---|---|\n")
        .unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let in_ticks = |cell: &'static str| cell.split('`').skip(1).step_by(2);
    let row = |line: &'static str| {
        let mut cells = line.split('|').skip(1);
        let kind = in_ticks(cells.next().unwrap()).next().unwrap();
        let fields = in_ticks(cells.next().unwrap());
        let fields = fields.map(|field| (field.trim_end_matches('?'), !field.ends_with('?')));
        (kind, fields.collect())
    };
    rows.map(row).collect()
}

/// Checks lines of JSON, and returns them by kind.
fn checked(text: &str) -> BTreeMap<String, Vec<Value>> {
    let mut lines: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let kind = value["kind"].as_str().unwrap().to_owned();
        check(&kind, &value);
        for part in ["peer", "running"] {
            if value[part].is_object() {
                check(&format!("{kind}.{part}"), &value[part]);
            }
        }
        lines.entry(kind).or_default().push(value);
    }
    lines
}

/// Checks the fields of one object.
fn check(kind: &str, value: &Value) {
    let documented = documented();
    let fields = documented.get(kind);
    let fields = fields.unwrap_or_else(|| panic!("the README has no kind `{kind}`: {value}"));
    let found: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    for (field, is_always) in fields {
        assert!(found.contains(field) || !is_always, "no `{field}`: {value}");
    }
    let is_unknown = |field: &&&str| **field != "kind" && !fields.contains_key(**field);
    let unknown: Vec<_> = found.iter().filter(is_unknown).collect();
    assert!(unknown.is_empty(), "{unknown:?}: {value}");
}

/// The only line of a kind.
fn only<'a>(lines: &'a BTreeMap<String, Vec<Value>>, kind: &str) -> &'a Value {
    let of_kind = lines
        .get(kind)
        .unwrap_or_else(|| panic!("no `{kind}` in {lines:?}"));
    assert_eq!(of_kind.len(), 1, "{of_kind:?}");
    &of_kind[0]
}

#[tokio::test]
async fn what_happens_in_a_share_is_reported() {
    let homes = Homes::new();
    let photos = homes.alice().join("photos");
    write(&photos.join("a.txt"), "one");
    std::os::unix::fs::symlink("a.txt", photos.join("link")).unwrap();
    let mut share = Tandem::start(&homes.alice(), &["--json", "share", "photos"]);
    let mut told = String::new();
    let code = loop {
        let line = share.answers().await + "\n";
        told.push_str(&line);
        let value: Value = serde_json::from_str(&line).unwrap();
        if let Some(code) = value["code"].as_str() {
            break code.to_owned();
        }
    };
    let mut join = homes.bob_joins(&code, &["--json"]).await;
    join.says("following").await;
    write(&photos.join("new.txt"), "new");
    becomes(&homes.bob().join("photos/new.txt"), "new").await;
    write(&homes.bob().join("photos/a.txt"), "by bob");
    write(&photos.join("a.txt"), "by alice");
    join.says("changed on both sides").await;
    join.interrupt();
    let joined = checked(&join.ends().await.stdout);
    share.says("the other side is gone").await;
    share.interrupt();
    let shared = checked(&(told + &share.ends().await.stdout));
    assert_eq!(only(&shared, "code")["minutes"], 10);
    assert_eq!(only(&shared, "sharing")["files"], 1);
    assert_eq!(only(&shared, "left-out")["share"], "photos");
    assert_eq!(only(&shared, "check")["check"], only(&joined, "check")["check"]);
    for kind in ["connected", "disconnected"] {
        assert_eq!(only(&shared, kind)["share"], "photos");
    }
    assert_eq!(only(&joined, "arrived")["bytes"], 3);
    assert!(
        joined["brought"].iter().any(|line| line["path"] == "new.txt"),
        "{joined:?}"
    );
    assert_eq!(only(&joined, "beside")["at"], "a (other side).txt");
    for lines in [&shared, &joined] {
        assert_eq!(only(lines, "done")["exit"], 130);
    }
}

#[tokio::test]
async fn what_was_asked_for_is_an_answer() {
    let homes = Homes::new();
    let (_share, _join) = homes.following().await;
    let bob = homes.bob();
    write(&bob.join("d.txt"), "four");
    let mut lines = String::new();
    for args in [
        &["--json", "status"][..],
        &["--json", "ls"],
        &["--json", "ls", "photos"],
        &["--json", "get", "photos", "got"],
        &["--json", "put", "d.txt", "photos"],
        &["--json", "mv", "photos:d.txt", "e.txt"],
        &["--json", "rm", "photos:e.txt"],
        &["--json", "peers"],
        &["--json", "doctor"],
        &["--json", "stop"],
        &["--json", "forget", "--yes", "photos"],
    ] {
        let told = Tandem::told(&bob, args).await;
        assert!(
            told.ends_with("{\"kind\":\"done\",\"exit\":0}\n"),
            "{args:?}: {told}"
        );
        lines.push_str(&told);
    }
    let lines = checked(&lines);
    let [status, listed] = lines["share"].as_slice() else {
        panic!("{lines:?}")
    };
    assert_eq!(status["running"]["connected"], true);
    assert_eq!(
        (&listed["running"], &listed["side"]),
        (&Value::Null, &"joined".into())
    );
    let types: Vec<_> = lines["entry"].iter().map(|entry| &entry["type"]).collect();
    assert_eq!(types, ["file", "folder"]);
    let changes: Vec<_> = lines["changed"].iter().map(|line| &line["change"]).collect();
    assert_eq!(changes, ["put", "moved", "removed", "stopped", "forgotten"]);
    assert_eq!(only(&lines, "arrived")["files"], 2);
    let last = lines["progress"].last().unwrap();
    assert_eq!((&last["files"], &last["bytes_total"]), (&2.into(), &6.into()));
    assert_eq!(only(&lines, "peer")["shares"][0], "photos");
    assert_eq!(lines["finding"].len(), 5);
}

#[tokio::test]
async fn an_error_is_reported_with_its_exit_code() {
    let homes = Homes::new();
    let ended = Tandem::asked(&homes.bob(), &["--json", "ls", "nothing"]).await;
    assert_eq!(ended.code, Some(2));
    let lines = checked(&ended.stdout);
    assert_eq!(only(&lines, "error")["exit"], 2);
    assert!(
        only(&lines, "error")["text"]
            .as_str()
            .unwrap()
            .contains("no share `nothing`")
    );
    assert_eq!(only(&lines, "done")["exit"], 2);
    assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
}
