//! What cargo builds: packages, targets, features and profile, as a command line.

use std::path::PathBuf;
use std::sync::Arc;

use super::DocTestArgs;
use crate::base::invocation::Invocation;
use crate::workspace::fuse_mode::FuseArgs;
use crate::workspace::metadata::{Package, Workspace};

/// The options that a subcommand passes on to cargo.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Build")]
pub struct BuildArgs {
    /// Build and run the tests with optimisation
    #[arg(long, short)]
    pub release: bool,
    #[command(flatten)]
    /// Whether to run doc tests.
    pub doc_tests: DocTestArgs,
    #[command(flatten)]
    /// Whether to build with FUSE.
    pub fuse: FuseArgs,
    /// Fail if Cargo.lock would have to change
    #[arg(long)]
    pub locked: bool,
    /// Do not touch the network
    #[arg(long)]
    pub offline: bool,
    /// Build and run this package only (repeatable)
    #[arg(long, short, value_name = "SPEC")]
    pub package: Vec<String>,
    /// Build and run every package, not only the default members
    #[arg(long)]
    pub workspace: bool,
    /// Also build with these cargo features (repeatable)
    #[arg(long, short = 'F', value_name = "FEATURES")]
    pub features: Vec<String>,
    /// Build with all cargo features
    #[arg(long)]
    pub all_features: bool,
    /// Build without the cargo features that are on by default
    #[arg(long)]
    pub no_default_features: bool,
    /// Use the workspace of this Cargo.toml instead of the one around the current directory
    #[arg(long, value_name = "PATH")]
    pub manifest_path: Option<PathBuf>,
}

/// What `cargo test` builds: tests may run the examples, and a broken one is an error.
const TARGETS: [&str; 3] = ["--bins", "--examples", "--tests"];

/// What to build.
#[derive(Debug, Clone, Copy)]
pub enum Selection<'a> {
    /// Every binary and every test of the workspace except xtask (Windows cannot overwrite a
    /// running executable), with these features, given as `package/feature`.
    Tests {
        /// The features.
        features: &'a [String],
    },
    /// The libraries of the same packages whose documentation is tested.
    DocTests {
        /// The features.
        features: &'a [String],
    },
    /// Some binaries of one package, with these features, given as `package/feature`. In a debug
    /// build cargo selects the same packages, features and profile as for the tests, so that
    /// neither build recompiles anything of the other.
    Binaries {
        /// The package.
        package: &'a str,
        /// The names of its binaries.
        names: &'a [&'a str],
        /// The features.
        features: &'a [String],
    },
}

impl Selection<'_> {
    /// The subcommand of cargo.
    pub(super) fn subcommand(self) -> &'static [&'static str] {
        match self {
            Selection::DocTests { .. } => &["test", "--doc"],
            Selection::Tests { .. } | Selection::Binaries { .. } => &["build"],
        }
    }

    /// The arguments of the subcommand.
    pub(super) fn arguments(self, workspace: &Workspace, args: &BuildArgs) -> Vec<String> {
        let mut arguments = match self {
            Selection::Tests { features } => {
                let mut arguments = args.packages(workspace);
                arguments.extend(TARGETS.map(str::to_owned));
                arguments.extend(args.feature_words());
                arguments.extend(features_of(features));
                arguments
            }
            Selection::DocTests { features } => {
                let mut arguments = args.packages(workspace);
                arguments.extend(args.feature_words());
                arguments.extend(features_of(features));
                arguments
            }
            Selection::Binaries {
                package,
                names,
                features,
            } => {
                let names = names.iter().map(|name| format!("--bin={name}"));
                let packages = match args.release {
                    true => vec![format!("--package={package}")],
                    false => args.packages(workspace),
                };
                packages
                    .into_iter()
                    .chain(names)
                    .chain(features_of(features))
                    .collect()
            }
        };
        let flags = [
            (args.release, "--release"),
            // As `cargo test` does; it shares the common parts with the profile `dev`.
            (!args.release, "--profile=test"),
            (args.locked, "--locked"),
            (args.offline, "--offline"),
        ];
        arguments.extend(
            flags
                .iter()
                .filter(|(on, _)| *on)
                .map(|(_, flag)| (*flag).to_owned()),
        );
        arguments
    }
}

fn features_of(features: &[String]) -> impl Iterator<Item = String> {
    features.iter().map(|feature| format!("--features={feature}"))
}

impl BuildArgs {
    /// Of `features`, given as `package/feature`, those of packages that are built.
    pub(crate) fn of_built_packages(&self, workspace: &Workspace, mut features: Vec<String>) -> Vec<String> {
        let members = self.members(workspace);
        let belongs = |feature: &String, member: &Package| {
            let rest = feature.strip_prefix(member.name.as_str());
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        features.retain(|feature| members.iter().any(|member| belongs(feature, member)));
        features
    }

    /// The options that select packages, features and doc tests, for a command that repeats the
    /// run.
    pub(crate) fn words(&self) -> Vec<String> {
        let packages = self.package.iter().map(|spec| format!("--package={spec}"));
        let all = self.workspace.then(|| "--workspace".to_owned());
        let packages = packages.chain(all).chain(self.feature_words());
        packages.chain(self.doc_tests.words()).collect()
    }

    fn feature_words(&self) -> Vec<String> {
        let flags = [
            (self.all_features, "--all-features"),
            (self.no_default_features, "--no-default-features"),
        ];
        let flags = flags.iter().filter(|(on, _)| *on);
        features_of(&self.features)
            .chain(flags.map(|(_, flag)| (*flag).to_owned()))
            .collect()
    }

    /// Which packages: the named ones, or all, or cargo's default members; but never xtask itself
    /// (Windows cannot overwrite a running executable). It is not a member if it runs on another
    /// workspace.
    fn packages(&self, workspace: &Workspace) -> Vec<String> {
        if !self.package.is_empty() {
            return self
                .package
                .iter()
                .map(|spec| format!("--package={spec}"))
                .collect();
        }
        let this = Invocation::current().package;
        if !self.takes_all(workspace) {
            let members = self.members(workspace).into_iter();
            let others = members.filter(|member| Some(member.name.as_str()) != this);
            return others
                .map(|member| format!("--package={}", member.name))
                .collect();
        }
        let this = this.filter(|this| workspace.contains(this));
        let exclude = this.map(|this| format!("--exclude={this}"));
        ["--workspace".to_owned()].into_iter().chain(exclude).collect()
    }

    /// Whether every member of the workspace is selected.
    pub(crate) fn takes_all(&self, workspace: &Workspace) -> bool {
        self.members(workspace).len() == workspace.packages.len()
    }

    pub(super) fn members<'a>(&self, workspace: &'a Workspace) -> Vec<&'a Arc<Package>> {
        let is_named = |package: &Package, spec: &String| {
            spec.split('@').next().is_some_and(|name| name == package.name)
        };
        let is_member = |package: &&Arc<Package>| match self.package.as_slice() {
            [] => self.workspace || workspace.default_members.contains(&package.id),
            specs => specs.iter().any(|spec| is_named(package, spec)),
        };
        workspace.packages.values().filter(is_member).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_built_with_the_packages_features_and_profile_of_the_tests() {
        let workspace = Workspace::load(None).unwrap();
        let features = ["a/one".to_owned(), "b/two".to_owned()];
        let (args, features) = (BuildArgs::default(), features.as_slice());
        let mut tests = Selection::Tests { features }.arguments(&workspace, &args);
        tests.retain(|word| !TARGETS.contains(&word.as_str()));
        let probe = Selection::Binaries {
            package: "p",
            names: &["probe"],
            features,
        };
        let mut probe = probe.arguments(&workspace, &args);
        assert!(probe.contains(&"--bin=probe".to_owned()), "{probe:?}");
        probe.retain(|word| word != "--bin=probe");
        assert_eq!(probe, tests);
    }
}
