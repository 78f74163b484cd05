//! Prepared during the build: the owner of the tests' processes, the suspension clock, and the
//! speed of the machine.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::context::{Resources, Run};
use crate::base::exit::Stop;
use crate::base::interrupt::Interrupts;
use crate::base::os;
use crate::runner::discover::{self, Discovered, HeadStart, Means};
use crate::runner::execution::{self, Leaving, Owner, Ran};
use crate::runner::suspension::Pauses;
use crate::select::plan::Plan;

/// Prepared before the build, so that probes run where the tests will run.
#[derive(Debug)]
pub(super) struct Preparation {
    owner: Arc<Owner>,
    pauses: Pauses,
    /// Measured during the build.
    factor: JoinHandle<f64>,
}

impl Preparation {
    /// Starts an owner, listens for Ctrl-Z, measures the machine.
    pub(super) fn prepare(run: &Run<'_>) -> Result<Preparation, Stop> {
        let owner = Arc::new(run.owner()?);
        // The tests get the descriptor limit that they would have without the runner; the runner
        // needs some for each of them.
        os::raise_open_files();
        let pauses = Pauses::follow(&owner)?;
        let stretch = run.args.limits_and_leaks.stretch;
        let factor = tokio::task::spawn_blocking(move || stretch.resolve());
        Ok(Preparation {
            owner,
            pauses,
            factor,
        })
    }

    /// From sources to tests.
    pub(super) async fn discover(
        &self,
        run: &Run<'_>,
        begun: HeadStart,
        interrupts: &mut Interrupts,
    ) -> Result<Discovered, Stop> {
        let means = Means {
            interrupts,
            events: &run.events,
            owner: &self.owner,
        };
        discover::discover(&run.workspace, begun, means).await
    }

    /// Runs the plan. When this returns, nothing that a test started is left, and the owner leaves.
    pub(super) async fn run(
        self,
        run: &Run<'_>,
        plan: Plan,
        found: &Discovered,
        interrupts: Interrupts,
    ) -> (Ran, Leaving) {
        let resources = Resources {
            settings: run.stretched(self.factor.await.unwrap_or(1.0)),
            owner: Arc::clone(&self.owner),
            pauses: self.pauses,
        };
        let stage = run.stage(plan, found, resources);
        let ran = execution::run(&stage, interrupts).await;
        drop(stage);
        let leaving = Arc::into_inner(self.owner).map_or(Leaving::Gone, Owner::dismiss);
        (ran, leaving)
    }
}
