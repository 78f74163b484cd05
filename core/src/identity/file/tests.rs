//! The identity file on a real disk: what is created, what is refused, and that nothing is ever
//! overwritten.

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// The file of the identity whose seed is 32 times the byte 1.
const GOLDEN: &str = concat!(
    "tandem-identity-v1\n",
    "secret 0101010101010101010101010101010101010101010101010101010101010101\n",
    "fingerprint 77P4-B2K6-4397-791J-S4H9-J385-XWSN-HZ0Q-QAYS\n",
);

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A private file with this text in a folder of its own.
fn file_with(text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = folder();
    let path = folder.path().join("identity");
    fs::write(&path, text).expect("a writable folder");
    make_private(&File::open(&path).expect("the file")).expect("our own file");
    (folder, path)
}

fn problem_with(text: impl AsRef<[u8]>) -> &'static str {
    let (_folder, path) = file_with(text);
    match load_or_create(&path) {
        Err(IdentityError::Damaged { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_identity_is_created_once_and_then_loaded() {
    let folder = folder();
    let path = folder.path().join("identity");
    let created = load_or_create(&path).expect("created");
    let loaded = load_or_create(&path).expect("loaded");
    assert_eq!(loaded.fingerprint(), created.fingerprint());
    assert_eq!(
        fs::read_dir(folder.path()).expect("the folder").count(),
        1,
        "a temporary file was left behind"
    );
}

#[test]
fn the_format_never_changes() {
    let (_folder, path) = file_with(GOLDEN);
    let identity = load_or_create(&path).expect("loaded");
    assert_eq!(
        identity.sign(b"hello"),
        Identity::from_seed(Zeroizing::new([1; 32]))
            .expect("a seed")
            .sign(b"hello")
    );
    assert_eq!(render(&identity).as_str(), GOLDEN);
}

#[test]
fn peers_that_start_at_the_same_time_get_the_same_identity() {
    let folder = folder();
    let path = folder.path().join("identity");
    let start = || load_or_create(&path).expect("an identity").fingerprint();
    let fingerprints = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect::<Vec<_>>()
    });
    assert!(
        fingerprints
            .iter()
            .all(|fingerprint| *fingerprint == fingerprints[0]),
        "{fingerprints:?}"
    );
}

#[test]
fn a_missing_folder_is_named() {
    let folder = folder();
    let error = load_or_create(&folder.path().join("missing/identity"))
        .expect_err("no folder")
        .to_string();
    assert!(
        error.contains("missing/identity`\nhint: create the folder `"),
        "{error}"
    );
}

#[test]
fn a_folder_in_the_place_of_the_file_is_refused() {
    let folder = folder();
    assert!(matches!(
        load_or_create(folder.path()),
        Err(IdentityError::NotAFile { .. })
    ));
}

#[test]
fn a_file_of_another_version_is_named_and_left_alone() {
    let text = GOLDEN.replace("v1", "v2");
    let (_folder, path) = file_with(&text);
    let error = load_or_create(&path).expect_err("unknown").to_string();
    assert!(
        error.contains("starts with `tandem-identity-v2`, this version reads `tandem-identity-v1`"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).expect("still there"), text);
}

#[test]
fn a_file_of_another_kind_is_shown_shortened_and_without_control_characters() {
    let (_folder, path) = file_with("\u{1b}]0;evil\u{7}");
    let error = load_or_create(&path).expect_err("foreign").to_string();
    assert!(error.contains("`\\u{1b}]0;evil\\u{7}`"), "{error}");
}

#[test]
fn the_first_line_of_another_file_is_shown_up_to_its_limit_and_cut_one_past_it() {
    let at_limit = "x".repeat(IDENTITY_FORMAT_SHOWN_LEN_MAX);
    for line in [at_limit.clone(), format!("{at_limit}y")] {
        let (_folder, path) = file_with(line);
        let error = load_or_create(&path).expect_err("foreign").to_string();
        assert!(error.contains(&format!("`{at_limit}`")), "{error}");
    }
}

#[test]
fn each_kind_of_damage_has_its_own_message() {
    let line_less = GOLDEN.lines().take(2).collect::<Vec<_>>().join("\n");
    assert_eq!(problem_with(""), "it is empty");
    assert_eq!(
        problem_with("tandem-identity-v1\n"),
        "its secret is not a valid key"
    );
    assert_eq!(
        problem_with(GOLDEN.replace("0101\n", "01\n")),
        "its secret is not a valid key"
    );
    assert_eq!(
        problem_with(GOLDEN.replace("0101\n", "010g\n")),
        "its secret is not a valid key"
    );
    assert_eq!(problem_with(line_less), "its fingerprint is not valid");
    assert_eq!(
        problem_with(format!("{GOLDEN}more\n")),
        "it has more than three lines"
    );
    assert_eq!(problem_with([0xff, 0xfe]), "it is not text");
}

#[test]
fn a_flipped_digit_of_the_secret_is_noticed_and_the_file_left_alone() {
    let text = GOLDEN.replace("0101\n", "0102\n");
    assert_eq!(problem_with(&text), "its fingerprint does not match its secret");
    let (_folder, path) = file_with(&text);
    let error = load_or_create(&path).expect_err("damaged");
    assert!(
        !format!("{error} {error:?}").contains("0102"),
        "the error shows the secret"
    );
    assert_eq!(fs::read_to_string(&path).expect("still there"), text);
}

#[test]
fn a_file_at_the_length_limit_is_read_and_one_byte_more_is_not() {
    let (_folder, path) = file_with("x".repeat(IDENTITY_FILE_LEN_MAX));
    assert!(matches!(
        load_or_create(&path),
        Err(IdentityError::UnknownFormat { .. })
    ));
    assert_eq!(
        problem_with("x".repeat(IDENTITY_FILE_LEN_MAX + 1)),
        "it is too long"
    );
}

#[cfg(unix)]
mod on_unix {
    use std::ffi::OsString;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).expect("the file").permissions().mode() & 0o7777
    }

    fn load_with_mode(mode: u32) -> Result<Identity, IdentityError> {
        let (_folder, path) = file_with(GOLDEN);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our own file");
        load_or_create(&path)
    }

    #[test]
    fn a_file_that_others_can_read_or_write_is_refused_with_its_mode() {
        for exposed in [0o640, 0o604, 0o620, 0o602, 0o610, 0o644] {
            let error = load_with_mode(exposed).expect_err("exposed");
            assert!(
                matches!(error, IdentityError::Exposed { mode, .. } if mode == exposed),
                "{error}"
            );
        }
        let message = load_with_mode(0o644).expect_err("exposed").to_string();
        assert!(
            message.contains("has mode 0644") && message.contains("hint: chmod 600 `/"),
            "{message}"
        );
    }

    #[test]
    fn a_file_of_another_user_is_refused_naming_both_users() {
        use std::os::unix::fs::chown;
        let (_folder, path) = file_with(GOLDEN);
        // As root, the test gives the file to another user. Other users take a file of root's
        // instead.
        let foreign = match chown(&path, Some(65_534), None) {
            Ok(()) => path.as_path(),
            Err(_) => Path::new("/etc/passwd"),
        };
        let error = load_or_create(foreign).expect_err("foreign");
        let user = rustix::process::geteuid().as_raw();
        assert!(
            matches!(error, IdentityError::NotOwn { owner, user: named, .. } if named == user && owner != user),
            "{error}"
        );
        assert!(error.to_string().contains("hint: "), "{error}");
    }

    #[test]
    fn a_private_file_is_accepted_also_when_it_is_read_only() {
        assert!(load_with_mode(0o600).is_ok());
        assert!(load_with_mode(0o400).is_ok());
    }

    // The umask belongs to the process, so this test runs itself again under a shell that sets it.
    #[test]
    fn the_file_has_mode_0600_under_any_umask() {
        const VARIABLE: &str = "TANDEM_IDENTITY_TEST_FILE";
        if let Some(path) = std::env::var_os(VARIABLE) {
            drop(load_or_create(Path::new(&path)).expect("created"));
            return;
        }
        for umask in ["000", "022", "777"] {
            let folder = folder();
            let path = folder.path().join("identity");
            let status = under_umask(umask).env(VARIABLE, &path).status().expect("a shell");
            assert!(status.success(), "umask {umask}: {status}");
            assert_eq!(mode_of(&path), 0o600, "umask {umask}");
        }
    }

    fn under_umask(umask: &str) -> Command {
        let mut command = Command::new("sh");
        let script = format!("umask {umask} && exec \"$0\" --quiet --exact \"$1\" >/dev/null");
        let this_test = "identity::file::tests::on_unix::the_file_has_mode_0600_under_any_umask";
        let exe = std::env::current_exe().expect("this test binary");
        command.args([OsString::from("-c"), script.into(), exe.into(), this_test.into()]);
        command
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_in_the_place_of_the_file_is_refused_without_waiting_for_a_writer() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = folder();
        let path = folder.path().join("identity");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
        assert!(matches!(
            load_or_create(&path),
            Err(IdentityError::NotAFile { .. })
        ));
    }
}
