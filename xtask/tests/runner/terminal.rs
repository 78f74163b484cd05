//! What a person sees at a terminal, and what a log has instead.
#![cfg(unix)]

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::support::{Running, Scratch, Setup, must, run};

/// A package with a test in a long path that fails, and others that don't.
const SOURCE: &str = r#"
mod a_module_with_a_rather_long_name {
    mod and_another_one_below_it {
        #[test]
        fn this_name_of_its_own_is_kept() {
            panic!("the message {}", "goes on and on ".repeat(20));
        }
    }
    #[test]
    fn passes() {}
}
#[test]
#[ignore = "for a reason"]
fn is_skipped() {}
#[test]
#[ignore = "for a reason"]
fn is_skipped_too() {}
fn main() {}
"#;

/// A terminal of this size.
#[derive(Debug, Clone, Copy)]
struct Size {
    columns: u16,
    rows: u16,
}

/// What a run has written to a terminal.
struct Shown {
    written: String,
    /// The lines on the screen and above it at the end.
    lines: Vec<String>,
}

/// Runs `xtask test` on a terminal of this size.
fn run_on_terminal(scratch: &Scratch, arguments: &[&str], size: Size) -> Shown {
    let setup = Setup {
        manifest: scratch.manifest(),
        variables: &[("TERM", "xterm")],
        ..Setup::new(arguments)
    };
    let (mut terminal, end) = pair(size);
    let own = must("make a temporary directory", tempfile::tempdir());
    let mut command = setup.command(own.path());
    let again = || must("share the terminal", end.try_clone());
    let mut child = must(
        "start xtask",
        command.stdin(again()).stdout(again()).stderr(again()).spawn(),
    );
    // The command keeps the terminal open, too.
    drop((command, end));
    let mut written = Vec::new();
    // Linux reports an error when the last program that had the terminal open has ended.
    terminal.read_to_end(&mut written).ok();
    must("wait for it", child.wait());
    let written = String::from_utf8_lossy(&written).into_owned();
    Shown {
        lines: screen(&written),
        written,
    }
}

/// A terminal: our end and that of programs.
fn pair(size: Size) -> (File, OwnedFd) {
    let ours = must("open a terminal", openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY));
    must(
        "make its other end",
        grantpt(&ours).and_then(|()| unlockpt(&ours)),
    );
    let name = must("know its name", ptsname(&ours, Vec::new()));
    let winsize = Winsize {
        ws_col: size.columns,
        ws_row: size.rows,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    must("set its size", tcsetwinsize(&ours, winsize));
    let path = name.to_string_lossy().into_owned();
    let theirs = File::options().read(true).write(true).open(path);
    (File::from(ours), must("open its other end", theirs).into())
}

/// The lines that a terminal shows for this text, if it is wide and high enough for all of them.
fn screen(written: &str) -> Vec<String> {
    let (mut lines, mut row, mut column) = (vec![Vec::new()], 0, 0);
    let mut rest = written.chars();
    while let Some(next) = rest.next() {
        match next {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                let sequence: String = rest.by_ref().skip(1).take_while(|c| !c.is_alphabetic()).collect();
                // `take_while` has taken the letter, too: look at it where it was.
                let taken = written.len() - rest.as_str().len();
                match written[..taken].chars().next_back() {
                    Some('A') => row -= sequence.parse::<usize>().unwrap_or(1),
                    Some('K') => lines[row].truncate(column),
                    Some('J') => {
                        lines.truncate(row + 1);
                        lines[row].truncate(column);
                    }
                    Some('m') => {}
                    other => panic!("an unknown sequence: {sequence:?} {other:?}"),
                }
            }
            letter => {
                let line: &mut Vec<char> = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = letter;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    lines.iter().map(|line| line.iter().collect()).collect()
}

#[test]
fn a_terminal_shows_failures_at_once_in_lines_that_fit_and_a_bar_that_goes_away() {
    let scratch = Scratch::package(SOURCE);
    let mut has_history = false;
    for (columns, rows) in [(80, 24), (200, 50)] {
        let shown = run_on_terminal(&scratch, &["--jobs", "1"], Size { columns, rows });
        let all = shown.lines.join("\n");
        let results: Vec<&String> = shown.lines.iter().filter(|line| line.contains("s] ")).collect();
        // Once when it fails, and once with its details.
        let failures = results.iter().filter(|line| line.starts_with("FAIL ["));
        assert_eq!(failures.count(), 2, "{all}");
        assert_eq!(results.len(), 2, "{all}");
        for line in results {
            assert!(line.chars().count() <= usize::from(columns), "{line}");
            assert!(line.ends_with("::this_name_of_its_own_is_kept"), "{line}");
        }
        let first = shown.lines.iter().position(|line| line.starts_with("FAIL ["));
        let reason = first.and_then(|first| shown.lines.get(first + 1));
        let reason = reason.filter(|reason| reason.starts_with("  panic: the message goes on and on "));
        assert!(
            reason.is_some_and(|reason| reason.chars().count() <= usize::from(columns)),
            "{all}"
        );
        assert!(all.contains("\nSKIP 2 tests: "), "{all}");
        assert!(
            shown.written.contains(" of 2, ") && !all.contains(" of 2, "),
            "{all}"
        );
        // Before a test has ended, only the history suggests how long they take.
        let before = shown.written.split("FAIL").next().unwrap_or_default();
        assert_eq!(before.contains("under 1 s left"), has_history, "{before}");
        has_history = true;
    }
}

#[test]
fn the_status_level_decides_which_tests_have_a_line_on_a_terminal_and_in_a_log() {
    let scratch = Scratch::package(SOURCE);
    let size = Size {
        columns: 80,
        rows: 24,
    };
    let on_terminal = run_on_terminal(&scratch, &["--status-level", "pass"], size)
        .lines
        .join("\n");
    let in_log = |level: &[&str]| scratch.run("test", level).stdout;
    let count = |text: &str, word: &str| text.lines().filter(|line| line.starts_with(word)).count();
    for (text, expected) in [
        (on_terminal, [1, 2, 2]),
        (in_log(&[]), [1, 2, 2]),
        (in_log(&["--status-level", "slow"]), [0, 2, 0]),
        (in_log(&["--status-level", "fail"]), [0, 2, 0]),
    ] {
        let lines = ["PASS [", "FAIL [", "SKIP ["].map(|word| count(&text, word));
        assert_eq!(lines, expected, "{text}");
    }
    let run = run(&["good::passes", "--slow", "1ms", "--status-level", "fail"]);
    assert_eq!(count(&run.stdout, "SLOW ["), 0, "{run}");
}

#[test]
fn after_an_interruption_the_tests_that_did_not_run_share_a_line() {
    let mut running = Running::start(&["slow::", "skipped::", "--jobs", "1", "--slow", "1s"]);
    running.wait_for_line("SLOW [");
    let run = running.interrupt(Signal::INT);
    let lines: Vec<&str> = run.stdout.lines().collect();
    let not_run = lines
        .iter()
        .filter(|line| line.ends_with(" not run: run interrupted by SIGINT"));
    assert_eq!(not_run.count(), 1, "{run}");
    let skips = lines.iter().filter(|line| line.starts_with("SKIP ["));
    assert!(
        skips.clone().count() > 0,
        "tests that are skipped for another reason have their lines: {run}"
    );
    assert!(skips.clone().all(|line| !line.contains("interrupted")), "{run}");
}

#[test]
fn a_backtrace_shows_the_frames_of_the_workspace_and_the_report_has_all() {
    let run = Setup {
        variables: &[("RUST_BACKTRACE", "1")],
        ..Setup::new(&["bad::panics"])
    }
    .run();
    assert!(run.stdout.contains(": suite::bad::panics\n"), "{run}");
    assert!(
        run.stdout
            .contains(" frames of the standard library and dependencies ...]\n"),
        "{run}"
    );
    assert!(!run.stdout.contains(": core::panicking::panic_fmt"), "{run}");
    assert!(
        run.junit().contains(": core::panicking::panic_fmt"),
        "{}",
        run.junit()
    );
}

#[test]
fn a_leak_that_fails_its_test_is_called_a_leak() {
    let run = run(&["leaks::a_unix_socket", "--leaks", "fail"]);
    assert!(run.stdout.contains("\nLEAK ["), "{run}");
    assert!(!run.stdout.contains("DIED ["), "{run}");
}
