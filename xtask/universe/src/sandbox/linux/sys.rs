//! The system calls that neither std nor rustix offers safely: forking, entering namespaces,
//! filtering packets, enabling an interface.
//!
//! The keeper and its supervisors have one thread each. Only that makes forking without executing
//! sound.
#![expect(
    unsafe_code,
    reason = "fork, unshare, signal handlers, packet filters and interface flags are available only through libc"
)]

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Which process this is after a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fork {
    /// The new process.
    Child,
    /// The old process; the id is the child's.
    Parent(rustix::process::Pid),
}

/// Duplicates this process, which must have one thread.
pub(super) fn fork() -> io::Result<Fork> {
    // SAFETY: there is no second thread that could hold a lock in the child.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => rustix::process::Pid::from_raw(pid)
            .map(Fork::Parent)
            .ok_or_else(|| io::Error::other("fork returned no process id")),
    }
}

/// Ends this process without running what the parent process would run at its own exit.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: takes no pointer and does not return.
    unsafe { libc::_exit(code) }
}

/// Moves this process (and, for `CLONE_NEWPID`, its future children) into new namespaces.
pub(super) fn unshare(namespaces: libc::c_int) -> io::Result<()> {
    // SAFETY: takes flags and no pointer; there is no second thread that would have to share what
    // is unshared.
    match unsafe { libc::unshare(namespaces) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// From now on these signals have no effect on this process. Executed programs get the default
/// disposition back, which they would not if the signals were ignored.
pub(super) fn disregard_signals() {
    extern "C" fn nothing(_: libc::c_int) {}
    for signal in [
        libc::SIGINT,
        libc::SIGTERM,
        libc::SIGHUP,
        libc::SIGQUIT,
        libc::SIGTSTP,
    ] {
        // SAFETY: the handler does nothing, so it may run at any time; the struct is plain data,
        // for which zeros are valid.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = nothing as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

/// Whether exited children become zombies until they are waited for, or vanish by themselves.
pub(super) fn keep_ended_children(keep: Reaping) {
    let disposition = match keep {
        Reaping::ByUs => libc::SIG_DFL,
        Reaping::ByTheKernel => libc::SIG_IGN,
    };
    // SAFETY: both dispositions are valid for SIGCHLD.
    unsafe { libc::signal(libc::SIGCHLD, disposition) };
}

/// How exited children are collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaping {
    /// The code waits for each of them.
    ByUs,
    /// Their exit status is not needed.
    ByTheKernel,
}

/// The processor time of all children that have exited and were waited for, including that of their
/// own such children.
pub(super) fn time_of_ended_children() -> Duration {
    // SAFETY: the struct is plain data, for which zeros are valid, and is only written to.
    let usage = unsafe {
        let mut usage: libc::rusage = zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let duration = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or_default())
    };
    duration(usage.ru_utime) + duration(usage.ru_stime)
}

/// Executed programs inherit no descriptor that this process was given by chance.
pub(super) fn hand_down_no_descriptors() {
    // SAFETY: only marks descriptors of this process. A kernel before 5.11 refuses; then they are
    // inherited.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
}

/// Our standard input as a separate descriptor, which executed programs do not inherit.
pub(super) fn take_stdin() -> io::Result<OwnedFd> {
    let taken = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    Ok(taken)
}

/// From now on, writes to our standard error go nowhere.
pub(super) fn close_stderr() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stderr(&null)?)
}

/// Enables the loopback interface of this network namespace, by IPv4 or, in a kernel without it, by
/// IPv6.
pub(super) fn raise_loopback() -> io::Result<()> {
    raise("lo", libc::AF_INET).or_else(|_| raise("lo", libc::AF_INET6))
}

/// From now on this packet socket receives only incoming packets that the filter takes.
pub(super) fn receive_only_incoming(socket: BorrowedFd<'_>, filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        filter: filter.as_ptr().cast_mut(),
    };
    let yes: libc::c_int = 1;
    // SAFETY: both values are of the types that the options have. The steps of the filter outlive
    // the call, which copies them and changes nothing.
    unsafe {
        set_option(socket, (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER), &program)?;
        set_option(socket, (libc::SOL_PACKET, PACKET_IGNORE_OUTGOING), &yes)
    }
}

/// `PACKET_IGNORE_OUTGOING` (linux/if_packet.h).
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// # Safety
/// The value has the type of the option, and all that it points to is valid.
unsafe fn set_option<T>(
    socket: BorrowedFd<'_>,
    (level, option): (libc::c_int, libc::c_int),
    value: &T,
) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let value: *const T = value;
    // SAFETY: the caller guarantees it.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value.cast(), len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn raise(interface: &str, family: libc::c_int) -> io::Result<()> {
    // SAFETY: creates a descriptor and takes no pointer.
    let socket = match unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) } {
        -1 => return Err(io::Error::last_os_error()),
        // SAFETY: it was just created and has no other owner.
        raw => unsafe { OwnedFd::from_raw_fd(raw) },
    };
    // SAFETY: the request is plain data, for which zeros are valid; the name is shorter than its
    // field and ends in a zero.
    unsafe {
        let mut request = MaybeUninit::<libc::ifreq>::zeroed().assume_init();
        for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        if libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) != 0 {
            return Err(io::Error::last_os_error());
        }
        request.ifr_ifru.ifru_flags |= libc::c_short::try_from(libc::IFF_UP).unwrap_or(1);
        match libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
