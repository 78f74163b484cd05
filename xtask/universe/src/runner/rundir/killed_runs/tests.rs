//! How leftovers of a run are judged, and what is removed.

use super::*;
use crate::base::private_directory::make_closed;

#[test]
fn a_lock_that_is_too_long_names_no_directory() {
    let all = tempdir();
    let (run, _scratch) = run(all.path(), ID);
    let found = |len: u64| {
        let mut path = format!("/{SCRATCH_PREFIX}");
        path.push_str(&"a".repeat(usize::try_from(len).unwrap() - path.len()));
        std::fs::write(run.join(LOCK), path).unwrap();
        scratch_of(&place(&run)).is_some()
    };
    assert!(found(LOCK_FILE_LEN_MAX));
    assert!(!found(LOCK_FILE_LEN_MAX + 1));
}

/// The name of a run.
const ID: &str = "20261124-020115-0a1b2c";

/// The directories of a run: below `test/runs`, and its scratch directory, whose identity the lock
/// does not contain.
fn run(all: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (home, runs) = RunsDirectory::make_all(all, "test").unwrap();
    let run = runs.path().join(name);
    let scratch = home.path().join(format!("xt-{name}"));
    std::fs::create_dir_all(&run).unwrap();
    std::fs::create_dir_all(scratch.join("3")).unwrap();
    std::fs::write(run.join(LOCK), scratch.as_os_str().as_encoded_bytes()).unwrap();
    (run, scratch)
}

/// Closed to others, whatever the umask is.
fn tempdir() -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir().unwrap()
}

fn place(path: &Path) -> RunsDirectory {
    RunsDirectory::open(path).unwrap()
}

#[test]
fn a_killed_run_is_removed_at_once_and_others_stay() {
    let all = tempdir();
    let (killed, ended, alive) = (run(all.path(), "1"), run(all.path(), "2"), run(all.path(), "3"));
    mark_ended(&ended.0);
    std::fs::remove_file(alive.0.join(LOCK)).unwrap();
    let _lock = lock(&alive.0, &alive.1).unwrap();
    assert_eq!(
        [&killed, &ended, &alive].map(|(run, _)| fate(&place(run))),
        [Fate::Killed, Fate::Ended, Fate::Alive]
    );
    clear(all.path(), "test");
    Removal::start(all.path(), "test").wait();
    assert!(!killed.0.exists() && !killed.1.exists());
    assert!(
        [ended, alive]
            .iter()
            .all(|(run, scratch)| run.exists() && scratch.exists())
    );
}

#[test]
fn leftovers_are_renamed_at_once_and_a_later_run_removes_the_rest() {
    let all = tempdir();
    let (killed, scratch) = run(all.path(), "1");
    let rubbish = killed.with_file_name("rubbish-1");
    // Another run takes long to remove rubbish.
    let other = take(&place(&all.path().join("test")), REMOVAL).unwrap();
    clear(all.path(), "test");
    let _given_up = Removal::start(all.path(), "test");
    assert!(!killed.exists() && rubbish.exists() && scratch.exists());
    let found: Vec<_> = find(all.path())
        .into_iter()
        .map(|found| (found.run, found.state))
        .collect();
    assert_eq!(found, [(rubbish.clone(), LeftoverState::Rubbish)]);
    clear(all.path(), "test");
    let removal = Removal::start(all.path(), "test");
    drop(other);
    removal.wait();
    assert!(!rubbish.exists() && !scratch.exists());
}

#[test]
fn rubbish_does_not_count_as_a_run() {
    let all = tempdir();
    let ended: Vec<_> = (0..RUNS_KEPT_MAX)
        .map(|n| run(all.path(), &n.to_string()).0)
        .collect();
    ended.iter().for_each(|run| mark_ended(run));
    std::fs::create_dir(all.path().join("test/runs").join(format!("rubbish-{ID}"))).unwrap();
    clear(all.path(), "test");
    assert!(ended.iter().all(|run| run.exists()));
}

#[test]
fn a_run_that_was_killed_during_its_creation_is_removed_too() {
    let all = tempdir();
    let (run, _) = run(all.path(), ID);
    std::fs::remove_file(run.join(LOCK)).unwrap();
    assert_eq!(fate(&place(&run)), Fate::Killed);
    assert_eq!(take_away(&find(all.path())[0]).unwrap(), Remaining::default());
    assert!(!run.exists());
}

#[test]
fn only_a_lock_that_names_a_directory_like_ours_is_trusted() {
    let all = tempdir();
    let (run, scratch) = run(all.path(), "1");
    let found = |run: &Path| scratch_of(&place(run)).map(|scratch| scratch.path);
    assert_eq!(found(&run), Some(scratch));
    for other in ["/home", "xt-relative", ""] {
        std::fs::write(run.join(LOCK), other).unwrap();
        assert_eq!(found(&run), None, "{other}");
    }
}

#[test]
fn a_foreign_directory_with_the_name_of_a_temporary_one_stays() {
    let all = tempdir();
    let home = all.path().join("test");
    let (run, scratch) = run(all.path(), "1");
    std::fs::remove_file(run.join(LOCK)).unwrap();
    record(&lock(&run, &scratch).unwrap(), &scratch).unwrap();
    assert!(scratch_of(&place(&run)).unwrap().is_there());
    std::fs::rename(&scratch, home.join("moved")).unwrap();
    std::fs::create_dir(&scratch).unwrap();
    let found = find(all.path());
    assert_eq!(
        [&found[0].scratch, &found[0].stranger],
        [&None, &Some(scratch.clone())]
    );
    assert_eq!(take_away(&found[0]).unwrap(), Remaining::default());
    assert!(!run.exists() && scratch.exists() && home.join("moved").exists());
}

#[cfg(unix)]
#[test]
fn a_link_is_neither_a_run_nor_a_lock() {
    let all = tempdir();
    let home = all.path().join("test");
    let outside = all.path().join("outside");
    std::fs::write(&outside, "mine").unwrap();
    RunsDirectory::make_all(all.path(), "test").unwrap();
    std::os::unix::fs::symlink(all.path(), home.join("runs/1")).unwrap();
    std::os::unix::fs::symlink(&outside, home.join(TURN)).unwrap();
    assert_eq!(find(all.path()), []);
    clear(all.path(), "test");
    assert!(home.join("runs/1").exists() && take_turn(&place(&home)).is_err());
    assert_eq!(std::fs::read_to_string(outside).unwrap(), "mine");
}

#[cfg(unix)]
#[test]
fn no_other_user_can_hold_our_locks() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempdir();
    let home = home.path();
    // Earlier versions let others open it.
    std::fs::write(home.join(TURN), "").unwrap();
    std::fs::set_permissions(home.join(TURN), std::fs::Permissions::from_mode(0o644)).unwrap();
    let _held = [TURN, REMOVAL].map(|name| take(&place(home), name).unwrap());
    let _alive = lock(home, home).unwrap();
    for name in [TURN, REMOVAL, LOCK] {
        let mode = home.join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_lock_does_not_block() {
    use rustix::fs::{CWD, FileType, mknodat};
    let all = tempdir();
    let home = all.path().join("test");
    let (run, _) = run(all.path(), ID);
    std::fs::remove_file(run.join(LOCK)).unwrap();
    for pipe in [run.join(LOCK), home.join(TURN)] {
        mknodat(CWD, &pipe, FileType::Fifo, 0o600.into(), 0).unwrap();
    }
    assert_eq!((find(all.path()).len(), scratch_of(&place(&run))), (1, None));
    assert!(take_turn(&place(&home)).is_err());
}

#[cfg(unix)]
#[test]
#[ignore = "needs root"]
fn root_keeps_a_foreign_directory_in_the_place_of_a_run() {
    let all = tempdir();
    let theirs = run(all.path(), "1");
    let ours = run(all.path(), "2");
    for path in [&theirs.0, &theirs.1, &ours.1] {
        std::os::unix::fs::chown(path, Some(65534), None).unwrap();
    }
    let found = find(all.path());
    assert_eq!(
        [LeftoverState::Foreign, LeftoverState::Killed],
        [found[0].state, found[1].state]
    );
    assert_eq!(found[1].stranger.as_ref(), Some(&ours.1));
    clear(all.path(), "test");
    Removal::start(all.path(), "test").wait();
    assert!(theirs.0.exists() && theirs.1.exists() && ours.1.exists());
    assert!(!ours.0.exists());
}

#[cfg(unix)]
#[test]
#[ignore = "needs root"]
fn root_ignores_a_lock_that_another_user_wrote() {
    let all = tempdir();
    let (run, scratch) = run(all.path(), "1");
    assert!(scratch_of(&place(&run)).is_some_and(|found| found.path == scratch));
    std::os::unix::fs::chown(run.join(LOCK), Some(65534), None).unwrap();
    assert_eq!(scratch_of(&place(&run)), None);
}

/// Three places for a link to a tree that holds what looks like a killed run.
#[cfg(unix)]
#[test]
fn a_link_on_the_way_to_the_runs_is_not_followed() {
    let top = tempdir();
    let (_, runs) = RunsDirectory::make_all(&top.path().join("outside"), "test").unwrap();
    let precious = runs.path().join(ID);
    std::fs::create_dir_all(precious.join("deep")).unwrap();
    let killed = Leftover {
        state: LeftoverState::Killed,
        ..foreign(&precious)
    };
    assert_eq!(find(&top.path().join("outside")), std::slice::from_ref(&killed));
    for (number, link) in ["", "test", "test/runs"].into_iter().enumerate() {
        let all = top.path().join(number.to_string());
        let (link, to) = match link {
            "" => (all.clone(), top.path().join("outside")),
            link => (all.join(link), top.path().join("outside").join(link)),
        };
        let above: Vec<_> = link.ancestors().skip(1).take(2).collect();
        above.iter().rev().for_each(|path| make_closed(path).unwrap());
        std::os::unix::fs::symlink(to, &link).unwrap();
        assert_eq!(find(&all), [], "{}", link.display());
        clear(&all, "test");
        Removal::start(&all, "test").wait();
        let run = all.join("test/runs").join(ID);
        let named = Leftover {
            run,
            ..killed.clone()
        };
        assert!(take_away(&named).unwrap().directory);
        assert!(RunsDirectory::make_all(&all, "test").is_err() && precious.join("deep").exists());
    }
}

#[test]
fn a_directory_without_a_lock_or_a_name_of_a_run_is_not_a_run() {
    let all = tempdir();
    let (_, runs) = RunsDirectory::make_all(all.path(), "test").unwrap();
    let others = ["precious", "rubbish-precious", "2026-11-24", "20261124-020115-"];
    let others = others.map(|name| runs.path().join(name));
    for other in &others {
        std::fs::create_dir(other).unwrap();
    }
    assert_eq!(find(all.path()), []);
    clear(all.path(), "test");
    Removal::start(all.path(), "test").wait();
    for other in &others {
        let run = Leftover {
            state: LeftoverState::Killed,
            ..foreign(other)
        };
        take_away(&run).unwrap();
        assert!(other.exists(), "{}", other.display());
    }
}

#[cfg(unix)]
#[test]
fn nothing_is_removed_where_everybody_may_write_but_it_is_where_a_group_may() {
    use std::os::unix::fs::PermissionsExt;
    let all = tempdir();
    let (killed, _) = run(all.path(), "1");
    let runs = killed.parent().unwrap();
    let home = runs.parent().unwrap();
    for open in [runs, home, all.path()] {
        std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(
            find(all.path())
                .iter()
                .all(|found| found.state == LeftoverState::Foreign)
        );
        clear(all.path(), "test");
        assert!(killed.exists());
        // As with a umask of 0002.
        std::os::unix::fs::chown(open, None, Some(rustix::process::getegid().as_raw())).unwrap();
        std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o775)).unwrap();
        assert_eq!(find(all.path())[0].state, LeftoverState::Killed);
    }
    clear(all.path(), "test");
    assert!(!killed.exists());
}

#[cfg(unix)]
#[test]
fn the_end_of_a_run_is_not_written_through_a_link() {
    let all = tempdir();
    let (run, _) = run(all.path(), "1");
    let outside = all.path().join("outside");
    std::fs::write(&outside, "mine").unwrap();
    std::os::unix::fs::symlink(&outside, run.join(ENDED)).unwrap();
    mark_ended(&run);
    assert_eq!(std::fs::read_to_string(outside).unwrap(), "mine");
}

#[cfg(unix)]
#[test]
#[ignore = "needs root"]
fn root_touches_nothing_in_a_directory_that_another_user_controls() {
    let top = tempdir();
    let precious = top.path().join("outside").join(ID);
    std::fs::create_dir_all(precious.join("deep")).unwrap();
    // The other user's own directory, with a link of theirs.
    let evil = top.path().join("xtask/evil");
    make_closed(evil.parent().unwrap()).unwrap();
    std::fs::create_dir(&evil).unwrap();
    std::os::unix::fs::symlink(top.path().join("outside"), evil.join("runs")).unwrap();
    for path in [&evil, &evil.join("runs")] {
        std::os::unix::fs::lchown(path, Some(65534), None).unwrap();
    }
    let all = top.path().join("xtask");
    let (ours, _) = run(&all, ID);
    let state = || {
        find(&all)
            .into_iter()
            .map(|found| found.state)
            .collect::<Vec<_>>()
    };
    assert_eq!(state(), [LeftoverState::Foreign, LeftoverState::Killed]);
    for (owner, group, mode) in [(65534, 0, 0o755), (0, 65534, 0o775)] {
        let runs = ours.parent().unwrap();
        std::os::unix::fs::chown(runs, Some(owner), Some(group)).unwrap();
        std::fs::set_permissions(runs, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(state(), [LeftoverState::Foreign; 2], "{owner} {group} {mode:o}");
        clear(&all, "test");
        for run in [&ours, &evil.join("runs").join(ID)] {
            let named = Leftover {
                state: LeftoverState::Killed,
                ..foreign(run)
            };
            assert!(take_away(&named).unwrap().directory);
        }
        assert!(ours.exists() && precious.join("deep").exists());
    }
}
