//! From sources to tests: probe, build once, probe again with what was built, ask each binary for its tests.
//!
//! Common to `test` and `list`. Decides nothing about what runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::binary::PROBE;
use crate::capability::{Capabilities, Capability};
use crate::cargo::{self, Build, BuildArgs, Selection, TestBinary};
use crate::events::Events;
use crate::exit::{Exit, Stop};
use crate::interrupt::Interrupts;
use crate::libtest::{self, Listed};
use crate::plan::{Standing, Standings, Test};
use crate::run::Environment;
use crate::source::Sources;
use crate::workspace::Workspace;

/// What had to be found out before anything can be decided.
#[derive(Debug)]
pub(crate) struct Discovered {
    /// The features that were built, as `package/feature`.
    pub(crate) features: Vec<String>,
    pub(crate) capabilities: Capabilities,
    pub(crate) environment: Environment,
    pub(crate) tests: Vec<Test>,
}

/// Builds with the features that `capabilities` suggest, proves what can be proven only then, and asks. Each step is a
/// phase among the events.
pub(crate) async fn discover(
    workspace: &Workspace,
    mut capabilities: Capabilities,
    args: &BuildArgs,
    (interrupts, events): (&mut Interrupts, &Events),
) -> Result<Discovered, Stop> {
    let features = workspace.features(&capabilities.features(&workspace.feature_names()));
    let selection = Selection::Tests { features: &features };
    events.phase("build");
    let build = cargo::build(workspace, selection, args, interrupts).await?;
    events.phase("probe");
    capabilities.confirm(build.bins.get(PROBE).map(PathBuf::as_path));
    let environment = Arc::new(Environment::new(workspace, &build));
    events.phase("list");
    let tests = tests(workspace, &build, &environment).await?;
    let environment = Arc::unwrap_or_clone(environment);
    Ok(Discovered {
        features,
        capabilities,
        environment,
        tests,
    })
}

impl Discovered {
    /// The ids of all tests.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.tests.iter().map(Test::id).collect()
    }
}

/// What a plan needs to know about the capabilities.
pub(crate) fn standings(capabilities: &Capabilities) -> Standings {
    let standing = |capability: &Capability| match capability.available {
        true => Standing::Held,
        false => Standing::Missing(capability.evidence.clone()),
    };
    capabilities
        .iter()
        .map(|capability| (capability.name.to_owned(), standing(capability)))
        .collect()
}

/// All tests of `build`, in the order of the binaries and, within one, in libtest's order.
async fn tests(
    workspace: &Workspace,
    build: &Build,
    environment: &Arc<Environment>,
) -> Result<Vec<Test>, Stop> {
    let mut listing = JoinSet::new();
    for (number, binary) in build.tests.iter().enumerate() {
        let (binary, environment) = (Arc::clone(binary), Arc::clone(environment));
        listing.spawn(async move { (number, list(&binary, &environment).await) });
    }
    let mut listed = BTreeMap::new();
    while let Some(answer) = listing.join_next().await {
        let (number, tests) =
            answer.map_err(|error| Stop::new(Exit::ListFailed, "list", error.to_string()))?;
        listed.insert(number, tests?);
    }
    let binaries = build.tests.iter().zip(listed.into_values());
    Ok(binaries
        .flat_map(|(binary, listed)| located(workspace, binary, listed))
        .collect())
}

async fn list(binary: &Arc<TestBinary>, environment: &Environment) -> Result<Vec<Listed>, Stop> {
    libtest::list(&binary.id(), || environment.command(binary)).await
}

fn located(workspace: &Workspace, binary: &Arc<TestBinary>, listed: Vec<Listed>) -> Vec<Test> {
    if listed.is_empty() {
        return Vec::new();
    }
    let sources = Sources::scan(&binary.source);
    let test = |Listed { name, ignore }| {
        let place = sources
            .find(&name)
            .map(|(file, line)| (relative(file, &workspace.root), line));
        Test {
            binary: Arc::clone(binary),
            name,
            ignore,
            place,
        }
    };
    listed.into_iter().map(test).collect()
}

fn relative(file: &Path, root: &Path) -> PathBuf {
    file.strip_prefix(root).unwrap_or(file).to_owned()
}
