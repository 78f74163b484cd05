//! Random operations on one file, each checked against a model in memory, in the manner of fsx (the
//! file system exerciser of Apple and NeXT). It contains no code of that tool.
//!
//! The seed decides everything. A failure reports the operation, the offset, and the operations
//! before it.

use super::{Allocate, Directory, Errno, File, FileVerbs, Open};

/// The maximum length of the file.
const LEN_MAX: u64 = 256 * 1024;
/// The maximum length of the range of one operation.
const RANGE_LEN_MAX: u64 = 40 * 1024;
/// Operations that a failure lists.
const TOLD_COUNT: usize = 12;
/// Operations between two comparisons of the whole file.
const WHOLE_EVERY: usize = 500;
/// The file that is exercised.
const NAME: &str = "exercised";

/// Does `count` operations derived from `seed`.
///
/// # Panics
/// If the file and its model differ, or if an operation fails that must succeed.
pub fn exercise(dir: &impl Directory, seed: u64, count: usize) {
    let mut run = Run::new(dir, seed);
    for index in 0..count {
        let step = run.choose();
        run.told.push(format!("{index}: {step:?}"));
        run.make(&step);
        if index % WHOLE_EVERY == 0 {
            run.compare_whole();
        }
    }
    run.compare_whole();
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Read { offset: u64, len: u64 },
    Write { offset: u64, len: u64 },
    Append { len: u64 },
    SetLen { len: u64 },
    SetLenByName { len: u64 },
    Punch { offset: u64, len: u64 },
    Grow { offset: u64, len: u64 },
    Copy { from: u64, to: u64, len: u64 },
    Reopen,
    Sync,
    Stat,
}

/// A random generator without dependencies (SplitMix64, Steele et al. 2014).
#[derive(Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Numbers derived from `seed`.
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.any().checked_rem(end).unwrap_or(0)
    }
}

struct Run<'a, D: Directory> {
    dir: &'a D,
    seed: u64,
    numbers: Numbers,
    /// Two handles are used in turn, so that a difference between them shows.
    files: [D::File; 2],
    appender: D::File,
    model: Vec<u8>,
    told: Vec<String>,
}

impl<'a, D: Directory> Run<'a, D> {
    fn new(dir: &'a D, seed: u64) -> Run<'a, D> {
        let open = || dir.open(NAME, Open::create()).unwrap();
        Run {
            dir,
            seed,
            numbers: Numbers::new(seed),
            files: [open(), open()],
            appender: dir.open(NAME, Open::write().append()).unwrap(),
            model: Vec::new(),
            told: Vec::new(),
        }
    }

    fn choose(&mut self) -> Step {
        let (offset, len) = self.range(LEN_MAX);
        let here = self.model.len() as u64;
        match self.numbers.below(100) {
            0..32 => Step::Read { offset, len },
            32..62 => Step::Write { offset, len },
            62..68 => Step::Append {
                len: len.min(LEN_MAX.saturating_sub(here)),
            },
            68..74 => Step::SetLen { len: offset },
            74..77 => Step::SetLenByName { len: offset },
            77..83 => Step::Punch { offset, len },
            83..87 => Step::Grow { offset, len },
            87..92 => {
                let (from, len) = self.range(here.max(1));
                let to = self.numbers.below(LEN_MAX - len);
                Step::Copy { from, to, len }
            }
            92..94 => Step::Reopen,
            94..96 => Step::Sync,
            _ => Step::Stat,
        }
    }

    /// An offset and a length of at least 1; the range lies before `end`, and every third begins or
    /// ends at a page.
    fn range(&mut self, end: u64) -> (u64, u64) {
        let mut offset = self.numbers.below(end);
        if self.numbers.below(3) == 0 {
            offset &= !4095;
        }
        let room = (end - offset).min(RANGE_LEN_MAX);
        (offset, 1 + self.numbers.below(room))
    }

    fn make(&mut self, step: &Step) {
        let turn = (self.numbers.any() & 1) as usize;
        match *step {
            Step::Read { offset, len } => self.read(turn, offset, len),
            Step::Write { offset, len } => {
                let bytes = self.bytes(len);
                self.files[turn].write(offset, &bytes);
                self.put(offset, &bytes);
            }
            Step::Append { len } => {
                let bytes = self.bytes(len);
                let count = self.appender.append(&bytes).unwrap();
                self.expect("the appended length", count as u64, len);
                self.model.extend(bytes);
            }
            Step::SetLen { len } => {
                self.files[turn].set_len(len).unwrap();
                self.model.resize(len as usize, 0);
            }
            Step::SetLenByName { len } => {
                self.dir.set_len(NAME, len).unwrap();
                self.model.resize(len as usize, 0);
            }
            Step::Punch { offset, len } => self.punch(turn, offset, len),
            Step::Grow { offset, len } => self.grow(turn, offset, len),
            Step::Copy { from, to, len } => self.copy(turn, (from, to), len),
            Step::Reopen => self.files[turn] = self.dir.open(NAME, Open::both()).unwrap(),
            Step::Sync => self.files[turn].sync().unwrap(),
            Step::Stat => self.stat(turn),
        }
    }

    fn read(&self, turn: usize, offset: u64, len: u64) {
        let end = self.model.len().min((offset + len) as usize);
        let expected = self.model.get(offset as usize..end).unwrap_or_default();
        self.compare(offset, &self.files[turn].piece(offset, len as usize), expected);
    }

    fn punch(&mut self, turn: usize, offset: u64, len: u64) {
        if self.is_made(self.files[turn].allocate(Allocate::Punch, offset, len)) {
            let end = self.model.len().min((offset + len) as usize);
            if let Some(hole) = self.model.get_mut(offset as usize..end) {
                hole.fill(0);
            }
        }
    }

    fn grow(&mut self, turn: usize, offset: u64, len: u64) {
        if self.is_made(self.files[turn].allocate(Allocate::Grow, offset, len)) {
            let len = self.model.len().max((offset + len) as usize);
            self.model.resize(len, 0);
        }
    }

    fn copy(&mut self, turn: usize, (from, to): (u64, u64), len: u64) {
        // Skipped: overlapping ranges of one file are refused, and an empty file has nothing to
        // copy.
        if from.abs_diff(to) < len || self.model.is_empty() {
            return;
        }
        let ends = ((&self.files[turn], from), (&self.files[1 - turn], to));
        match self.dir.copy_range(ends.0, ends.1, len as usize) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::XDEV) => {}
            Err(errno) => self.differs("a copy", errno, "a count"),
            Ok(count) => {
                let end = self.model.len().min(from as usize + count);
                let bytes = self.model.get(from as usize..end).unwrap_or_default().to_vec();
                self.expect("the copied length", bytes.len() as u64, count as u64);
                self.put(to, &bytes);
            }
        }
    }

    fn stat(&self, turn: usize) {
        let len = self.model.len() as u64;
        self.expect("the length by handle", self.files[turn].told_len(), len);
        self.expect("the length by name", self.dir.stat(NAME).unwrap().len, len);
    }

    fn compare_whole(&self) {
        self.stat(0);
        self.compare(0, &self.files[0].all(), &self.model);
        let fresh = self.dir.open(NAME, Open::read()).unwrap();
        self.compare(0, &fresh.all(), &self.model);
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if self.model.len() < end {
            self.model.resize(end, 0);
        }
        self.model[start..end].copy_from_slice(bytes);
    }

    /// Bytes derived from the next number.
    fn bytes(&mut self, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; len as usize];
        let seed = self.numbers.any().to_le_bytes();
        blake3::Hasher::new()
            .update(&seed)
            .finalize_xof()
            .fill(&mut bytes);
        bytes
    }

    fn is_made(&self, outcome: Result<(), Errno>) -> bool {
        match outcome {
            Ok(()) => true,
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => false,
            Err(errno) => self.differs("an allocation", errno, "success"),
        }
    }

    fn compare(&self, offset: u64, found: &[u8], expected: &[u8]) {
        self.expect("the length read", found.len() as u64, expected.len() as u64);
        if found == expected {
            return;
        }
        let mut pairs = found.iter().zip(expected);
        if let Some(index) = pairs.position(|(found, expected)| found != expected) {
            let what = format!("the byte at {}", offset + index as u64);
            self.differs(&what, found[index], expected[index]);
        }
    }

    fn expect(&self, what: &str, found: u64, expected: u64) {
        if found != expected {
            self.differs(what, found, expected);
        }
    }

    fn differs(&self, what: &str, found: impl std::fmt::Debug, expected: impl std::fmt::Debug) -> ! {
        let last = self.told.len().saturating_sub(TOLD_COUNT);
        panic!(
            "{what} is {found:?} instead of {expected:?}, with seed {:#x}; the last steps:\n{}",
            self.seed,
            self.told[last..].join("\n")
        );
    }
}
