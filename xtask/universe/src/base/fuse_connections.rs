//! The kernel's connections to FUSE servers: which of them belong to a test, and how to abort one.
//!
//! A process that waits for an answer of a dead server cannot be killed; only the end of the
//! connection ends the wait. A connection is identified by the device number of its file systems,
//! which the kernel reuses. So the runner first opens the file that aborts the connection, then
//! proves again whose connection it is, and only then writes to the file. The file belongs to this
//! connection alone and does nothing when the connection is gone (fs/fuse/control.c of the kernel).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, UnmountFlags};

use crate::base::mounts;
use crate::base::procfs;

/// The usual mount point of the file system that controls connections.
const CONTROL: &str = "/sys/fs/fuse/connections";

/// The device from which a server reads requests.
const DEVICE: &str = "/dev/fuse";

/// The number of bits of a device number that hold the minor (linux/kdev_t.h).
const MINOR_BITS: u32 = 20;

/// A connection, by the kernel's number.
pub(crate) type Number = u32;

/// Proof that a connection belongs to a test. Connections of other programs must never be aborted.
#[derive(Debug)]
pub(crate) enum OwnershipProof {
    /// It is mounted in the test's own mount namespace, and is not one of these, which existed
    /// before.
    Namespace(BTreeSet<Number>),
    /// It is mounted below this directory, and nowhere else.
    Below(PathBuf),
    /// No mount proves it; only a process of the test that serves it does.
    Nowhere,
}

/// A mount of a FUSE file system, as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The id of the mount.
    id: String,
    pub(crate) number: Number,
    pub(crate) point: PathBuf,
}

/// The evidence that a connection is the test's.
#[derive(Debug, Clone, Copy)]
enum Witness<'a> {
    /// A table of mounts, of the thread with this directory in `/proc`.
    Table(&'a Path),
    /// The descriptors of processes, which have these directories.
    Descriptors(&'a [PathBuf]),
}

/// The known connections of one test.
#[derive(Debug)]
pub(crate) struct Connections {
    proof: OwnershipProof,
    known: BTreeMap<Number, Known>,
    /// A private mount, in no namespace, of the file system that controls connections; opened when
    /// first needed.
    control: Option<OwnedFd>,
}

#[derive(Debug, Default)]
struct Known {
    /// Where it is or was mounted.
    points: BTreeSet<PathBuf>,
    /// The file that aborts it, if this process may open it.
    abort: Option<File>,
}

impl OwnershipProof {
    /// The mount namespace of this process.
    pub(crate) fn namespace(table: &str) -> OwnershipProof {
        OwnershipProof::Namespace(listed(table).into_iter().map(|mount| mount.number).collect())
    }

    /// The mounts in a table that are the test's.
    fn of(&self, table: &str) -> Vec<Mount> {
        let mut mounts = listed(table);
        match self {
            OwnershipProof::Namespace(before) => mounts.retain(|mount| !before.contains(&mount.number)),
            OwnershipProof::Below(directory) => {
                // A file system that is also mounted elsewhere may belong to another program.
                let ours = listed(&mounts::table());
                let others: BTreeSet<Number> = ours
                    .iter()
                    .chain(&mounts)
                    .filter(|mount| !mount.point.starts_with(directory))
                    .map(|mount| mount.number)
                    .collect();
                mounts.retain(|mount| !others.contains(&mount.number));
            }
            OwnershipProof::Nowhere => mounts.clear(),
        }
        mounts
    }
}

impl Connections {
    pub(crate) fn new(proof: OwnershipProof) -> Connections {
        Connections {
            proof,
            known: BTreeMap::new(),
            control: None,
        }
    }

    /// Records the connections that are mounted in the namespace of this process.
    pub(crate) fn see(&mut self) {
        self.see_with(Witness::Table(&procfs::own()));
    }

    /// Records the connections mounted in the namespace of a thread; `thread` is its directory in
    /// `/proc`.
    pub(crate) fn see_from(&mut self, thread: &Path) {
        self.see_with(Witness::Table(thread));
    }

    /// Records the connections whose servers are among the processes with these directories.
    pub(crate) fn see_held(&mut self, processes: &[PathBuf]) {
        self.see_with(Witness::Descriptors(processes));
    }

    fn see_with(&mut self, witness: Witness<'_>) {
        let new = |known: &BTreeMap<Number, Known>, number: Number| {
            known.get(&number).is_none_or(|known| known.abort.is_none())
        };
        let first = self.testify(witness);
        let numbers = first.keys().copied().filter(|number| new(&self.known, *number));
        let numbers: Vec<Number> = numbers.collect();
        let opened = numbers.into_iter().map(|number| (number, self.open(number)));
        let opened: Vec<(Number, Option<File>)> = opened.collect();
        // The number may have been reused before the file was opened.
        let again = if opened.is_empty() {
            first
        } else {
            self.testify(witness)
        };
        for (number, points) in &again {
            let known = self.known.entry(*number).or_default();
            known.points.extend(points.iter().cloned());
        }
        for (number, file) in opened {
            if let (true, Some(known)) = (again.contains_key(&number), self.known.get_mut(&number)) {
                known.abort = file;
            }
        }
    }

    /// Opens the file that aborts a connection. Root may mount the control file system privately. A
    /// user depends on the system's mount of it, and may open the files of their own mounts.
    fn open(&mut self, number: Number) -> Option<File> {
        if self.control.is_none() {
            self.control = private_control().ok().or_else(system_control);
        }
        let (file, flags) = (format!("{number}/abort"), OFlags::WRONLY | OFlags::CLOEXEC);
        let control = self.control.as_ref()?;
        let opened = rustix::fs::openat(control, &file, flags, Mode::empty());
        opened.ok().map(File::from)
    }

    fn testify(&self, witness: Witness<'_>) -> BTreeMap<Number, BTreeSet<PathBuf>> {
        let mut found: BTreeMap<Number, BTreeSet<PathBuf>> = BTreeMap::new();
        match witness {
            Witness::Table(of) => {
                for mount in self.proof.of(&procfs::text(of, "mountinfo")) {
                    found.entry(mount.number).or_default().insert(mount.point);
                }
            }
            Witness::Descriptors(processes) => {
                let held = processes.iter().flat_map(|process| held(process));
                found.extend(held.flatten().map(|number| (number, BTreeSet::new())));
            }
        }
        found
    }

    /// The recorded connections, each with where it is or was mounted.
    pub(crate) fn known(&self) -> impl Iterator<Item = (Number, Vec<&Path>)> {
        self.known.iter().map(|(number, known)| {
            let points = known.points.iter().map(PathBuf::as_path);
            (*number, points.collect())
        })
    }

    /// Aborts a recorded connection. False if this process may not: then it can only be
    /// [forced](force).
    pub(crate) fn abort(&self, number: Number) -> bool {
        let file = self.known.get(&number).and_then(|known| known.abort.as_ref());
        file.is_some_and(|mut file| file.write_all(b"1").is_ok())
    }

    /// Aborts all connections that are mounted in the namespace of this process, first those
    /// through which the path to others may lead. Never hangs. Returns those that this process may
    /// not abort.
    pub(crate) fn abort_mounted(&mut self) -> Vec<Number> {
        self.see();
        let mut numbers: Vec<Number> = Vec::new();
        for mount in self.proof.of(&mounts::table()) {
            if !numbers.contains(&mount.number) {
                numbers.push(mount.number);
            }
        }
        numbers.retain(|number| !self.abort(*number));
        numbers
    }

    /// The proof of ownership.
    pub(crate) fn proof(&self) -> &OwnershipProof {
        &self.proof
    }
}

/// Aborts all connections mounted below a directory in any namespace: that of a box whose runner
/// was killed, or one that a test created. For directories that no live test uses. Returns those
/// that this process may not abort.
pub(crate) fn abort_all_below(directory: &Path) -> Vec<Number> {
    abort_all(OwnershipProof::Below(directory.to_owned()), &[])
}

/// Aborts all connections that `proof` assigns to a test, in any namespace, and all that these
/// processes of the test serve (given by their directories): a detached mount is in no table.
/// Another user's namespaces prove nothing: that user can mount foreign file systems there below
/// any directory. Returns those that this process may not abort.
pub(crate) fn abort_all(proof: OwnershipProof, processes: &[PathBuf]) -> Vec<Number> {
    let mut connections = Connections::new(proof);
    connections.see();
    connections.see_held(processes);
    let here = std::fs::read_link(procfs::own().join("ns/mnt")).ok();
    // One thread of each namespace is enough. If the first thread of a process has exited, another
    // thread is still in the namespace.
    let mut seen = BTreeSet::from([here]);
    let ours = procfs::processes().filter(|process| procfs::is_of_this_user(*process));
    for thread in ours.flat_map(procfs::threads) {
        let namespace = std::fs::read_link(thread.join("ns/mnt")).ok();
        if namespace.is_some() && seen.insert(namespace) {
            connections.see_from(&thread);
        }
    }
    let mut numbers: Vec<Number> = connections.known.keys().copied().collect();
    numbers.retain(|number| !connections.abort(*number));
    numbers
}

/// The FUSE mounts in a table (proc_pid_mountinfo(5)), the oldest first.
pub(crate) fn listed(table: &str) -> Vec<Mount> {
    table.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (place, kind) = line.split_once(" - ")?;
    let kind = kind.split(' ').next()?;
    let is_fuse = |kind: &str| matches!(kind.split('.').next(), Some("fuse" | "fuseblk"));
    let mut fields = place.split(' ').filter(|_| is_fuse(kind));
    let id = fields.next()?.to_owned();
    let (major, minor) = fields.nth(1)?.split_once(':')?;
    let number = (major.parse::<u32>().ok()? << MINOR_BITS) | minor.parse::<u32>().ok()?;
    let point = mounts::unescaped(fields.nth(1)?);
    Some(Mount { id, number, point })
}

/// The connections that a process may serve, by the descriptors in its directory. `None` stands for
/// a connection without a number: not every kernel shows one.
pub(crate) fn held(process: &Path) -> Vec<Option<Number>> {
    let is_device = |path: &Path| std::fs::read_link(path).is_ok_and(|target| target == Path::new(DEVICE));
    let descriptors = procfs::descriptors(process).filter(|(_, path)| is_device(path));
    let infos = process.join("fdinfo");
    descriptors
        .map(|(number, _)| {
            let info = procfs::text(&infos, &number.to_string_lossy());
            let line = info
                .lines()
                .find_map(|line| line.strip_prefix("fuse_connection:"))?;
            line.trim().parse().ok()
        })
        .collect()
}

/// A private mount, in no namespace, of the file system that controls connections.
fn private_control() -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("fusectl", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(context.as_fd())?;
    rustix::mount::fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

/// The system's mount of the control file system, if it really is one: a test can mount a file
/// system over it that never answers. Makes no request to a file system.
fn system_control() -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let place = rustix::fs::open(CONTROL, flags, Mode::empty()).ok()?;
    let id = mount_id(&place)?;
    let is_control = |line: &str| {
        let is_it = line.split(' ').next() == Some(&*id);
        is_it && line.contains(" - fusectl ")
    };
    mounts::table().lines().any(is_control).then_some(place)
}

/// The id of the mount that contains a handle, as in tables of mounts.
fn mount_id(place: &OwnedFd) -> Option<String> {
    let number = place.as_raw_fd().to_string();
    let info = procfs::text(&procfs::own().join("fdinfo"), &number);
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    id.map(|id| id.trim().to_owned())
}

/// Aborts a connection: unmounts its file system by force in this process's namespace. That needs
/// the right to unmount there. The caller must be allowed to hang: the path to the mount may lead
/// through other mounts. Returns whether it succeeded.
pub(crate) fn force(proof: &OwnershipProof, number: Number) -> bool {
    let mounts = proof.of(&mounts::table());
    let mut same = mounts.iter().filter(|mount| mount.number == number);
    same.any(|mount| force_mount(mount).is_ok_and(|done| done))
}

/// Only if the path leads to this mount: another one may cover it.
fn force_mount(mount: &Mount) -> rustix::io::Result<bool> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::open(&mount.point, flags, Mode::empty())?;
    if mount_id(&place).is_none_or(|id| id != mount.id) {
        return Ok(false);
    }
    match rustix::mount::unmount(procfs::handle(place.as_fd()), UnmountFlags::FORCE) {
        // The mount is in use, at least by this handle, so the unmount fails; but the kernel aborts
        // the connection before it checks that.
        Ok(()) | Err(rustix::io::Errno::BUSY) => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
61 27 0:900039 / /tmp/xt-a/3/a\\040b rw,nosuid - fuse fx rw,user_id=0
62 27 0:900040 / /home/me/cloud rw shared:7 master:2 - fuse.sshfs host: rw
63 27 0:900040 /sub /tmp/xt-a/3/borrowed rw - fuse.sshfs host: rw
64 27 8:17 / /tmp/xt-a/4/disk rw - fuseblk /dev/sdb1 rw
65 27 0:900041 / /sys/fs/fuse/connections rw - fusectl fusectl rw
cut
";

    fn numbers(proof: &OwnershipProof) -> Vec<Number> {
        proof.of(TABLE).iter().map(|mount| mount.number).collect()
    }

    #[test]
    fn file_systems_of_fuse_are_found_with_the_numbers_of_their_connections() {
        let found = listed(TABLE);
        let points: Vec<_> = found.iter().map(|mount| (mount.number, &*mount.point)).collect();
        let expected = [
            (900_039, Path::new("/tmp/xt-a/3/a b")),
            (900_040, Path::new("/home/me/cloud")),
            (900_040, Path::new("/tmp/xt-a/3/borrowed")),
            ((8 << 20) | 17, Path::new("/tmp/xt-a/4/disk")),
        ];
        assert_eq!(points, expected);
    }

    #[test]
    fn a_mount_that_is_also_elsewhere_or_existed_before_is_not_the_tests() {
        assert_eq!(numbers(&OwnershipProof::Below("/tmp/xt-a/3".into())), [900_039]);
        assert_eq!(numbers(&OwnershipProof::Below("/tmp/xt".into())), [0; 0]);
        assert_eq!(
            numbers(&OwnershipProof::Namespace([900_040].into())),
            [900_039, (8 << 20) | 17]
        );
        assert_eq!(numbers(&OwnershipProof::Nowhere), [0; 0]);
    }

    /// Another user can show a foreign mount below any directory: in their own namespaces they can
    /// mount anything anywhere.
    #[test]
    #[ignore = "needs root, fuse"]
    fn root_ignores_mounts_in_another_users_namespaces() {
        use std::io::{ErrorKind, Read as _};
        use std::os::unix::process::CommandExt as _;
        use std::process::{Command, Stdio};

        use rustix::mount::{MountFlags, mount};
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let [theirs, ours] = ["theirs", "xt-ours"].map(|name| home.join(name));
        std::fs::create_dir(&theirs).unwrap();
        std::fs::create_dir_all(ours.join("shown")).unwrap();
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut server = File::from(rustix::fs::open(DEVICE, flags, Mode::empty()).unwrap());
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap();
        mount("theirs", &theirs, "fuse", MountFlags::empty(), Some(&*options)).unwrap();
        let script = "mount --bind \"$0\" \"$1\" && umount --lazy \"$0\" && echo shown && \
                      exec setpriv --reuid=65534 --regid=65534 --clear-groups cat";
        let mut shell = Command::new("unshare");
        shell.args(["--mount", "sh", "-c", script]).process_group(0);
        shell.arg(&theirs).arg(ours.join("shown"));
        let mut child = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0; 6]).unwrap();
        while std::fs::read(procfs::directory(child.id()).join("comm")).unwrap() != b"cat\n" {
            std::thread::yield_now();
        }
        mounts::detach(&theirs);
        abort_all_below(&ours);
        let mut request = [0; 1 << 17];
        let asked = server.read(&mut request).map_err(|error| error.kind());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(asked.is_ok() || asked == Err(ErrorKind::WouldBlock), "{asked:?}");
    }

    #[test]
    fn a_process_without_the_device_serves_nothing() {
        assert_eq!(held(&procfs::own()), []);
    }
}
