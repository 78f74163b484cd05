//! What a discovery does first: it probes the machine in the background and, if the machine does
//! not decide what to build, has cargo build meanwhile.
//!
//! Cargo needs some time even if there is nothing to build, and most of it on one processor.

use anyhow::Context as _;
use tokio::task::JoinHandle;

use super::Built;
use crate::base::exit::Stop;
use crate::base::interrupt::Interrupts;
use crate::machine::capability::{Capabilities, detect, features_without_probes};
use crate::select::filter::Filter;
use crate::workspace::cargo::{BuildArgs, Building};
use crate::workspace::metadata::Workspace;

/// A discovery that has begun.
#[derive(Debug)]
pub(crate) struct HeadStart {
    args: BuildArgs,
    capabilities: JoinHandle<Capabilities>,
    building: Option<(Vec<String>, Building)>,
}

impl HeadStart {
    /// Begins. rustdoc is not asked for doc tests if `filter` can select none.
    ///
    /// # Errors
    /// When cargo cannot be started.
    pub(crate) fn begin(workspace: &Workspace, args: &BuildArgs, filter: &Filter) -> Result<HeadStart, Stop> {
        let doc_tests = match filter.may_select_doc_tests() {
            true => args.doc_tests.clone(),
            false => args.doc_tests.without(),
        };
        let args = BuildArgs {
            doc_tests,
            ..args.clone()
        };
        let (mode, config) = (args.fuse.mode, workspace.config.clone());
        let certain = features_without_probes(mode, &config).filter(|_| workspace.archived.is_none());
        let building = certain.map(|features| {
            let features = args.of_built_packages(workspace, workspace.features(&features));
            let building = Building::start(workspace, &features, &args)?;
            Ok::<_, Stop>((features, building))
        });
        Ok(HeadStart {
            capabilities: tokio::task::spawn_blocking(move || detect(mode, &config)),
            building: building.transpose()?,
            args,
        })
    }

    /// Gives up: ends the build.
    pub(crate) async fn end(self) {
        if let Some((_, building)) = self.building {
            building.end().await;
        }
    }

    /// What the machine can do, as far as that is known before a build.
    ///
    /// # Errors
    /// When a probe panicked.
    pub(super) async fn capabilities(&mut self) -> anyhow::Result<Capabilities> {
        let detected = (&mut self.capabilities).await;
        detected.context("could not probe the machine")
    }

    /// Waits for the build, which starts now if it depended on the `capabilities`.
    pub(super) async fn built(
        self,
        workspace: &Workspace,
        capabilities: &Capabilities,
        interrupts: &mut Interrupts,
    ) -> Result<Built, Stop> {
        match self.building {
            Some((features, building)) => {
                let build = building.finish(workspace, &self.args, interrupts).await?;
                Ok(Built { features, build })
            }
            None => super::built(workspace, capabilities, &self.args, interrupts).await,
        }
    }

    /// How cargo builds.
    pub(super) fn args(&self) -> &BuildArgs {
        &self.args
    }
}
