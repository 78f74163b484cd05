//! How much is said, in which characters, and what the commands say about themselves.

use crate::home::{Homes, write};
use crate::process::Tandem;

#[tokio::test]
async fn quiet_commands_say_nothing_but_what_was_asked_for_and_errors() {
    let homes = Homes::new();
    write(&homes.alice().join("photos/a.txt"), "one");
    let mut share = Tandem::start(&homes.alice(), &["-q", "share", "photos"]);
    let code = share.answers().await;
    let joined = homes.bob_joins(&code, &["--once", "-q"]).await.ends().await;
    assert_eq!(
        (joined.code, joined.stdout, joined.stderr),
        (Some(0), String::new(), String::new())
    );
    let refused = Tandem::asked(&homes.bob(), &["-q", "ls", "nothing"]).await;
    assert!(
        refused.stderr.starts_with("error: there is no share"),
        "{}",
        refused.stderr
    );
    let both = Tandem::asked(&homes.bob(), &["-q", "-v", "ls"]).await;
    assert_eq!(both.code, Some(2), "{}", both.stderr);
}

#[tokio::test]
async fn verbose_commands_write_the_log_too() {
    let homes = Homes::new();
    write(&homes.alice().join("photos/a.txt"), "one");
    let mut share = Tandem::start(&homes.alice(), &["-v", "share", "photos"]);
    share.says("INFO").await;
}

#[tokio::test]
async fn names_of_the_other_side_steer_no_terminal() {
    let homes = Homes::new();
    let name = "a\u{1b}[2J\u{9b}\u{202e}\n.txt";
    let (_share, code) = homes.alice_shares(&[(name, "one")]).await;
    let mut join = homes.bob_joins(&code, &[]).await;
    join.says("following").await;
    let shown = Tandem::told(&homes.bob(), &["ls", "photos"]).await;
    assert_eq!(shown, "        3 B  a\\u{1b}[2J\\u{9b}\\u{202e}\\n.txt\n");
    let line = Tandem::told(&homes.bob(), &["--json", "ls", "photos"]).await;
    assert!(line.is_ascii() && line.lines().count() == 2, "{line:?}");
    let entry: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!(entry["path"], name);
    let path = format!("photos:{name}");
    let got = Tandem::asked(&homes.bob(), &["get", &path, "got.txt"]).await;
    assert_eq!(got.code, Some(0), "{}", got.stderr);
    let twice = Tandem::refused(&homes.bob(), 6, &["get", &path, "photos"]).await;
    assert!(!twice.contains('\u{1b}'), "{twice:?}");
}

#[tokio::test]
async fn every_shell_completes_the_commands_and_each_has_a_page_of_the_manual() {
    let homes = Homes::new();
    let page = Tandem::told(&homes.alice(), &["man"]).await;
    assert!(page.contains(".TH tandem 1"), "{page}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = Tandem::told(&homes.alice(), &["completions", shell]).await;
        for command in ["share", "status", "forget", "doctor"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    for command in ["share", "join", "status", "peers"] {
        let page = Tandem::told(&homes.alice(), &["man", command]).await;
        assert!(page.contains(&format!(".TH tandem-{command} 1")), "{page}");
    }
    let refused = Tandem::refused(&homes.alice(), 2, &["man", "dance"]).await;
    assert!(refused.contains("there is no command `dance`"), "{refused}");
}

#[tokio::test]
async fn the_doctor_shows_evidence_and_a_relay_that_is_gone() {
    let homes = Homes::new();
    let found = Tandem::told(&homes.alice(), &["doctor"]).await;
    assert!(found.contains("ok  port       26"), "{found}");
    assert!(found.contains("ok  relay      none is configured"), "{found}");
    write(
        &homes.alice().join("state/config.toml"),
        "relay = \"http://[::1]:1\"\n",
    );
    let found = Tandem::told(&homes.alice(), &["doctor"]).await;
    assert!(found.contains("no  relay      "), "{found}");
    assert!(found.contains("[::1]:1"), "{found}");
}

#[tokio::test]
async fn the_doctor_fails_where_tandem_can_not_work() {
    let homes = Homes::new();
    write(&homes.alice().join("state"), "no folder");
    let found = Tandem::asked(&homes.alice(), &["doctor"]).await;
    assert_eq!(found.code, Some(6), "{}", found.stdout);
    assert!(found.stdout.contains("no  folder"), "{}", found.stdout);
    assert!(
        found.stderr.contains("can't work here without: folder"),
        "{}",
        found.stderr
    );
}
