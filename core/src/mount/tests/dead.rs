//! Mounts that dead processes have left, on top of each other.

use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::mount::{MountFlags, mount};

use super::super::{SUBTYPE, mount_point, preflight};
use crate::limits::DEAD_MOUNTS_MAX;

/// Mounts `count` shares on `at` and closes their devices, as the death of their processes does.
fn leave_dead_mounts(at: &Path, count: usize) {
    let mut devices = Vec::new();
    for _ in 0..count {
        let mut options = std::fs::File::options();
        let device = options.read(true).write(true).open("/dev/fuse").unwrap();
        let fd = device.as_raw_fd();
        let data = CString::new(format!("fd={fd},rootmode=40000,user_id=0,group_id=0")).unwrap();
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount(SUBTYPE, at, "fuse", flags, data.as_c_str()).unwrap();
        devices.push(device);
    }
}

#[test]
#[ignore = "needs fuse, root"]
fn dead_mounts_are_removed_up_to_the_limit_and_one_more_is_an_error() {
    for (count, is_free) in [(DEAD_MOUNTS_MAX, true), (DEAD_MOUNTS_MAX + 1, false)] {
        let at = tempfile::tempdir().unwrap();
        leave_dead_mounts(at.path(), count);
        let prepared = preflight::prepare(at.path());
        for _ in 0..count {
            if mount_point::is_ours(at.path()) {
                mount_point::detach(at.path());
            }
        }
        assert_eq!(prepared.is_ok(), is_free, "{count} dead mounts: {prepared:?}");
        at.close().unwrap();
    }
}
