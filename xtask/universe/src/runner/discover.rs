//! From sources to tests: probe, build once, probe again with the build's binaries, list the tests
//! of each binary.
//!
//! Used by `test` and `list`. Does not decide what runs.

mod head_start;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::interrupt::Interrupts;
use crate::base::limits::{LIST_TIMEOUT, RUSTDOC_LIST_TIMEOUT};
use crate::machine::capability::{Capabilities, Capability};
use crate::report::events::Events;
use crate::runner::capabilities::try_own;
use crate::runner::execution::{Asker, Environment, Owner};
use crate::runner::libtest::{self, Asked, Listed};
use crate::select::doc_test::{self, DocName};
use crate::select::filter::Subject;
use crate::select::ignore::Ignore;
use crate::select::plan::{self, CapabilityState, CapabilityStates, Form, Test};
use crate::workspace::cargo::doc_tests::RustdocCall;
use crate::workspace::cargo::test_runner::TestRunners;
use crate::workspace::cargo::{Build, BuildArgs, Building, Harness, TestBinary};
use crate::workspace::config::BUILT_IN;
use crate::workspace::metadata::Workspace;
use crate::workspace::source::{Scanned, Sources};
pub(crate) use head_start::HeadStart;

/// The facts that every later decision needs.
#[derive(Debug)]
pub(crate) struct Discovered {
    /// The features that were built, as `package/feature`.
    pub(crate) features: Vec<String>,
    pub(crate) capabilities: Capabilities,
    pub(crate) environment: Environment,
    pub(crate) tests: Vec<Test>,
    /// Whether they are all tests of the workspace.
    pub(crate) is_all: bool,
}

/// What discovery needs besides the workspace.
#[derive(Debug)]
pub(crate) struct Means<'a> {
    pub(crate) interrupts: &'a mut Interrupts,
    pub(crate) events: &'a Events,
    /// The owner of the tests. The capabilities must hold in its surroundings.
    pub(crate) owner: &'a Arc<Owner>,
}

/// Builds with the features that the capabilities suggest, then runs the probes that need a build,
/// and lists the tests. Each step is a phase in the events.
pub(crate) async fn discover(
    workspace: &Workspace,
    mut begun: HeadStart,
    means: Means<'_>,
) -> Result<Discovered, Stop> {
    let Means {
        interrupts,
        events,
        owner,
    } = means;
    let args = begun.args().clone();
    let mut capabilities = begun.capabilities().await?;
    if let Err(stop) = try_capabilities(&mut capabilities, workspace, owner, interrupts).await {
        begun.end().await;
        return Err(stop);
    }
    let built = match &workspace.archived {
        Some(archived) => Built {
            features: archived.features.clone(),
            build: archived.build.clone(),
        },
        None => {
            events.phase("build");
            let built = begun.built(workspace, &capabilities, interrupts).await?;
            events.phase("probe");
            built
        }
    };
    let Built { features, build } = built;
    let probe = workspace.config.probe.as_ref();
    let probe = probe.and_then(|probe| build.bins.get(&probe.binary));
    owner.probe(&mut capabilities, probe.map(PathBuf::as_path)).await;
    let runners = match &workspace.archived {
        Some(_) => TestRunners::default(),
        None => TestRunners::find(&workspace.directory, args.target.as_deref())?,
    };
    let environment = Arc::new(Environment::new(workspace, &build, runners)?);
    events.phase("list");
    let listing = listing(&build, &environment, owner);
    let tests = tokio::select! {
        tests = tests(workspace, &build, listing) => tests?,
        signal = interrupts.next() => return Err(signal.stop()),
    };
    if tests.is_empty() && args.doc_tests.is_only() {
        let message = "the selected packages have no doc tests";
        return Err(Stop::new(Exit::NoTests, FailureKind::NoTests, message));
    }
    let environment = Arc::unwrap_or_clone(environment);
    Ok(Discovered {
        features,
        capabilities,
        environment,
        tests,
        is_all: args.takes_all_tests(workspace),
    })
}

/// Tries what the workspace describes, where its tests will run.
pub(crate) async fn try_capabilities(
    capabilities: &mut Capabilities,
    workspace: &Workspace,
    owner: &Arc<Owner>,
    interrupts: &mut Interrupts,
) -> Result<(), Stop> {
    tokio::select! {
        () = try_own(capabilities, workspace, owner) => Ok(()),
        signal = interrupts.next() => Err(signal.stop()),
    }
}

/// What cargo built.
#[derive(Debug)]
pub(crate) struct Built {
    /// The features, as `package/feature`.
    pub(crate) features: Vec<String>,
    pub(crate) build: Build,
}

/// Builds the tests with the features that `capabilities` suggest.
pub(crate) async fn built(
    workspace: &Workspace,
    capabilities: &Capabilities,
    args: &BuildArgs,
    interrupts: &mut Interrupts,
) -> Result<Built, Stop> {
    let features = workspace.features(&capabilities.features(&workspace.config));
    let features = args.of_built_packages(workspace, features);
    let building = Building::start(workspace, &features, args)?;
    let build = building.finish(workspace, args, interrupts).await?;
    Ok(Built { features, build })
}

impl Discovered {
    /// The packages whose doc tests run as one test.
    pub(crate) fn merged_doc_tests(&self) -> impl Iterator<Item = &str> {
        let is_merged =
            |test: &&Test| test.form == Form::Whole && matches!(test.binary.harness, Harness::Rustdoc(_));
        self.tests
            .iter()
            .filter(is_merged)
            .map(|test| test.binary.package.name.as_str())
    }

    /// All tests as filters see them.
    pub(crate) fn subjects(&self) -> Vec<Subject<'_>> {
        self.tests.iter().map(Test::subject).collect()
    }
}

/// The capabilities as a plan needs them.
pub(crate) fn capability_states(capabilities: &Capabilities) -> CapabilityStates {
    let standing = |capability: &Capability| match capability.available {
        true => CapabilityState::Held,
        false => CapabilityState::Missing(match &capability.hint {
            Some(hint) => format!("{}; hint: {hint}", capability.evidence),
            None => capability.evidence.clone(),
        }),
    };
    capabilities
        .iter()
        .map(|capability| (capability.name.to_string(), standing(capability)))
        .collect()
}

/// The number of a binary, its tests if it lists them, and where they may be.
type Answer = (usize, Result<(Option<Vec<Listed>>, Sources), Stop>);

/// Asks all binaries at once. A task that is dropped before the answer ends its binary, with
/// everything it started.
fn listing(build: &Build, environment: &Arc<Environment>, owner: &Arc<Owner>) -> JoinSet<Answer> {
    let (mut listing, scanned) = (JoinSet::new(), Arc::new(Scanned::default()));
    for (number, binary) in build.tests.iter().enumerate() {
        let (binary, environment) = (Arc::clone(binary), Arc::clone(environment));
        let (asker, scanned) = (Asker::new(Arc::clone(owner), number), Arc::clone(&scanned));
        listing.spawn(async move {
            let answer = async {
                let listed = list(&binary, &environment, &asker).await?;
                let has_sources = listed.as_ref().is_some_and(|tests| !tests.is_empty())
                    && !matches!(binary.harness, Harness::Rustdoc(_));
                let sources = match has_sources {
                    true => sources(&binary, scanned).await,
                    false => Sources::default(),
                };
                Ok((listed, sources))
            };
            (number, answer.await)
        });
    }
    listing
}

/// Scans the sources of a binary while others list their tests.
async fn sources(binary: &Arc<TestBinary>, scanned: Arc<Scanned>) -> Sources {
    let binary = Arc::clone(binary);
    let scan = tokio::task::spawn_blocking(move || Sources::scan(&binary.source, &scanned));
    // A scan that panics loses the places of the tests.
    scan.await.unwrap_or_default()
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
        .flat_map(|(binary, (listed, sources))| located(workspace, binary, listed, &sources))
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
        limit: match &binary.harness {
            Harness::Libtest | Harness::Custom => LIST_TIMEOUT,
            Harness::Rustdoc(_) => RUSTDOC_LIST_TIMEOUT,
        },
    };
    match &binary.harness {
        Harness::Libtest => libtest::list(&asked).await.map(Some),
        Harness::Custom => Ok(libtest::list_if_understood(&asked).await),
        Harness::Rustdoc(call) => libtest::list_doc_tests(&asked, &call.directory).await.map(Some),
    }
}

fn located(
    workspace: &Workspace,
    binary: &Arc<TestBinary>,
    listed: Option<Vec<Listed>>,
    sources: &Sources,
) -> Vec<Test> {
    let Some(listed) = listed else {
        return vec![whole(workspace, binary)];
    };
    if let Harness::Rustdoc(call) = &binary.harness {
        return documented(workspace, (binary, call), listed);
    }
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

/// The doc tests of a library: one test each, or all as one if they cannot be told apart.
fn documented(
    workspace: &Workspace,
    (binary, call): (&Arc<TestBinary>, &RustdocCall),
    listed: Vec<Listed>,
) -> Vec<Test> {
    let names: Vec<String> = listed.iter().map(|test| test.name.clone()).collect();
    let Some(words) = doc_test::words(&names) else {
        return vec![whole(workspace, binary)];
    };
    let test = |(Listed { name, ignore }, words)| {
        let place = DocName::parse(&name).map(|parts| {
            let file = call.directory.join(parts.path());
            (relative(&file, &workspace.root), Some(parts.line))
        });
        Test {
            binary: Arc::clone(binary),
            place: place.or_else(|| Some((relative(&binary.source, &workspace.root), None))),
            name,
            ignore,
            form: Form::Doc(words),
        }
    };
    listed.into_iter().zip(words).map(test).collect()
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
