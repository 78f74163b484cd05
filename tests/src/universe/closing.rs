//! The end of a universe: either closed, with proof that nothing is left, or dropped by a failing
//! test, with everything that helps to understand the failure.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::Location;
use std::path::PathBuf;

use tokio::runtime::Handle;

use super::Universe;
use super::ground::Ground;
use crate::failure::{Caller, OrFail, fail, note};
use crate::leaks::{self, Census};
use crate::log;
use crate::seed::SEED_VARIABLE;
use crate::wait::{Look, complete, poll};

/// Lines of each log that are shown when a test fails.
const LINES_SHOWN: usize = 40;

thread_local! {
    /// Universes on this thread. The runtime of a test has one thread, so they share one count of
    /// tasks.
    static UNIVERSE_COUNT: Cell<usize> = const { Cell::new(0) };
}

/// What the process held before a universe was built; anything beyond it at the end is a leak.
#[derive(Debug)]
pub(super) struct Before {
    task_count: usize,
    census: Option<Census>,
}

impl Before {
    pub(super) fn look() -> Before {
        UNIVERSE_COUNT.set(UNIVERSE_COUNT.get() + 1);
        Before {
            task_count: task_count(),
            census: leaks::is_alone_in_process().then(Census::take),
        }
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        UNIVERSE_COUNT.set(UNIVERSE_COUNT.get().saturating_sub(1));
    }
}

fn task_count() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

impl Universe {
    /// Stops everything, waits for the end, and fails the test if anything is left.
    #[track_caller]
    pub fn close(mut self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            self.stop(at).await;
            self.check_nothing_is_left(at).await;
            if let Some(ground) = self.ground.take() {
                let Ground { root, .. } = ground;
                root.close().or_fail(at, "remove the directory of the universe");
            }
        }
    }

    async fn stop(&mut self, at: Caller) {
        for actor in self.actors() {
            actor.close_at(at).await;
        }
        self.relay.shutdown_at(at).await;
        let links = self
            .ground
            .as_mut()
            .map(|ground| [ground.link.take(), ground.relay_link.take()]);
        for link in links.into_iter().flatten().flatten() {
            complete(at, "the end of a link", link.close()).await;
        }
    }

    async fn check_nothing_is_left(&self, at: Caller) {
        let ports = self
            .actors()
            .into_iter()
            .map(|actor| (actor.name().to_owned(), actor.addr()));
        for (name, addr) in ports.chain([("the relay".to_owned(), self.relay.addr())]) {
            poll(at, "a released port", || match leaks::is_released(addr) {
                true => Look::Ready(()),
                false => Look::NotYet(format!("{name} still holds {addr}")),
            })
            .await;
        }
        // All current universes share the runtime and the process, so only the last one checks what
        // these hold.
        if UNIVERSE_COUNT.get() == 1 {
            self.check_tasks(at).await;
            self.check_process(at).await;
        }
        self.check_files(at);
    }

    async fn check_tasks(&self, at: Caller) {
        let before = self.before.task_count;
        poll(at, "all tasks to end", || match task_count() {
            now if now <= before => Look::Ready(()),
            now => Look::NotYet(format!(
                "{now} tasks are alive; there were {before} before the universe"
            )),
        })
        .await;
    }

    async fn check_process(&self, at: Caller) {
        let Some(before) = &self.before.census else { return };
        poll(at, "the process to hold no more than before", || {
            let more = Census::take().beyond(before);
            if more.is_empty() {
                Look::Ready(())
            } else {
                Look::NotYet(more.join(", "))
            }
        })
        .await;
    }

    fn check_files(&self, at: Caller) {
        let expected: BTreeSet<PathBuf> = self
            .actors()
            .iter()
            .flat_map(|actor| actor.known_files())
            .collect();
        let root = self.ground(at).root.path();
        let files = leaks::unexpected_files(root, &expected).or_fail(at, "list the remaining files");
        let mounts = leaks::mounts_under(root);
        if !files.is_empty() || !mounts.is_empty() {
            fail(
                at,
                format_args!("the universe left files {files:?} and mounts {mounts:?}"),
            );
        }
    }

    /// Prints everything that helps to understand a failure.
    fn autopsy(&self, ground: &Ground) {
        let seed = ground.seed;
        note(format_args!(
            "---- the universe of this test (replay its payloads with {SEED_VARIABLE}={seed})"
        ));
        for actor in self.actors() {
            let lines = actor.log_tail(LINES_SHOWN).join("\n    ");
            note(format_args!(
                "  {} ({}):\n    {lines}",
                actor.name(),
                actor.fingerprint().fmt_short()
            ));
        }
        let lines = log::elsewhere().tail(LINES_SHOWN).join("\n    ");
        note(format_args!("  elsewhere in this process:\n    {lines}"));
    }
}

impl Drop for Universe {
    fn drop(&mut self) {
        let Some(ground) = self.ground.take() else { return };
        self.autopsy(&ground);
        for actor in self.actors() {
            actor.abandon();
        }
        let kept = ground.root.keep();
        note(format_args!("---- its directory is kept: {}", kept.display()));
        if !std::thread::panicking() {
            panic!("a universe was dropped without `close().await`\nhint: end the test with it");
        }
    }
}
