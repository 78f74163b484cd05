//! The owner of a test's processes: the keeper if there is one, otherwise this process by means of
//! process groups.
//!
//! Both report in the same form how a test ended; they differ in how many leaks they find.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::Context;

use super::capture::Capture;
use super::foreground;
use super::process::{self, Ended, Watch};
use crate::base::mounts;
use crate::base::private_directory::make_scratch;
use crate::machine::capability::Capabilities;
use crate::report::data::Leak;
use crate::report::kept_files::KeptFiles;
use crate::report::kinds::LeakKind;
use crate::sandbox::isolation::{Isolation, Level, Network};
#[cfg(target_os = "linux")]
use crate::sandbox::linux::{Control, Dismissed, Instruction, Keeper, Order};
use crate::sandbox::removal;

/// Starts tests and makes sure that nothing of them remains.
#[derive(Debug)]
pub(crate) enum Owner {
    /// A separate process, in the box or outside.
    #[cfg(target_os = "linux")]
    Keeper(Box<Keeper>),
    /// This process.
    Group {
        /// What is missing, and why.
        why: Option<String>,
        terminal: Terminal,
    },
}

/// Whether a test gets our streams and our terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// It gets neither.
    Withheld,
    /// It gets both: a person debugs it.
    Shared,
}

/// A command to start, and where its files are.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) command: tokio::process::Command,
    /// Its network, in the box.
    pub(super) network: Network,
    /// Its temporary directory, which does not exist yet.
    pub(super) scratch: &'a Path,
    /// The directory for files that outlive it.
    pub(super) artefacts: &'a Path,
}

/// How to run a command for what it writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// The name of its scratch directory, which goes with it.
    pub(crate) label: &'a str,
    /// How long it may take.
    pub(crate) limit: Duration,
    /// Its network, in the box.
    pub(crate) network: Network,
}

/// What to do with a test's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The test passed: there should be none.
    Remove,
    /// The test failed: they are kept for a person to examine.
    Preserve,
    /// The test did not end on its own, through no fault of its own, or there is no place for them:
    /// they are removed.
    Discard,
}

/// The files of a finished test.
#[derive(Debug)]
pub(super) enum Remains {
    #[cfg(target_os = "linux")]
    Supervised(Control),
    Ours(PathBuf),
    /// There are none.
    None,
}

/// The result of the cleanup.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) leaks: Vec<Leak>,
    pub(super) kept: Option<KeptFiles>,
}

impl Owner {
    /// The best owner that `isolation` allows and this machine supports.
    ///
    /// # Errors
    /// When the box is required and unavailable.
    #[cfg(target_os = "linux")]
    pub(crate) fn choose(isolation: Isolation, scratch: &Path) -> anyhow::Result<Owner> {
        match Keeper::start(isolation, scratch) {
            Ok(keeper) => Ok(Owner::Keeper(Box::new(keeper))),
            Err(error) if isolation == Isolation::Box => Err(error),
            Err(error) => Owner::group(scratch, Some(format!("no box: {error:#}"))),
        }
    }

    /// Only Linux has more than process groups.
    ///
    /// # Errors
    /// When the box is required.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn choose(isolation: Isolation, scratch: &Path) -> anyhow::Result<Owner> {
        match isolation {
            Isolation::Box => anyhow::bail!("the box is unavailable: only Linux has namespaces"),
            Isolation::Auto | Isolation::Process => Owner::group(scratch, None),
        }
    }

    /// This process, for a test that gets our terminal.
    ///
    /// # Errors
    /// When the directory for scratch directories cannot be made.
    pub(crate) fn in_foreground(scratch: &Path) -> anyhow::Result<Owner> {
        let owner = Owner::group(scratch, None);
        owner.map(|_| Owner::Group {
            why: None,
            terminal: Terminal::Shared,
        })
    }

    /// This process, with a directory for all scratch directories.
    fn group(scratch: &Path, why: Option<String>) -> anyhow::Result<Owner> {
        make_scratch(scratch).with_context(|| format!("could not create `{}`", scratch.display()))?;
        let terminal = Terminal::Withheld;
        Ok(Owner::Group { why, terminal })
    }

    /// How far it isolates the tests.
    pub(crate) fn level(&self) -> Level {
        match self {
            #[cfg(target_os = "linux")]
            Owner::Keeper(keeper) => keeper.level,
            Owner::Group { .. } => Level::Group,
        }
    }

    /// What is missing, and why.
    pub(crate) fn why(&self) -> Option<&str> {
        match self {
            #[cfg(target_os = "linux")]
            Owner::Keeper(keeper) => keeper.why.as_deref(),
            Owner::Group { why, .. } => why.as_deref(),
        }
    }

    /// Probes the capabilities in the surroundings of the tests; `binary` is the built probe, if
    /// there is one.
    pub(crate) async fn probe(&self, capabilities: &mut Capabilities, binary: Option<&Path>) {
        #[cfg(target_os = "linux")]
        if let Owner::Keeper(keeper) = self
            && keeper.level == Level::Box
        {
            capabilities.found_there("ipv4", &keeper.loopback.ipv4);
            capabilities.found_there("ipv6", &keeper.loopback.ipv6);
            if let Some(binary) = binary.filter(|_| capabilities.want_proof()) {
                capabilities.confirm_by(super::supervised::ask(keeper, binary).await);
                return;
            }
        }
        capabilities.confirm(binary);
    }

    /// Runs it to its end. When this returns, everything that it started has ended, too.
    pub(super) async fn run(&self, job: Job<'_>, capture: Capture, watch: Watch) -> (Ended, Remains) {
        match self {
            #[cfg(target_os = "linux")]
            Owner::Keeper(keeper) => {
                let order = Order {
                    network: job.network,
                    ..Order::of(job.command.as_std(), job.scratch, job.artefacts)
                };
                let (ended, control) = super::supervised::run(keeper, &order, capture, watch).await;
                (ended, control.map_or(Remains::None, Remains::Supervised))
            }
            Owner::Group { terminal, .. } => match std::fs::create_dir(job.scratch) {
                Ok(()) => {
                    let ended = match terminal {
                        Terminal::Withheld => process::run(job.command, capture, watch).await,
                        Terminal::Shared => foreground::run(job.command, watch).await,
                    };
                    (ended, Remains::Ours(job.scratch.to_owned()))
                }
                Err(error) => (Ended::not_started(error), Remains::None),
            },
        }
    }

    /// Runs a command to its end in a scratch directory of its own. Returns what it wrote, possibly
    /// with the middle left out. Whatever it has started ends.
    ///
    /// # Errors
    /// Why it did not come to its end, for a person.
    pub(crate) async fn output(
        &self,
        command: tokio::process::Command,
        question: Question<'_>,
    ) -> Result<Output, String> {
        match self {
            #[cfg(target_os = "linux")]
            Owner::Keeper(keeper) => {
                let asked = (command.into_std(), Capture::brief());
                super::supervised::output(keeper, asked, question).await
            }
            Owner::Group { .. } => process::output(command, question.label, question.limit).await,
        }
    }

    /// Stops all tests. Tests that are only process groups continue.
    pub(crate) fn suspend(&self) {
        #[cfg(target_os = "linux")]
        if let Owner::Keeper(keeper) = self {
            keeper.instruct_all(Instruction::Suspend).ok();
        }
    }

    /// Lets them continue.
    pub(crate) fn resume(&self) {
        #[cfg(target_os = "linux")]
        if let Owner::Keeper(keeper) = self {
            keeper.instruct_all(Instruction::Resume).ok();
        }
    }

    /// Returns when nothing that it started is left.
    pub(crate) async fn close(self) {
        self.dismiss().gone().await;
    }

    /// Dismisses it after its last test. The kernel needs some milliseconds to remove a box.
    pub(crate) fn dismiss(self) -> Leaving {
        match self {
            #[cfg(target_os = "linux")]
            Owner::Keeper(keeper) => Leaving::Keeper(keeper.dismiss()),
            Owner::Group { .. } => Leaving::Gone,
        }
    }
}

/// An owner that was dismissed.
#[derive(Debug)]
#[must_use = "the run has to wait until nothing is left"]
pub(crate) enum Leaving {
    /// Its keeper exits.
    #[cfg(target_os = "linux")]
    Keeper(Dismissed),
    /// There is no keeper.
    Gone,
}

impl Leaving {
    /// Returns when nothing that the owner started is left.
    pub(crate) async fn gone(self) {
        match self {
            #[cfg(target_os = "linux")]
            Leaving::Keeper(keeper) => keeper.gone().await,
            Leaving::Gone => {}
        }
    }
}

impl Remains {
    /// Has the test's files removed or kept.
    pub(super) async fn settle(self, fate: Fate) -> Settled {
        match self {
            #[cfg(target_os = "linux")]
            Remains::Supervised(control) => super::supervised::settle(control, fate).await,
            Remains::Ours(scratch) => settle(&scratch, fate),
            Remains::None => Settled::default(),
        }
    }
}

/// Removes or keeps the files of a test in this process.
pub(super) fn settle(scratch: &Path, fate: Fate) -> Settled {
    let mounted = mounts::below(scratch);
    mounts::detach_below(scratch);
    let mounted = mounted.iter().map(|point| point.display().to_string());
    let mut leaks = Leak::list(&LeakKind::Mount, mounted.collect());
    let is_empty = std::fs::remove_dir(scratch).is_ok();
    if fate == Fate::Remove && !is_empty {
        leaks.extend(removal::files_left(scratch));
    }
    // A link in its place leads to foreign files: nothing is kept.
    let is_directory = std::fs::symlink_metadata(scratch).is_ok_and(|metadata| metadata.is_dir());
    let is_kept = fate == Fate::Preserve && is_directory;
    if !is_kept && let Err(why) = removal::remove(scratch) {
        leaks.push(Leak::new(
            LeakKind::File,
            format!("`{}` could not be removed: {why}", scratch.display()),
        ));
    }
    let kept = is_kept.then(|| KeptFiles::whole(scratch));
    Settled { leaks, kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_leftover_files_some_are_named_and_the_others_counted() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = parent.path().join("scratch");
        std::fs::create_dir(&scratch).unwrap();
        (10..22).for_each(|n| std::fs::write(scratch.join(n.to_string()), "").unwrap());
        let found: Vec<String> = settle(&scratch, Fate::Remove)
            .leaks
            .into_iter()
            .map(|leak| leak.what)
            .collect();
        let files = (10..19).map(|n| n.to_string());
        let expected: Vec<String> = files.chain(["and 3 more".to_owned()]).collect();
        assert_eq!(found, expected);
        assert!(!scratch.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_a_tests_directory_is_not_followed() {
        let parent = tempfile::tempdir().unwrap();
        let (scratch, outside) = (parent.path().join("scratch"), parent.path().join("outside"));
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret"), "").unwrap();
        for (fate, expected) in [
            (
                Fate::Remove,
                &["something else in the place of its temporary directory"][..],
            ),
            (Fate::Preserve, &[]),
        ] {
            std::os::unix::fs::symlink(&outside, &scratch).unwrap();
            let settled = settle(&scratch, fate);
            let leaks: Vec<&str> = settled.leaks.iter().map(|leak| &*leak.what).collect();
            assert_eq!((&*leaks, settled.kept), (expected, None));
            assert!(scratch.symlink_metadata().is_err() && outside.join("secret").exists());
        }
    }
}
