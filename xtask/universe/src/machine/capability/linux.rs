//! FUSE on Linux, before anything is built: the device, the right to mount, and what prevents it.
//!
//! fuser's own errors mislead (a missing `/dev/fuse` reads as if the mount point were missing), so
//! each cause is checked separately here. `look` gathers facts, `judge` is a pure function of them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::Capability;

const DEVICE: &str = "/dev/fuse";
/// Major and minor number of the FUSE device (Documentation/admin-guide/devices.txt of the kernel).
const DEVICE_NUMBER: (u32, u32) = (10, 229);
/// Bit of CAP_SYS_ADMIN in the masks of `/proc/self/status` (capabilities(7)).
const CAP_SYS_ADMIN: u32 = 21;
const SETUID: u32 = 0o4000;

struct Facts {
    device: Device,
    privilege: Privilege,
    mount_program: MountProgram,
    container: Option<&'static str>,
}

#[derive(Debug, PartialEq, Eq)]
enum Device {
    Opens,
    NotFuse { found: String },
    Refused { error: String },
}

#[derive(Debug, PartialEq, Eq)]
enum Privilege {
    /// CAP_SYS_ADMIN is in effect: `mount(2)` works.
    SysAdmin(Namespace),
    /// Setuid programs work, so `fusermount3` can help.
    Ordinary,
    /// `no_new_privs` is set: setuid programs give no rights.
    NoNewPrivileges,
}

/// The scope of CAP_SYS_ADMIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Namespace {
    /// Everywhere: this is root, which alone may let the kernel pass reads through to a file.
    Initial,
    /// In a user namespace, where FUSE file systems may be mounted since Linux 4.18.
    User,
}

#[derive(Debug, PartialEq, Eq)]
enum MountProgram {
    Setuid(PathBuf),
    NotSetuid(PathBuf),
    Absent,
}

/// Whether this process could mount a FUSE file system, decided without mounting one.
pub(super) fn fuse() -> Capability {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    judge(&Facts {
        device: look_at_device(Path::new(DEVICE)),
        privilege: privilege(&read("/proc/self/status"), namespace(&read("/proc/self/uid_map"))),
        mount_program: look_for_mount_program(),
        container: container(),
    })
}

fn judge(facts: &Facts) -> Capability {
    match &facts.device {
        Device::Opens => judge_privilege(facts),
        Device::Refused { error } => {
            let hint = hint(
                facts,
                "load the module (`modprobe fuse`) and let your user open the device",
            );
            Capability::missing("fuse", format!("`{DEVICE}` does not open: {error}")).with_hint(hint)
        }
        Device::NotFuse { found } => {
            let hint = hint(
                facts,
                "remove what hides it, or make it: `mknod /dev/fuse c 10 229`",
            );
            let evidence = format!("`{DEVICE}` is {found}, not the character device 10:229");
            Capability::missing("fuse", evidence).with_hint(hint)
        }
    }
}

fn judge_privilege(facts: &Facts) -> Capability {
    let opens = format!("`{DEVICE}` opens");
    match (&facts.privilege, &facts.mount_program) {
        (Privilege::SysAdmin(Namespace::Initial), _) => {
            Capability::present("fuse", format!("{opens}, way of mounting: root (CAP_SYS_ADMIN)"))
        }
        (Privilege::SysAdmin(Namespace::User), _) => Capability::present(
            "fuse",
            format!("{opens}, way of mounting: this user namespace (CAP_SYS_ADMIN there)"),
        )
        // Shown if the mount is refused anyway.
        .with_hint("a user namespace can mount only with a mount namespace of its own: `unshare -Urm`"),
        (Privilege::Ordinary, MountProgram::Setuid(path)) => Capability::present(
            "fuse",
            format!(
                "{opens}, way of mounting: `{}`, which is setuid root",
                path.display()
            ),
        ),
        (Privilege::NoNewPrivileges, MountProgram::Setuid(path)) => refused(
            facts,
            format!("{opens}, but no_new_privs disarms `{}`", path.display()),
        ),
        (_, MountProgram::NotSetuid(path)) => refused(
            facts,
            format!(
                "{opens}, but there is no CAP_SYS_ADMIN and `{}` is not setuid root",
                path.display()
            ),
        ),
        (_, MountProgram::Absent) => refused(
            facts,
            format!("{opens}, but there is no CAP_SYS_ADMIN and no `fusermount3`"),
        ),
    }
}

fn refused(facts: &Facts, evidence: String) -> Capability {
    let otherwise = "install `fusermount3` (package fuse3), run as root, or inside `unshare -Urm`";
    Capability::missing("fuse", evidence).with_hint(hint(facts, otherwise))
}

/// In a container the cure is nearly always to start it differently.
fn hint(facts: &Facts, otherwise: &str) -> String {
    facts.container.map_or_else(
        || otherwise.to_owned(),
        |marker| {
            format!("`{marker}` marks a container: start it with `--device /dev/fuse --cap-add SYS_ADMIN`")
        },
    )
}

/// Opens it for reading and writing, as fuser will; the path alone may be anything.
fn look_at_device(path: &Path) -> Device {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => identify(&file).unwrap_or_else(|error| Device::Refused {
            error: error.to_string(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Device::Refused {
            error: "it does not exist".to_owned(),
        },
        Err(error) => Device::Refused {
            error: error.to_string(),
        },
    }
}

fn identify(file: &File) -> io::Result<Device> {
    let metadata = file.metadata()?;
    let (major, minor) = (libc::major(metadata.rdev()), libc::minor(metadata.rdev()));
    Ok(match metadata.file_type().is_char_device() {
        true if (major, minor) == DEVICE_NUMBER => Device::Opens,
        true => Device::NotFuse {
            found: format!("the character device {major}:{minor}"),
        },
        false => Device::NotFuse {
            found: "an ordinary file".to_owned(),
        },
    })
}

/// The initial user namespace maps every id to itself (user_namespaces(7)).
fn namespace(uid_map: &str) -> Namespace {
    match uid_map.split_whitespace().collect::<Vec<_>>().as_slice() {
        [] | ["0", "0", "4294967295"] => Namespace::Initial,
        _ => Namespace::User,
    }
}

fn privilege(status: &str, namespace: Namespace) -> Privilege {
    let field = |name| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let effective = field("CapEff:")
        .and_then(|mask| u64::from_str_radix(mask, 16).ok())
        .unwrap_or(0);
    if effective >> CAP_SYS_ADMIN & 1 == 1 {
        Privilege::SysAdmin(namespace)
    } else if field("NoNewPrivs:") == Some("1") {
        Privilege::NoNewPrivileges
    } else {
        Privilege::Ordinary
    }
}

/// The places that fuser searches: `$FUSERMOUNT_PATH`, then PATH, `/sbin` and `/bin`.
fn look_for_mount_program() -> MountProgram {
    let named = std::env::var_os("FUSERMOUNT_PATH").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    directories.extend([PathBuf::from("/sbin"), PathBuf::from("/bin")]);
    let candidates = |name: &'static str| {
        directories
            .iter()
            .map(move |directory| directory.join(name))
            .collect::<Vec<_>>()
    };
    let all = named
        .into_iter()
        .chain(candidates("fusermount3"))
        .chain(candidates("fusermount"));
    all.filter_map(examine).next().unwrap_or(MountProgram::Absent)
}

fn examine(path: PathBuf) -> Option<MountProgram> {
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let armed = metadata.uid() == 0 && metadata.mode() & SETUID != 0;
    Some(if armed {
        MountProgram::Setuid(path)
    } else {
        MountProgram::NotSetuid(path)
    })
}

fn container() -> Option<&'static str> {
    ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"]
        .into_iter()
        .find(|path| Path::new(path).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(device: Device, privilege: Privilege, mount_program: MountProgram) -> Facts {
        Facts {
            device,
            privilege,
            mount_program,
            container: None,
        }
    }

    const ROOT: Privilege = Privilege::SysAdmin(Namespace::Initial);

    fn setuid() -> MountProgram {
        MountProgram::Setuid("/usr/bin/fusermount3".into())
    }

    #[test]
    fn an_open_device_and_one_way_to_mount_are_enough() {
        assert!(judge(&facts(Device::Opens, ROOT, MountProgram::Absent)).available);
        assert!(judge(&facts(Device::Opens, Privilege::Ordinary, setuid())).available);
    }

    #[test]
    fn the_way_of_mounting_is_part_of_the_evidence() {
        let inside = Privilege::SysAdmin(Namespace::User);
        let ways = [
            (facts(Device::Opens, ROOT, setuid()), "way of mounting: root"),
            (
                facts(Device::Opens, inside, MountProgram::Absent),
                "way of mounting: this user namespace",
            ),
            (
                facts(Device::Opens, Privilege::Ordinary, setuid()),
                "way of mounting: `/usr/bin/fusermount3`",
            ),
        ];
        for (facts, way) in ways {
            let verdict = judge(&facts);
            assert!(verdict.available && verdict.evidence.contains(way), "{verdict:?}");
        }
    }

    #[test]
    fn a_user_namespace_is_known_by_its_map() {
        assert_eq!(
            namespace("         0          0 4294967295\n"),
            Namespace::Initial
        );
        assert_eq!(namespace("         0       1000          1\n"), Namespace::User);
    }

    #[test]
    fn no_new_privs_is_named_as_the_cause() {
        let verdict = judge(&facts(Device::Opens, Privilege::NoNewPrivileges, setuid()));
        assert!(
            !verdict.available && verdict.evidence.contains("no_new_privs"),
            "{verdict:?}"
        );
    }

    #[test]
    fn a_helper_that_is_not_setuid_is_named_as_the_cause() {
        let helper = MountProgram::NotSetuid("/usr/bin/fusermount3".into());
        let verdict = judge(&facts(Device::Opens, Privilege::Ordinary, helper));
        assert!(
            !verdict.available && verdict.evidence.contains("is not setuid root"),
            "{verdict:?}"
        );
    }

    #[test]
    fn a_container_gets_the_flags_it_needs_as_its_hint() {
        let device = Device::Refused {
            error: "it does not exist".into(),
        };
        let mut facts = facts(device, ROOT, MountProgram::Absent);
        facts.container = Some("/.dockerenv");
        assert!(
            judge(&facts)
                .hint
                .is_some_and(|hint| hint.contains("--device /dev/fuse"))
        );
    }

    #[test]
    fn another_device_with_the_name_is_not_taken_for_fuse() {
        let device = look_at_device(Path::new("/dev/null"));
        assert_eq!(
            device,
            Device::NotFuse {
                found: "the character device 1:3".into()
            }
        );
        assert!(!judge(&facts(device, ROOT, MountProgram::Absent)).available);
    }

    #[test]
    fn a_missing_device_is_reported_as_nonexistent() {
        let device = look_at_device(Path::new("/nonexistent/fuse"));
        let verdict = judge(&facts(device, ROOT, MountProgram::Absent));
        assert!(
            verdict.evidence.ends_with("does not open: it does not exist"),
            "{verdict:?}"
        );
    }

    #[test]
    fn privilege_is_read_from_the_masks_of_the_kernel() {
        assert_eq!(
            privilege("CapEff:\t0000000000200000\nNoNewPrivs:\t1\n", Namespace::Initial),
            ROOT
        );
        assert_eq!(
            privilege("CapEff:\tffffffffffdfffff\nNoNewPrivs:\t0\n", Namespace::Initial),
            Privilege::Ordinary
        );
        assert_eq!(
            privilege("CapEff:\t0000000000000000\nNoNewPrivs:\t1\n", Namespace::Initial),
            Privilege::NoNewPrivileges
        );
        assert_eq!(privilege("", Namespace::Initial), Privilege::Ordinary);
    }
}
