//! From a person's request to a plan: the same for `test`, which then runs it, and for `list`.
//!
//! Between the two steps, `discover` builds and lists the tests.

use std::collections::BTreeMap;

use crate::base::exit::Stop;
use crate::machine::capability;
use crate::runner::discover::{Discovered, capability_states};
use crate::select::filter::{Filter, FilterArgs};
use crate::select::overrides::Rules;
use crate::select::plan::{CapabilityState, Ignored, Plan, PlanOptions, Required};
use crate::select::scripts::Scripts;
use crate::select::subset::Subset;
use crate::workspace::cargo::BuildArgs;
use crate::workspace::metadata::Workspace;

/// A person's request.
#[derive(Debug)]
pub(crate) struct PlanRequest<'a> {
    pub(crate) filter: &'a FilterArgs,
    pub(crate) build: &'a BuildArgs,
    /// The capabilities that are required, by name.
    pub(crate) required: Vec<String>,
    pub(crate) ignored: Ignored,
    /// The seed of the order, if it is random.
    pub(crate) seed: Option<u64>,
}

/// The request, parsed before anything is built.
#[derive(Debug)]
pub(crate) struct Understood {
    pub(crate) filter: Filter,
    pub(crate) rules: Rules,
    pub(crate) scripts: Scripts,
    required: Required,
    ignored: Ignored,
    seed: Option<u64>,
}

/// The tests to run, and why.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) options: PlanOptions,
    /// Required capabilities that are missing, each with its reason.
    pub(crate) missing: BTreeMap<String, String>,
}

impl PlanRequest<'_> {
    /// Reads filters, overrides, scripts and requirements.
    ///
    /// # Errors
    /// When one of them is invalid.
    pub(crate) fn understand(&self, workspace: &Workspace) -> Result<Understood, Stop> {
        let untried = |name: &str| (name.to_owned(), CapabilityState::Missing("not tried".to_owned()));
        let untried = capability::names(&workspace.config).map(untried).collect();
        Ok(Understood {
            filter: self.filter.parse()?,
            rules: Rules::of(workspace)?,
            scripts: Scripts::of(workspace)?,
            required: Required::parse(&self.required, &untried)?,
            ignored: self.ignored,
            seed: self.seed,
        })
    }
}

impl Understood {
    /// Decides which of the found tests run.
    ///
    /// # Errors
    /// When no test is selected, or one needs an unknown capability.
    pub(crate) fn plan(self, found: &Discovered, subset: Subset) -> Result<Planned, Stop> {
        let capability_states = capability_states(&found.capabilities);
        let options = PlanOptions {
            required: self.required,
            ignored: self.ignored,
            seed: self.seed,
            rules: self.rules,
            scripts: self.scripts,
            subset,
        };
        let plan = Plan::make(found.tests.clone(), &self.filter, &capability_states, &options)?;
        let missing = plan.missing(&capability_states, &options.required);
        Ok(Planned {
            plan,
            options,
            missing,
        })
    }
}
