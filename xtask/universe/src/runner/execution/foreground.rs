//! One test in the foreground, for a debugger: with our streams and our terminal, in our process
//! group, without a time limit. Ctrl-C is the debugger's.

use std::process::ExitStatus;

use tokio::process::{Child, Command};

use super::process::{End, Ended, Watch, halted, insisted, sweep};
use crate::base::clock;
use crate::base::os::{self, Kill};

/// Runs `command` to its end, and ends what it leaves behind.
pub(super) async fn run(mut command: Command, mut watch: Watch) -> Ended {
    let (started, start) = (clock::wall(), clock::now());
    command.kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ended::not_started(error),
    };
    let end = tokio::select! {
        status = child.wait() => ended(status),
        halt = halted(&mut watch.halt) => {
            end(&mut child, &mut watch).await;
            End::Halted(halt)
        }
    };
    let elapsed = clock::now() - start;
    let leaks = sweep(|pid| os::environment_contains(pid, &watch.mark)).await;
    Ended {
        started,
        elapsed,
        leaks,
        ..Ended::silent(end)
    }
}

fn ended(status: std::io::Result<ExitStatus>) -> End {
    status.map_or_else(End::NotStarted, End::Exited)
}

/// Asks it to end, with all that it started, and then kills it.
async fn end(child: &mut Child, watch: &mut Watch) {
    let signal = |child: &Child, how| {
        let below = child.id().map(os::descendants).unwrap_or_default();
        let all = child.id().into_iter().chain(below);
        all.for_each(|pid| os::kill(pid, how));
    };
    signal(child, Kill::Gently);
    tokio::select! {
        _ = child.wait() => return,
        () = clock::after(watch.grace) => {}
        () = insisted(&mut watch.halt) => {}
    }
    signal(child, Kill::Now);
    child.kill().await.ok();
}
