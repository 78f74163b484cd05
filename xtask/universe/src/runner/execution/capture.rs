//! The output of a test: its beginning and end in memory, all of it in a log file up to a limit. A
//! full log says so.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::oneshot;

use crate::base::limits::{LOG_LEN_MAX, STREAM_PART_LEN_MAX};
use crate::base::text::{plain_line, plain_text};
use crate::base::truncation;
use crate::runner::console::Console;

/// Both streams of one test.
#[derive(Debug)]
pub struct Capture {
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
    log: Option<Log>,
    echo: Option<Echo>,
    first_line: FirstLine,
}

/// What the first line of standard output is.
#[derive(Debug)]
enum FirstLine {
    /// Output like the rest.
    Output,
    /// A word to us, which is no output, with who waits for it, until it was said.
    Word(Option<oneshot::Sender<Vec<u8>>>),
}

/// The beginning and the end of one stream.
#[derive(Debug)]
pub(crate) struct Stream {
    /// How many bytes of the beginning, and of the end, are kept.
    kept_max: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Bytes between head and tail that were left out.
    dropped: u64,
}

/// The output of both streams, in the order of arrival. The first write creates the file.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: Option<File>,
    /// Bytes of output so far, including those beyond the limit.
    len: u64,
    len_max: u64,
}

/// Shows each line at once, prefixed with the test's name.
#[derive(Debug)]
pub struct Echo {
    /// Where the lines are shown.
    pub console: Arc<Console>,
    /// The prefix of each line.
    pub name: String,
}

impl Capture {
    /// Nothing captured yet.
    pub fn new(log: &Path, echo: Option<Echo>) -> Capture {
        let log = Log {
            path: log.to_owned(),
            file: None,
            len: 0,
            len_max: LOG_LEN_MAX,
        };
        Capture {
            stdout: Stream::new(STREAM_PART_LEN_MAX),
            stderr: Stream::new(STREAM_PART_LEN_MAX),
            log: Some(log),
            echo,
            first_line: FirstLine::Output,
        }
    }

    /// The same for a program that answers a query: all output is kept, and there is no log.
    #[cfg(target_os = "linux")]
    pub(crate) fn whole() -> Capture {
        Capture {
            stdout: Stream::new(crate::base::limits::STREAM_WHOLE_LEN_MAX),
            stderr: Stream::new(STREAM_PART_LEN_MAX),
            log: None,
            echo: None,
            first_line: FirstLine::Output,
        }
    }

    /// The same, where the beginning and the end are enough.
    pub(crate) fn brief() -> Capture {
        Capture {
            stdout: Stream::new(STREAM_PART_LEN_MAX),
            stderr: Stream::new(STREAM_PART_LEN_MAX),
            log: None,
            echo: None,
            first_line: FirstLine::Output,
        }
    }

    /// The same, of a process whose standard output is a word to us: its first line is handed on as
    /// soon as it is whole, and the log has only standard error.
    pub(crate) fn telling_the_first_line(self, listener: oneshot::Sender<Vec<u8>>) -> Capture {
        Capture {
            first_line: FirstLine::Word(Some(listener)),
            ..self
        }
    }

    fn tell_the_first_line(&mut self) {
        let head = &self.stdout.head;
        let end = head.iter().position(|byte| *byte == b'\n');
        if let FirstLine::Word(listener) = &mut self.first_line
            && let Some(line) = end.and_then(|end| head.get(..end))
            && let Some(listener) = listener.take()
        {
            // Whoever has listened may have lost patience.
            listener.send(line.to_vec()).ok();
        }
    }

    /// Reads both streams to their ends.
    pub(crate) async fn read(
        &mut self,
        mut stdout: impl AsyncRead + Unpin,
        mut stderr: impl AsyncRead + Unpin,
    ) {
        let (mut out, mut err) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
        let (mut out_open, mut err_open) = (true, true);
        while out_open || err_open {
            tokio::select! {
                len = stdout.read(&mut out), if out_open => out_open = self.take(len, &out, StreamKind::Stdout),
                len = stderr.read(&mut err), if err_open => err_open = self.take(len, &err, StreamKind::Stderr),
            }
        }
    }

    /// Returns whether more output may follow.
    fn take(&mut self, len: std::io::Result<usize>, buffer: &[u8], from: StreamKind) -> bool {
        let Some(chunk) = len
            .ok()
            .and_then(|len| buffer.get(..len))
            .filter(|chunk| !chunk.is_empty())
        else {
            return false;
        };
        match from {
            StreamKind::Stdout => {
                self.stdout.push(chunk);
                self.tell_the_first_line();
            }
            StreamKind::Stderr => self.stderr.push(chunk),
        }
        let is_output = matches!(
            (from, &self.first_line),
            (StreamKind::Stderr, _) | (_, FirstLine::Output)
        );
        if let Some(log) = self.log.as_mut().filter(|_| is_output) {
            log.push(chunk);
        }
        if let Some(Echo { console, name }) = &self.echo {
            let name = plain_line(name);
            plain_text(chunk)
                .lines()
                .for_each(|line| console.line(&format!("{name} | {line}")));
        }
        true
    }
}

#[derive(Clone, Copy)]
enum StreamKind {
    Stdout,
    Stderr,
}

impl Stream {
    fn new(kept_max: usize) -> Stream {
        Stream {
            kept_max,
            head: Vec::new(),
            tail: VecDeque::new(),
            dropped: 0,
        }
    }

    fn push(&mut self, chunk: &[u8]) {
        let room = self.kept_max.saturating_sub(self.head.len()).min(chunk.len());
        let (first, rest) = chunk.split_at(room);
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(self.kept_max);
        self.tail.drain(..excess);
        self.dropped += excess as u64;
    }

    /// Everything, or the beginning and the end with a line between them that states how much is
    /// missing.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = self.head;
        if self.dropped > 0 {
            bytes.extend_from_slice(truncation::mark(self.dropped).as_bytes());
        }
        bytes.extend(self.tail);
        bytes
    }
}

impl Log {
    /// A log that cannot be written is lost; the test goes on.
    fn push(&mut self, chunk: &[u8]) {
        if self.file.is_none() && self.len == 0 {
            self.file = File::create(&self.path).ok();
        }
        let room = self.len_max.saturating_sub(self.len);
        let was_open = self.len <= self.len_max;
        self.len += chunk.len() as u64;
        let Some(file) = self.file.as_mut().filter(|_| was_open) else {
            return;
        };
        let fitting = usize::try_from(room).map_or(chunk.len(), |room| room.min(chunk.len()));
        file.write_all(chunk.get(..fitting).unwrap_or_default()).ok();
        if self.len > self.len_max {
            let len_max = self.len_max;
            writeln!(
                file,
                "\n[... the test wrote more; this log has only the first {len_max} bytes ...]"
            )
            .ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_stream_is_kept_whole() {
        let mut stream = Stream::new(STREAM_PART_LEN_MAX);
        stream.push(b"hello ");
        stream.push(b"world");
        assert_eq!(stream.into_bytes(), b"hello world");
    }

    #[test]
    fn of_a_long_stream_the_beginning_and_the_end_are_kept() {
        let mut stream = Stream::new(STREAM_PART_LEN_MAX);
        let all: Vec<u8> = (0..3 * STREAM_PART_LEN_MAX + 5)
            .map(|n| b'a' + u8::try_from(n % 26).unwrap())
            .collect();
        all.chunks(1000).for_each(|chunk| stream.push(chunk));
        let kept = stream.into_bytes();
        let mark = format!("\n[... {} bytes left out ...]\n", STREAM_PART_LEN_MAX + 5);
        assert_eq!(kept.len(), 2 * STREAM_PART_LEN_MAX + mark.len());
        assert!(
            kept.starts_with(&all[..STREAM_PART_LEN_MAX])
                && kept.ends_with(&all[all.len() - STREAM_PART_LEN_MAX..])
        );
        assert!(kept[STREAM_PART_LEN_MAX..].starts_with(mark.as_bytes()));
    }

    #[test]
    fn two_full_parts_are_kept_whole_and_of_one_byte_more_it_is_the_one_left_out() {
        let kept = |len: usize| {
            let mut stream = Stream::new(STREAM_PART_LEN_MAX);
            stream.push(&vec![b'x'; len]);
            stream.into_bytes()
        };
        let most = 2 * STREAM_PART_LEN_MAX;
        assert_eq!(kept(most), vec![b'x'; most]);
        assert_eq!(kept(most + 1).len(), most + truncation::mark(1).len());
    }

    #[tokio::test]
    async fn the_log_has_both_streams() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.log");
        let mut capture = Capture::new(&path, None);
        assert!(!path.exists());
        capture.read(&b"out"[..], &b"err"[..]).await;
        assert_eq!(std::fs::read(&path).unwrap().len(), 6);
        assert_eq!(
            (capture.stdout.into_bytes(), capture.stderr.into_bytes()),
            (b"out".into(), b"err".into())
        );
    }

    #[tokio::test]
    async fn a_word_to_us_is_handed_on_and_not_in_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.log");
        let (say, word) = oneshot::channel();
        let mut capture = Capture::new(&path, None).telling_the_first_line(say);
        capture.read(&b"secret\nmore"[..], &b"err"[..]).await;
        assert_eq!(word.await.unwrap(), b"secret");
        assert_eq!(std::fs::read(&path).unwrap(), b"err");
    }

    #[test]
    fn a_log_that_is_full_says_so_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.log");
        let mut log = Log {
            path: path.clone(),
            file: None,
            len: 0,
            len_max: 5,
        };
        log.push(b"12345");
        assert_eq!(std::fs::read(&path).unwrap(), b"12345");
        log.push(b"67");
        log.push(b"89");
        let text = std::fs::read_to_string(&path).unwrap();
        let end = "\n[... the test wrote more; this log has only the first 5 bytes ...]\n";
        assert_eq!(text, format!("12345{end}"));
    }
}
