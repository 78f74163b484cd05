//! What cargo builds: packages, targets, features and profile, as a command line.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use super::DocTestArgs;
use super::targets::TargetArgs;
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
    /// Build with this profile of cargo
    #[arg(long, value_name = "NAME", conflicts_with = "release")]
    pub(crate) cargo_profile: Option<String>,
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
    /// Both --locked and --offline
    #[arg(long)]
    pub(crate) frozen: bool,
    /// Show the commands that cargo runs; twice: more of them
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Have cargo run N compilers at a time
    #[arg(long, value_name = "N")]
    pub(crate) build_jobs: Option<String>,
    /// Build and test for this platform
    #[arg(long, value_name = "TRIPLE")]
    pub(crate) target: Option<String>,
    /// Use this directory instead of cargo's target directory
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) target_dir: Option<PathBuf>,
    /// Build and run this package only (repeatable)
    #[arg(long, short, value_name = "SPEC")]
    pub package: Vec<String>,
    /// Build and run every package, not only the default members
    #[arg(long)]
    pub workspace: bool,
    /// Leave out this package of the workspace (repeatable)
    #[arg(long, value_name = "SPEC", requires = "workspace")]
    pub(crate) exclude: Vec<String>,
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
    #[command(flatten)]
    /// Which targets.
    pub(crate) targets: TargetArgs,
}

/// What to build.
#[derive(Debug, Clone, Copy)]
pub enum Selection<'a> {
    /// What `cargo test` builds, of the workspace except xtask (Windows cannot overwrite a running
    /// executable), with these features, given as `package/feature`.
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
    /// The subcommand of cargo that builds this. `cargo test` decides what its options for targets
    /// mean: `--example` builds an example's tests with it, and the example itself with `build`.
    pub(super) fn subcommand(self) -> &'static [&'static str] {
        match self {
            Selection::Tests { .. } => &["test", "--no-run"],
            Selection::DocTests { .. } => &["test", "--doc"],
            Selection::Binaries { .. } => &["build"],
        }
    }

    /// The arguments for it.
    pub(super) fn arguments(self, workspace: &Workspace, args: &BuildArgs) -> Vec<OsString> {
        let mut arguments = match self {
            Selection::Tests { features } | Selection::DocTests { features } => {
                let mut arguments = args.packages(workspace);
                if let Selection::Tests { .. } = self {
                    arguments.extend(args.targets.words());
                }
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
        arguments.extend(args.how());
        let mut arguments: Vec<OsString> = arguments.into_iter().map(OsString::from).collect();
        if args.target_dir.is_some() {
            arguments.push("--target-dir".into());
            arguments.push(workspace.target_directory.clone().into());
        }
        arguments
    }
}

fn features_of(features: &[String]) -> impl Iterator<Item = String> {
    features.iter().map(|feature| format!("--features={feature}"))
}

impl BuildArgs {
    /// Those of an optimised build.
    #[must_use]
    pub fn optimised() -> BuildArgs {
        BuildArgs {
            release: true,
            ..BuildArgs::default()
        }
    }

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

    /// The workspace that they are about.
    ///
    /// # Errors
    /// When cargo finds none.
    pub(crate) fn workspace(&self) -> anyhow::Result<Workspace> {
        let mut workspace = Workspace::load(self.manifest_path.as_deref())?;
        self.redirect(&mut workspace)?;
        Ok(workspace)
    }

    /// Has the workspace use the target directory that was requested.
    ///
    /// # Errors
    /// When the current directory, where its path starts, cannot be read.
    pub(crate) fn redirect(&self, workspace: &mut Workspace) -> anyhow::Result<()> {
        if let Some(directory) = &self.target_dir {
            workspace.target_directory = std::path::absolute(directory)
                .with_context(|| format!("could not use `{}`", directory.display()))?;
        }
        Ok(())
    }

    /// The name of the profile that cargo builds with.
    pub(crate) fn profile_of_cargo(&self) -> &str {
        let usual = if self.release { "release" } else { "dev" };
        self.cargo_profile.as_deref().unwrap_or(usual)
    }

    /// The options that select packages, features, targets, profile and platform, for a command
    /// that repeats the run; `None` if they cannot be typed.
    pub(crate) fn words(&self) -> Option<Vec<String>> {
        let option = |name: &str, value: &str| format!("--{name}={value}");
        let paths = [
            ("manifest-path", &self.manifest_path),
            ("target-dir", &self.target_dir),
        ];
        let mut words: Vec<String> = self.release.then(|| "--release".to_owned()).into_iter().collect();
        for (name, path) in paths {
            if let Some(path) = path {
                words.extend([format!("--{name}"), path.to_str()?.to_owned()]);
            }
        }
        words.extend(
            self.cargo_profile
                .iter()
                .map(|name| option("cargo-profile", name)),
        );
        words.extend(self.target.iter().map(|target| option("target", target)));
        words.extend(self.package.iter().map(|spec| option("package", spec)));
        words.extend(self.workspace.then(|| "--workspace".to_owned()));
        words.extend(self.exclude.iter().map(|spec| option("exclude", spec)));
        words.extend(self.feature_words());
        words.extend(self.targets.words());
        words.extend(self.doc_tests.words());
        Some(words)
    }

    /// How cargo builds, as words for it.
    fn how(&self) -> Vec<String> {
        let mut words = match (&self.cargo_profile, self.release) {
            (Some(profile), _) => vec![format!("--profile={profile}")],
            (None, true) => vec!["--release".to_owned()],
            // As `cargo test` does; it shares the common parts with the profile `dev`.
            (None, false) => vec!["--profile=test".to_owned()],
        };
        let flags = [
            (self.locked, "--locked"),
            (self.offline, "--offline"),
            (self.frozen, "--frozen"),
        ];
        let flags = flags.into_iter().filter(|(on, _)| *on);
        words.extend(flags.map(|(_, flag)| flag.to_owned()));
        words.extend((0..self.verbose).map(|_| "--verbose".to_owned()));
        words.extend(self.build_jobs.iter().map(|count| format!("--jobs={count}")));
        words.extend(self.target.iter().map(|target| format!("--target={target}")));
        words
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
        let is_named = |package: &Package, specs: &[String]| {
            let names = specs.iter().filter_map(|spec| spec.split('@').next());
            names.into_iter().any(|pattern| matches(pattern, &package.name))
        };
        let is_member = |package: &&Arc<Package>| match self.package.as_slice() {
            [] => self.workspace || workspace.default_members.contains(&package.id),
            specs => is_named(package, specs),
        };
        let members = workspace.packages.values().filter(is_member);
        members
            .filter(|member| !is_named(member, &self.exclude))
            .collect()
    }
}

/// Whether a name matches a pattern with `*` and `?`, as cargo takes them for packages.
fn matches(pattern: &str, name: &str) -> bool {
    let letters: Vec<char> = name.chars().collect();
    // How many letters the pattern may have consumed so far.
    let mut reached = BTreeSet::from([0]);
    for symbol in pattern.chars() {
        let fits = |at: &&usize| {
            let letter = letters.get(**at);
            letter.is_some_and(|letter| symbol == '?' || symbol == *letter)
        };
        reached = match (symbol, reached.first()) {
            (_, None) => return false,
            ('*', Some(first)) => (*first..=letters.len()).collect(),
            _ => reached.iter().filter(fits).map(|at| at + 1).collect(),
        };
    }
    reached.contains(&letters.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_built_with_the_packages_features_and_profile_of_the_tests() {
        let workspace = Workspace::load(None).unwrap();
        let features = ["a/one".to_owned(), "b/two".to_owned()];
        let (args, features) = (BuildArgs::default(), features.as_slice());
        let tests = Selection::Tests { features }.arguments(&workspace, &args);
        let probe = Selection::Binaries {
            package: "p",
            names: &["probe"],
            features,
        };
        let mut probe = probe.arguments(&workspace, &args);
        assert!(probe.contains(&OsString::from("--bin=probe")), "{probe:?}");
        probe.retain(|word| word != "--bin=probe");
        assert_eq!(probe, tests);
    }

    #[test]
    fn a_package_is_selected_by_its_name_or_a_pattern() {
        for pattern in ["acme-core", "acme-*", "*", "*core", "a*-c?re", "acme-core*"] {
            assert!(matches(pattern, "acme-core"), "{pattern}");
        }
        for pattern in ["", "acme", "core", "acme-?", "*-cor", "?acme-core"] {
            assert!(!matches(pattern, "acme-core"), "{pattern}");
        }
    }
}
