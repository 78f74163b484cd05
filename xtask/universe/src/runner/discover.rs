//! From sources to tests: probe, build once, probe again with the build's binaries, list the tests
//! of each binary.
//!
//! Used by `test` and `list`. Does not decide what runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::interrupt::Interrupts;
use crate::machine::capability::{Capabilities, Capability};
use crate::report::events::Events;
use crate::runner::capabilities::try_own;
use crate::runner::execution::{Asker, Environment, Owner};
use crate::runner::libtest::{self, Asked, Listed};
use crate::select::filter::Subject;
use crate::select::ignore::Ignore;
use crate::select::plan::{self, CapabilityState, CapabilityStates, Form, Test};
use crate::workspace::cargo::{self, Build, BuildArgs, Harness, Selection, TestBinary};
use crate::workspace::config::BUILT_IN;
use crate::workspace::metadata::Workspace;
use crate::workspace::source::Sources;

/// The facts that every later decision needs.
#[derive(Debug)]
pub(crate) struct Discovered {
    /// The features that were built, as `package/feature`.
    pub(crate) features: Vec<String>,
    pub(crate) capabilities: Capabilities,
    pub(crate) environment: Environment,
    pub(crate) tests: Vec<Test>,
}

/// What discovery needs besides the workspace.
#[derive(Debug)]
pub(crate) struct Means<'a> {
    pub(crate) interrupts: &'a mut Interrupts,
    pub(crate) events: &'a Events,
    /// The owner of the tests. The capabilities must hold in its surroundings.
    pub(crate) owner: &'a Arc<Owner>,
}

/// Builds with the features that `capabilities` suggest, then runs the probes that need a build,
/// and lists the tests. Each step is a phase in the events.
pub(crate) async fn discover(
    workspace: &Workspace,
    mut capabilities: Capabilities,
    args: &BuildArgs,
    means: Means<'_>,
) -> Result<Discovered, Stop> {
    let Means {
        interrupts,
        events,
        owner,
    } = means;
    tokio::select! {
        () = try_own(&mut capabilities, workspace, owner) => {}
        signal = interrupts.next() => return Err(signal.stop()),
    }
    let built = match &workspace.archived {
        Some(archived) => Built {
            features: archived.features.clone(),
            build: archived.build.clone(),
        },
        None => {
            events.phase("build");
            let built = built(workspace, &capabilities, args, interrupts).await?;
            events.phase("probe");
            built
        }
    };
    let Built { features, build } = built;
    let probe = workspace.config.probe.as_ref();
    let probe = probe.and_then(|probe| build.bins.get(&probe.binary));
    owner.probe(&mut capabilities, probe.map(PathBuf::as_path)).await;
    let environment = Arc::new(Environment::new(workspace, &build));
    events.phase("list");
    let listing = listing(&build, &environment, owner);
    let tests = tokio::select! {
        tests = tests(workspace, &build, listing) => tests?,
        signal = interrupts.next() => return Err(signal.stop()),
    };
    let environment = Arc::unwrap_or_clone(environment);
    Ok(Discovered {
        features,
        capabilities,
        environment,
        tests,
    })
}

/// What cargo built.
#[derive(Debug)]
pub(crate) struct Built {
    /// The features, as `package/feature`.
    pub(crate) features: Vec<String>,
    pub(crate) build: Build,
}

/// Builds all tests with the features that `capabilities` suggest.
pub(crate) async fn built(
    workspace: &Workspace,
    capabilities: &Capabilities,
    args: &BuildArgs,
    interrupts: &mut Interrupts,
) -> Result<Built, Stop> {
    let features = workspace.features(&capabilities.features(&workspace.config));
    let features = args.of_built_packages(workspace, features);
    let selection = Selection::Tests { features: &features };
    let build = cargo::build(workspace, selection, args, interrupts).await?;
    Ok(Built { features, build })
}

impl Discovered {
    /// All tests as filters see them.
    pub(crate) fn subjects(&self) -> Vec<Subject<'_>> {
        self.tests.iter().map(Test::subject).collect()
    }
}

/// The capabilities as a plan needs them.
pub(crate) fn capability_states(capabilities: &Capabilities) -> CapabilityStates {
    let standing = |capability: &Capability| match capability.available {
        true => CapabilityState::Held,
        false => CapabilityState::Missing(capability.evidence.clone()),
    };
    capabilities
        .iter()
        .map(|capability| (capability.name.to_string(), standing(capability)))
        .collect()
}

/// The number of a binary, and its answer.
type Answer = (usize, Result<Option<Vec<Listed>>, Stop>);

/// Asks all binaries at once. A task that is dropped before the answer ends its binary, with
/// everything it started.
fn listing(build: &Build, environment: &Arc<Environment>, owner: &Arc<Owner>) -> JoinSet<Answer> {
    let mut listing = JoinSet::new();
    for (number, binary) in build.tests.iter().enumerate() {
        let (binary, environment) = (Arc::clone(binary), Arc::clone(environment));
        let asker = Asker::new(Arc::clone(owner), number);
        listing.spawn(async move { (number, list(&binary, &environment, &asker).await) });
    }
    listing
}

/// All tests of `build`, in the order of the binaries and, within one binary, in libtest's order.
async fn tests(
    workspace: &Workspace,
    build: &Build,
    mut listing: JoinSet<Answer>,
) -> Result<Vec<Test>, Stop> {
    let mut listed = BTreeMap::new();
    while let Some(answer) = listing.join_next().await {
        let (number, tests) =
            answer.map_err(|error| Stop::new(Exit::ListFailed, FailureKind::List, error.to_string()))?;
        listed.insert(number, tests?);
    }
    let binaries = build.tests.iter().zip(listed.into_values());
    Ok(binaries
        .flat_map(|(binary, listed)| located(workspace, binary, listed))
        .collect())
}

/// The tests of a binary. `None` stands for a harness that does not list its tests: the whole
/// binary runs as one test.
async fn list(
    binary: &Arc<TestBinary>,
    environment: &Environment,
    asker: &Asker,
) -> Result<Option<Vec<Listed>>, Stop> {
    let asked = Asked {
        id: &binary.id(),
        command: || environment.command(binary),
        asker,
    };
    match binary.harness {
        Harness::Libtest => libtest::list(&asked).await.map(Some),
        Harness::Custom => Ok(libtest::list_if_understood(&asked).await),
    }
}

fn located(workspace: &Workspace, binary: &Arc<TestBinary>, listed: Option<Vec<Listed>>) -> Vec<Test> {
    let Some(listed) = listed else {
        return vec![whole(workspace, binary)];
    };
    if listed.is_empty() {
        return Vec::new();
    }
    let sources = Sources::scan(&binary.source);
    let test = |Listed { name, ignore }| {
        let (file, line) = match sources.find(&name) {
            Some((file, line)) => (file, Some(line)),
            None => (binary.source.as_path(), None),
        };
        let place = Some((relative(file, &workspace.root), line));
        Test {
            binary: Arc::clone(binary),
            name,
            ignore: if workspace.config.is_given {
                ignore
            } else {
                unconditional(ignore)
            },
            place,
            form: Form::One,
        }
    };
    listed.into_iter().map(test).collect()
}

/// A test that is a whole binary.
fn whole(workspace: &Workspace, binary: &Arc<TestBinary>) -> Test {
    let name = binary.target.rsplit('/').next().unwrap_or(&binary.target);
    Test {
        binary: Arc::clone(binary),
        name: name.to_owned(),
        ignore: Ignore::No,
        place: Some((relative(&binary.source, &workspace.root), Some(1))),
        form: Form::Whole,
    }
}

/// In a workspace that does not know this runner, "needs x" is a reason like any other, unless all
/// that it names is built in.
fn unconditional(ignore: Ignore) -> Ignore {
    let is_foreign = |reason: &str| plan::needs(reason).iter().any(|name| !BUILT_IN.contains(name));
    match ignore {
        Ignore::Because(reason) if is_foreign(&reason) => Ignore::Because(format!("it {reason}")),
        other => other,
    }
}

fn relative(file: &Path, root: &Path) -> PathBuf {
    file.strip_prefix(root).unwrap_or(file).to_owned()
}
