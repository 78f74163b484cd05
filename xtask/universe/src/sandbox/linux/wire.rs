//! The messages between the runner, its keeper and the supervisors, and the descriptors sent with
//! them.
//!
//! An order is one frame: its length, then texts that each end in a zero byte, which no path,
//! argument or variable can contain. It goes to the keeper, which creates a supervisor for it, or
//! to an idle supervisor. A supervisor with an order receives single bytes and answers in lines of
//! JSON.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use super::network::Loopback;
use crate::base::limits::{ORDER_DESCRIPTORS_MAX, ORDER_LEN_MAX};
use crate::report::data::Leak;
use crate::report::kept_files::{FORENSICS, KeptFiles};
use crate::report::shortage::Shortage;
use crate::sandbox::isolation::Network;

/// A process to be started and owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// The whole environment; nothing is inherited.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// In the box: its network.
    pub(crate) network: Network,
    /// Its working directory.
    pub(crate) directory: PathBuf,
    /// Its temporary directory, which the supervisor creates and removes.
    pub(crate) scratch: PathBuf,
    /// Where the files of its temporary directory are kept after a failure, if they would otherwise
    /// vanish.
    pub(crate) kept: PathBuf,
    /// Where the supervisor writes its findings when it is ordered to examine the test.
    pub(crate) forensics: PathBuf,
}

impl Order {
    /// An order for what `command` would start, with the environment that it would have.
    pub(crate) fn of(command: &std::process::Command, scratch: &Path, artefacts: &Path) -> Order {
        let mut environment: std::collections::BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => environment.insert(name.to_owned(), value.to_owned()),
                None => environment.remove(name),
            };
        }
        Order {
            program: command.get_program().to_owned(),
            arguments: command.get_args().map(OsStr::to_owned).collect(),
            environment: environment.into_iter().collect(),
            network: Network::default(),
            directory: command.get_current_dir().map_or_else(
                || std::env::current_dir().unwrap_or_else(|_| "/".into()),
                Path::to_owned,
            ),
            scratch: scratch.to_owned(),
            kept: artefacts.join("files"),
            forensics: artefacts.join(FORENSICS),
        }
    }

    /// The order as one frame without its length, if a process can be started from it: a test may
    /// have any name.
    ///
    /// # Errors
    /// Why it cannot be started, for a person.
    pub(crate) fn frame(&self) -> io::Result<Vec<u8>> {
        let variables = self.environment.iter().flat_map(|(name, value)| [name, value]);
        let mut texts = self.arguments.iter().chain(variables);
        if texts.any(|text| text.as_bytes().contains(&0)) {
            return Err(io::Error::other(
                "its name contains a zero byte, which no argument of a program may contain",
            ));
        }
        let frame = self.encode();
        let len = frame.len();
        if len > ORDER_LEN_MAX {
            return Err(io::Error::other(format!(
                "its name and environment have {len} bytes; the limit is {ORDER_LEN_MAX}"
            )));
        }
        Ok(frame)
    }

    fn encode(&self) -> Vec<u8> {
        let paths = [&self.directory, &self.scratch, &self.kept, &self.forensics];
        let count = OsString::from(self.arguments.len().to_string());
        let mut bytes = Vec::with_capacity(8192);
        let mut push = |text: &OsStr| {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        };
        push(&self.program);
        paths.iter().for_each(|path| push(path.as_os_str()));
        push(OsStr::new(self.network.name()));
        push(&count);
        self.arguments.iter().for_each(|argument| push(argument));
        for (name, value) in &self.environment {
            push(name);
            push(value);
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Order> {
        let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let mut texts = bytes.strip_suffix(b"\0")?.split(|byte| *byte == 0).map(text);
        let program = texts.next()?;
        let (directory, scratch) = (texts.next()?.into(), texts.next()?.into());
        let (kept, forensics) = (texts.next()?.into(), texts.next()?.into());
        let network = Network::parse(texts.next()?.to_str()?)?;
        let count: usize = texts.next()?.to_str()?.parse().ok()?;
        let arguments: Vec<OsString> = texts.by_ref().take(count).collect();
        let mut environment = Vec::new();
        while let Some(name) = texts.next() {
            environment.push((name, texts.next()?));
        }
        let whole = arguments.len() == count;
        whole.then_some(Order {
            program,
            arguments,
            environment,
            network,
            directory,
            scratch,
            kept,
            forensics,
        })
    }

    /// Waits for the next request; `None` when the other end is closed.
    pub(super) fn receive(mut socket: &UnixStream) -> io::Result<Option<KeeperRequest>> {
        let mut len = [0; 4];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(ORDER_DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut len)];
        let received = recvmsg(
            socket.as_fd(),
            &mut into,
            &mut control,
            RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL,
        )?;
        if received.bytes < len.len() {
            return Ok(None);
        }
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        let len = usize::try_from(u32::from_le_bytes(len)).map_err(io::Error::other)?;
        if len == 0 {
            return KeeperRequest::receive(socket);
        }
        if len > ORDER_LEN_MAX {
            return Err(io::Error::other("the length of an order is invalid"));
        }
        let mut bytes = vec![0; len];
        match socket.read_exact(&mut bytes) {
            // The other end was killed while it wrote.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let order = Order::decode(&bytes).ok_or_else(|| io::Error::other("an order is invalid"))?;
        Ok(Some(KeeperRequest::Start(Box::new(order), descriptors)))
    }
}

/// Sends the length of an order, and its descriptors.
pub(super) fn send_len(socket: BorrowedFd<'_>, len: usize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let len = u32::try_from(len).map_err(io::Error::other)?.to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(ORDER_DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(descriptors));
    // Four bytes are never sent in part.
    sendmsg(socket, &[IoSlice::new(&len)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Sends the frame of an order, with the descriptors for the process and its supervisor.
pub(super) fn send(mut socket: &UnixStream, frame: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_len(socket.as_fd(), frame.len(), descriptors)?;
    socket.write_all(frame)
}

/// The descriptors of an order, if their number is right.
pub(super) fn expect<const COUNT: usize>(descriptors: Vec<OwnedFd>) -> io::Result<[OwnedFd; COUNT]> {
    let descriptors = <[OwnedFd; COUNT]>::try_from(descriptors);
    descriptors.map_err(|_| io::Error::other("an order lacks its descriptors"))
}

/// A request to the keeper.
#[derive(Debug)]
pub(super) enum KeeperRequest {
    /// Start this.
    Start(Box<Order>, Vec<OwnedFd>),
    /// Signal everything that it started. It answers with one byte when that is done.
    All(Instruction),
    /// End processes that lost their supervisor. The test that lost it had this scratch directory.
    /// The keeper answers with one line when that is done: the leaks that it found.
    EndLost(PathBuf),
}

impl KeeperRequest {
    /// Reads a request that is not an order.
    fn receive(mut socket: &UnixStream) -> io::Result<Option<KeeperRequest>> {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        match Instruction::of(byte[0]) {
            Some(Instruction::Kill) => {
                let mut len = [0; 2];
                socket.read_exact(&mut len)?;
                let mut scratch = vec![0; usize::from(u16::from_le_bytes(len))];
                socket.read_exact(&mut scratch)?;
                Ok(Some(KeeperRequest::EndLost(OsString::from_vec(scratch).into())))
            }
            instruction => Ok(instruction.map(KeeperRequest::All)),
        }
    }
}

/// Makes the keeper signal everything that it started; returns when that is done.
pub(super) fn instruct_all(mut socket: &UnixStream, instruction: Instruction) -> io::Result<()> {
    socket.write_all(&[0, 0, 0, 0, instruction as u8])?;
    socket.read_exact(&mut [0])
}

/// Makes the keeper end processes that lost their supervisor; `scratch` is the scratch directory of
/// their test. Returns the leaks that the keeper found, when it is done.
pub(super) fn end_lost(mut socket: &UnixStream, scratch: &Path) -> io::Result<Vec<Leak>> {
    let path = scratch.as_os_str().as_bytes();
    let len = u16::try_from(path.len()).map_err(io::Error::other)?;
    let head = [0, 0, 0, 0, Instruction::Kill as u8];
    socket.write_all(&[&head, &len.to_le_bytes()[..], path].concat())?;
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// The keeper's first message, when it is ready or has given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hello {
    /// It accepts orders.
    Ready {
        /// The loopback interface of what it starts.
        loopback: Loopback,
        /// Why tests in the box share a process namespace, if they do.
        shared: Option<String>,
    },
    /// It cannot do what was requested.
    Refused(String),
}

/// A message to a supervisor, one byte each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Instruction {
    /// Ask the whole tree to exit.
    Terminate = b't',
    /// Kill the whole tree.
    Kill = b'k',
    /// Record what the tree is doing.
    Examine = b'e',
    /// Stop the whole tree.
    Suspend = b's',
    /// Let it continue.
    Resume = b'c',
    /// The test passed: report and remove the files that it left.
    Remove = b'r',
    /// The test failed: keep its files.
    Preserve = b'p',
    /// The test did not finish, through no fault of its own: remove its files.
    Discard = b'd',
}

impl Instruction {
    const ALL: [Instruction; 8] = [
        Instruction::Terminate,
        Instruction::Kill,
        Instruction::Examine,
        Instruction::Suspend,
        Instruction::Resume,
        Instruction::Remove,
        Instruction::Preserve,
        Instruction::Discard,
    ];

    pub(super) fn of(byte: u8) -> Option<Instruction> {
        Instruction::ALL
            .into_iter()
            .find(|instruction| *instruction as u8 == byte)
    }
}

/// A message from a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The process could not be started.
    NotStarted(String),
    /// The requested findings are written.
    Examined,
    /// The process has exited, and nothing that it started is alive.
    Ended {
        /// As waitpid(2) gives it.
        status: i32,
        /// From its start to its own end, in microseconds.
        elapsed_us: u64,
        /// The leftovers: processes, their sockets, mounts, shared memory.
        leaks: Vec<Leak>,
        /// It was killed because it had this many processes.
        processes: Option<usize>,
        /// It failed while the file system was full.
        shortage: Option<Shortage>,
        /// It failed in a network of the box, where these addresses refused a connection while it
        /// ran.
        refused: Vec<SocketAddr>,
        /// It left nothing at all. There are no files to decide about, and the supervisor accepts
        /// another order.
        clean: bool,
    },
    /// The last message: its files are gone, or are kept there.
    Settled {
        /// Files that a passed test left.
        leaks: Vec<Leak>,
        kept: Option<KeptFiles>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        let mut command = std::process::Command::new("/bin/a program");
        command.args(["--exact", "", "näme\n"]).current_dir("/a dir");
        command.env("ONE", "1=2").env("EMPTY", "").env_remove("HOME");
        Order {
            network: Network::Own,
            ..Order::of(&command, Path::new("/tmp/xt/3"), Path::new("/runs/3"))
        }
    }

    #[test]
    fn an_order_arrives_as_it_was_sent_with_its_descriptors() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let sent = order();
        assert!(
            sent.environment
                .iter()
                .any(|(name, value)| name == "ONE" && value == "1=2")
        );
        assert!(!sent.environment.iter().any(|(name, _)| name == "HOME"));
        let descriptors = [ours.as_fd(), ours.as_fd(), ours.as_fd()];
        send(&ours, &sent.frame().unwrap(), &descriptors).unwrap();
        let Some(KeeperRequest::Start(received, descriptors)) = Order::receive(&theirs).unwrap() else {
            panic!("it is an order");
        };
        assert_eq!(descriptors.len(), 3);
        assert_eq!(*received, sent);
        // They are the sender's own socket: what is written to one of them arrives at the other
        // end.
        UnixStream::from(descriptors.into_iter().next().unwrap())
            .write_all(b"!")
            .unwrap();
        let mut byte = [0];
        (&theirs).read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"!");
        drop(ours);
        assert!(Order::receive(&theirs).unwrap().is_none());
    }

    #[test]
    fn an_order_that_no_process_can_have_is_refused_before_it_is_sent() {
        let with = |argument: &str| {
            let mut order = order();
            order.arguments.push(argument.into());
            order.frame().map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(with("fine"), Ok(()));
        assert!(with("a\0b").unwrap_err().contains("zero byte"));
        assert!(
            with(&"x".repeat(ORDER_LEN_MAX))
                .unwrap_err()
                .contains("bytes; the limit is")
        );
    }

    #[test]
    fn invalid_bytes_are_not_an_order() {
        let whole = order().encode();
        assert_eq!(Order::decode(&whole), Some(order()));
        assert!((0..whole.len() - 1).all(|len| {
            let cut = whole.get(..len).unwrap();
            Order::decode(cut).is_none_or(|part| part != order())
        }));
        assert_eq!(Order::decode(b"p\0d\0s\0k\0f\0box\0many\0"), None);
        assert_eq!(Order::decode(b"p\0d\0s\0k\0f\0lan\x000\0"), None);
        assert!(Order::decode(b"p\0d\0s\0k\0f\0box\x000\0").is_some());
        assert_eq!(Order::decode(b"p\0d\0s\0k\0f\0box\x003\0one\0"), None);
    }

    #[test]
    fn the_scratch_directory_of_a_lost_test_arrives_and_its_leaks_come_back() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let leaks = vec![Leak::new(crate::report::kinds::LeakKind::Stuck, "a thread")];
        let answer = serde_json::to_string(&leaks).unwrap() + "\n";
        let keeper = std::thread::spawn(move || {
            let received = Order::receive(&theirs).unwrap();
            (&theirs).write_all(answer.as_bytes()).unwrap();
            received
        });
        assert_eq!(end_lost(&ours, Path::new("/tmp/xt/3")).unwrap(), leaks);
        let received = keeper.join().unwrap();
        assert!(
            matches!(received, Some(KeeperRequest::EndLost(scratch)) if scratch == Path::new("/tmp/xt/3"))
        );
    }

    #[test]
    fn every_message_is_understood_and_nothing_else() {
        assert!(
            Instruction::ALL
                .into_iter()
                .all(|instruction| Instruction::of(instruction as u8) == Some(instruction))
        );
        assert_eq!(Instruction::of(b'?'), None);
    }
}
