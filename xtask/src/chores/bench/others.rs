//! sshfs and rclone over loopback, if they are installed: common ways to mount remote folders,
//! measured in the same run.
//!
//! Each serves the directory of a file, which is mounted beside it; `cp` reads and writes. They
//! serve for comparison: if one fails, the result is a note, not a failure.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};

use super::measurement::{MEGABYTES_PER_SECOND, Measurement};
use super::source::Source;
use super::table::{READ, WRITE};
use crate::chores::limits::{SERVER_LOOK_INTERVAL, SERVER_READY_TIMEOUT};
use cargo_universe::base::clock;
use cargo_universe::base::mounts;

/// Variables that could redirect a request for loopback to another machine.
const PROXIES: [&str; 6] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Another program that mounts a remote folder.
struct Other {
    name: &'static str,
    /// If one of them is missing, the program is skipped.
    programs: &'static [&'static str],
    commands: fn(&Place<'_>) -> anyhow::Result<Commands>,
}

const OTHERS: [Other; 2] = [
    Other {
        name: "sshfs",
        programs: &["sshfs", "sshd", "ssh-keygen"],
        commands: sshfs,
    },
    Other {
        name: "rclone",
        programs: &["rclone"],
        commands: rclone,
    },
];

/// The directories for one program.
struct Place<'a> {
    /// The served directory.
    served: &'a Path,
    /// The mount point.
    point: &'a Path,
    /// For keys, settings and logs.
    own: &'a Path,
    port: u16,
}

struct Commands {
    serve: Command,
    mount: Command,
}

/// Programs that run until this is dropped.
#[derive(Default)]
struct Running(Vec<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // An error means that it has already exited.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// The measurements of all installed programs, and a line for each that failed. Leaves none of
/// their files in `scratch`.
pub(super) async fn measure(scratch: &Path, source: &Source<'_>) -> (Vec<Measurement>, Vec<String>) {
    let (mut measurements, mut notes) = (Vec::new(), Vec::new());
    for other in OTHERS.iter().filter(|other| other.is_installed()) {
        let own = scratch.join(other.name);
        match other.measure(&own, source).await {
            Ok(figures) => measurements.extend(figures),
            Err(error) => notes.push(format!("{} was not measured: {error:#}", other.name)),
        }
        mounts::detach_below(&own);
        std::fs::remove_dir_all(&own).ok();
    }
    (measurements, notes)
}

/// Whether any program is installed.
pub(super) fn any_installed() -> bool {
    OTHERS.iter().any(Other::is_installed)
}

impl Other {
    fn is_installed(&self) -> bool {
        self.programs.iter().all(|program| find(program).is_some())
    }

    async fn measure(&self, own: &Path, source: &Source<'_>) -> anyhow::Result<Vec<Measurement>> {
        let point = own.join("mount");
        std::fs::create_dir_all(&point).context("could not create a directory to mount on")?;
        let place = Place {
            served: source.directory,
            point: &point,
            own,
            port: free_port()?,
        };
        let commands = (self.commands)(&place)?;
        let mut running = Running::default();
        let listening = || TcpStream::connect((Ipv4Addr::LOCALHOST, place.port)).is_ok();
        running
            .start(commands.serve, &own.join("serve.log"), listening)
            .await?;
        let mounted = || !mounts::below(&point).is_empty();
        running
            .start(commands.mount, &own.join("mount.log"), mounted)
            .await?;
        let read = source.copy(&point.join(Source::NAME), Path::new("/dev/null"))?;
        let written = source.copy(&source.file(), &point.join("copy"))?;
        mounts::detach_below(own);
        let figure = |what: &str, value| Measurement {
            what: what.to_owned(),
            by: self.name,
            value,
            unit: MEGABYTES_PER_SECOND.to_owned(),
        };
        Ok(vec![figure(READ, read), figure(WRITE, written)])
    }
}

impl Running {
    /// Starts `command` and waits until it `is_ready`.
    async fn start(
        &mut self,
        mut command: Command,
        log: &Path,
        is_ready: impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = File::create(log).context("could not create a log")?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        PROXIES.iter().for_each(|name| {
            command.env_remove(name);
        });
        let child = command
            .spawn()
            .with_context(|| format!("could not start `{name}`"))?;
        self.0.push(child);
        let start = clock::now();
        while !is_ready() {
            let ended = self
                .0
                .last_mut()
                .is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
            if ended || clock::now() - start > SERVER_READY_TIMEOUT {
                let words = std::fs::read_to_string(log).unwrap_or_default();
                let last = words.lines().last().unwrap_or("it printed nothing").to_owned();
                bail!("`{name}` did not become ready: {last}");
            }
            clock::after(SERVER_LOOK_INTERVAL).await;
        }
        Ok(())
    }
}

/// Free a moment ago; these programs cannot choose a port and report it.
pub(super) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not bind to loopback")?;
    Ok(listener.local_addr().context("could not read a port")?.port())
}

/// In PATH or in the directories of daemons: sshd must be started by its absolute path.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    directories
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

fn sshfs(place: &Place<'_>) -> anyhow::Result<Commands> {
    let key = place.own.join("key");
    let keygen = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    if !keygen.context("could not start `ssh-keygen`")?.success() {
        bail!("`ssh-keygen` created no key");
    }
    let user = Command::new("id")
        .arg("-un")
        .output()
        .context("could not start `id`")?;
    let user = String::from_utf8_lossy(&user.stdout).trim().to_owned();
    let settings = place.own.join("sshd_config");
    std::fs::write(&settings, sshd_settings(place.port, &key)).context("could not write sshd's settings")?;
    let mut serve = Command::new(find("sshd").context("there is no `sshd`")?);
    serve.args(["-D", "-e", "-f"]).arg(settings);
    let mut mount = Command::new("sshfs");
    mount
        .arg("-f")
        .arg(format!("{user}@127.0.0.1:{}", place.served.display()))
        .arg(place.point)
        .args(["-p", &place.port.to_string()])
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
        ])
        .arg(format!("IdentityFile={}", key.display()));
    Ok(Commands { serve, mount })
}

/// The same key for the server and its only user.
fn sshd_settings(port: u16, key: &Path) -> String {
    let key = key.display();
    format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey \"{key}\"\nAuthorizedKeysFile \"{key}.pub\"\nPidFile none\n\
         PasswordAuthentication no\nStrictModes no\nSubsystem sftp internal-sftp\n"
    )
}

fn rclone(place: &Place<'_>) -> anyhow::Result<Commands> {
    let address = format!("127.0.0.1:{}", place.port);
    // Not the user's own settings.
    let settings = place.own.join("rclone.conf");
    File::create(&settings).context("could not write rclone's settings")?;
    let rclone = || {
        let mut command = Command::new("rclone");
        command.arg("--config").arg(&settings);
        command
    };
    let (mut serve, mut mount) = (rclone(), rclone());
    serve
        .args(["serve", "webdav", "--addr", &address])
        .arg(place.served);
    mount
        .args(["mount", ":webdav:"])
        .arg(place.point)
        .args(["--webdav-url", &format!("http://{address}")]);
    Ok(Commands { serve, mount })
}
