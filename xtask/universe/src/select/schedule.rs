//! The options of `test` that decide which part of the suite runs, in which order and how often.

use clap::ArgMatches;

use crate::base::exit::Exit;
use crate::base::failure_kind::FailureKind;
use crate::base::text::counted;
use crate::report::data::{Failure, Outcome, Suite};
use crate::select::repeat::RepeatArgs;
use crate::select::subset::SubsetArgs;

/// Which part of the suite runs, in which order and how often.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ScheduleArgs {
    #[command(flatten)]
    pub(crate) subset: SubsetArgs,
    #[command(flatten)]
    pub(crate) repeat: RepeatArgs,
    /// Fail if more than N tests are skipped
    #[arg(long, value_name = "N", env = "XTASK_TEST_MAX_SKIPS", help_heading = "Part")]
    max_skips: Option<usize>,
    /// Fail if any test is skipped, like `--max-skips 0`; if both are given, the last one counts
    #[arg(long, help_heading = "Part")]
    no_skips: bool,
    /// Choose what happens when no test is selected
    #[arg(
        long,
        value_name = "VERDICT",
        value_enum,
        default_value_t,
        env = "XTASK_TEST_NO_TESTS",
        help_heading = "Part"
    )]
    pub(crate) no_tests: NoTests,
    /// List the selected tests and run nothing, like `list`
    #[arg(long, help_heading = "Part")]
    pub(crate) list: bool,
    /// Print which tests would run, in order, and why the others would not; run nothing
    #[arg(long, conflicts_with = "list", help_heading = "Part")]
    pub(crate) dry_run: bool,
}

/// What an empty selection of tests means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum NoTests {
    /// Exit code 0.
    Pass,
    /// Exit code 4.
    #[default]
    Fail,
}

impl NoTests {
    /// The exit code for it.
    pub(crate) fn exit(self) -> Exit {
        match self {
            NoTests::Pass => Exit::Success,
            NoTests::Fail => Exit::NoTests,
        }
    }
}

impl ScheduleArgs {
    /// Decides between `--no-skips` and `--max-skips`. An option beats a variable, and a variable
    /// beats the profile; between two options the last one counts. These options were parsed into
    /// `matches`.
    pub(crate) fn settle(&mut self, matches: &ArgMatches) {
        let said = |id| (matches.value_source(id), matches.index_of(id));
        if said("max_skips") > said("no_skips") {
            self.no_skips = false;
        }
    }

    /// How many tests may be skipped, if that is limited.
    pub(crate) fn skips_max(&self) -> Option<usize> {
        if self.no_skips { Some(0) } else { self.max_skips }
    }

    /// The failure of a run in which too many tests were skipped.
    pub(crate) fn too_many_skips(&self, suites: &[Suite]) -> Option<Failure> {
        let limit = self.skips_max()?;
        let cases = suites.iter().flat_map(|suite| &suite.cases);
        let count = cases
            .filter(|case| matches!(case.outcome, Outcome::Skipped(_)))
            .count();
        (count > limit).then(|| Failure {
            kind: FailureKind::Skips,
            message: format!(
                "{} skipped; the limit is {limit}",
                counted(count, "test was", "tests were")
            ),
            detail: "the report has the reason of each skipped test".to_owned(),
        })
    }
}
