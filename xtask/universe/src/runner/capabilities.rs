//! Trying what a workspace describes as a capability of its own, where its tests will run.
//!
//! Each attempt is a process that is owned like a test: it has a temporary directory of its own and
//! a time limit, and whatever it has started ends with it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::base::clock;
use crate::base::runtime;
use crate::machine::capability::described::{self, Attempt, Place};
use crate::machine::capability::{Capabilities, Capability, detect};
use crate::runner::execution::{Owner, Question};
use crate::sandbox::isolation::{Isolation, Level, Network};
use crate::workspace::config::OwnCapability;
use crate::workspace::fuse_mode::FuseMode;
use crate::workspace::metadata::Workspace;

/// All that can be known without a build, outside the box: for whoever runs no tests.
///
/// # Errors
/// When there is no temporary directory.
pub async fn tried(workspace: &Workspace, mode: FuseMode) -> anyhow::Result<Capabilities> {
    let mut capabilities = detect(mode, &workspace.config);
    if workspace.config.capabilities.is_empty() {
        return Ok(capabilities);
    }
    let scratch = tempfile::tempdir().context("could not create a temporary directory")?;
    let owner = Arc::new(Owner::choose(
        Isolation::Process,
        &scratch.path().join("capabilities"),
    )?);
    try_own(&mut capabilities, workspace, &owner).await;
    if let Some(owner) = Arc::into_inner(owner) {
        owner.close().await;
    }
    Ok(capabilities)
}

/// The same for whoever has no runtime.
///
/// # Errors
/// As for [`tried`].
pub fn detect_for(workspace: &Workspace, mode: FuseMode) -> anyhow::Result<Capabilities> {
    runtime::block_on(tried(workspace, mode))?
}

/// Tries all that the workspace describes, at once, as `owner` will run its tests.
pub(crate) async fn try_own(capabilities: &mut Capabilities, workspace: &Workspace, owner: &Arc<Owner>) {
    let ground = Arc::new(Ground {
        owner: Arc::clone(owner),
        root: workspace.root.clone(),
        tools: workspace.tools(),
        variables: workspace.settings(),
    });
    let mut trials = JoinSet::new();
    for (number, (name, own)) in workspace.config.capabilities.iter().enumerate() {
        let (ground, name, own) = (Arc::clone(&ground), name.clone(), own.clone());
        trials.spawn(async move { ground.verdict(number, &name, &own).await });
    }
    while let Some(verdict) = trials.join_next().await {
        // A task of ours that panics leaves its capability untried, which is missing.
        if let Ok(verdict) = verdict {
            capabilities.found(verdict);
        }
    }
}

/// What all attempts have in common.
#[derive(Debug)]
struct Ground {
    owner: Arc<Owner>,
    root: PathBuf,
    tools: PathBuf,
    variables: BTreeMap<String, OsString>,
}

impl Ground {
    fn place(&self) -> Place<'_> {
        Place {
            root: &self.root,
            tools: &self.tools,
            variables: &self.variables,
        }
    }

    /// Tries the conditions of one capability until one fails; `number` makes its labels unique.
    async fn verdict(&self, number: usize, name: &str, own: &OwnCapability) -> Capability {
        let place = self.place();
        let mut evidence = Vec::new();
        match described::variable(own, &place) {
            Some(Err(cause)) => return described::verdict(name, own, Err(cause)),
            found => evidence.extend(found.and_then(Result::ok)),
        }
        for (count, attempt) in described::attempts(own, &place).iter().enumerate() {
            let label = format!("capability-{number}-{count}");
            let command = Command::from(attempt.command(&place));
            let question = Question {
                label: &label,
                limit: own.timeout,
                network: own.network,
            };
            match attempt.judge(self.owner.output(command, question).await) {
                Ok(found) => evidence.push(found),
                Err(cause) => {
                    let missing = described::verdict(name, own, Err(cause));
                    let may_be_beyond = attempt.dials() && own.network != Network::Host;
                    let is_beyond = may_be_beyond && self.answers_outside(attempt, own.timeout).await;
                    return if is_beyond {
                        beyond_the_box(missing)
                    } else {
                        missing
                    };
                }
            }
        }
        described::verdict(name, own, Ok(evidence))
    }

    /// Whether an address that cannot be reached in the box can be reached outside.
    async fn answers_outside(&self, attempt: &Attempt, limit: Duration) -> bool {
        if self.owner.level() != Level::Box {
            return false;
        }
        let mut command = Command::from(attempt.command(&self.place()));
        command.kill_on_drop(true).stdin(Stdio::null());
        tokio::select! {
            output = command.output() => output.is_ok_and(|output| output.status.success()),
            () = clock::after(limit) => false,
        }
    }
}

/// A service that only tests outside the box reach: no hint on how to start it helps.
fn beyond_the_box(missing: Capability) -> Capability {
    Capability {
        evidence: format!(
            "{} in the box of the tests, though it can be reached outside",
            missing.evidence
        ),
        hint: Some(
            "`network = \"host\"`, in this capability and in an override for its tests, gives them the machine's network"
                .to_owned(),
        ),
        ..missing
    }
}
