//! The treatment of single tests: limits, retries, slots and groups, from
//! `[workspace.metadata.universe.test]`.
//!
//! ```toml
//! [[workspace.metadata.universe.test.overrides]]
//! filter = "module(relay::limits)"
//! group = "ports"
//! [workspace.metadata.universe.test.groups.ports]
//! max = 2
//! ```
//!
//! Only parses the tables and computes the treatment of a test. If several overrides match, the
//! first one that has a key decides it.

mod read;

use std::num::NonZeroUsize;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::base::exit::Stop;
use crate::base::text::counted;
use crate::sandbox::isolation::Network;
use crate::select::demand::{Company, Demand};
use crate::select::filter::{Expression, Subject};
use crate::select::plan::Test;
use crate::workspace::config::Home;
use crate::workspace::metadata::Workspace;

/// The treatment of one test; empty if it is like the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Treatment {
    /// Its own time limit.
    pub(crate) timeout: Option<Duration>,
    /// Running time from which it is slow.
    pub(crate) slow: Option<Duration>,
    /// How often it is retried after a failure.
    pub(crate) retries: Option<u32>,
    /// Tests with a higher priority start earlier; the default is 0.
    pub(crate) priority: Option<i32>,
    /// How many slots it takes.
    pub(crate) weight: Option<NonZeroUsize>,
    /// The number of its group in [`Rules`].
    pub(crate) group: Option<usize>,
    /// Whether no other test runs meanwhile.
    pub(crate) exclusive: Option<bool>,
    /// Its network, in the box.
    pub(crate) network: Option<Network>,
}

/// Tests of which only a limited number run concurrently.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    max: NonZeroUsize,
}

/// All overrides and groups of a workspace.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// The path of the table in which they stand.
    table: String,
    overrides: Vec<Override>,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Override {
    /// The filter as written.
    text: String,
    filter: Expression,
    treatment: Treatment,
}

impl Rules {
    /// The rules of a workspace.
    ///
    /// # Errors
    /// As for [`Rules::parse`].
    pub(crate) fn of(workspace: &Workspace) -> Result<Rules, Stop> {
        Rules::parse(&workspace.config.test, &workspace.config.home)
    }

    /// Reads `overrides` and `groups` of the table `test`, which stands in `home`.
    ///
    /// # Errors
    /// When a key is unknown, has a value of the wrong kind, or names a group that does not exist.
    /// The message names file and key.
    fn parse(table: &Map<String, Value>, home: &Home) -> Result<Rules, Stop> {
        let rules = read::rules(table).map_err(|wrong| home.misunderstood(&wrong.key, &wrong.why))?;
        Ok(Rules {
            table: home.table.clone(),
            ..rules
        })
    }

    /// The treatment of this test.
    pub(crate) fn treatment(&self, test: &Test) -> Treatment {
        let subject = test.subject();
        let matching = self.overrides.iter().filter(|rule| rule.filter.selects(&subject));
        matching.fold(Treatment::default(), |all, rule| all.or(rule.treatment))
    }

    /// A warning about each override that matches none of `tests`.
    pub(crate) fn unmatched(&self, tests: &[Subject<'_>]) -> Vec<String> {
        let overrides = self.overrides.iter().enumerate();
        let idle = overrides.filter(|(_, rule)| !tests.iter().any(|test| rule.filter.selects(test)));
        idle.map(|(number, rule)| {
            let (text, table, key) = (&rule.text, &self.table, read::path_of(number));
            format!("no test matches `{text}`, which is `{table}.{key}.filter`")
        })
        .collect()
    }

    /// By the number of the group: how many of its tests may run concurrently.
    pub(crate) fn group_max(&self) -> Vec<usize> {
        self.groups.iter().map(|group| group.max.get()).collect()
    }

    /// `group ports, 2 slots, alone`: the treatment of a test in words; empty if it has none.
    pub(crate) fn words(&self, treatment: Treatment) -> String {
        let seconds =
            |what: &str, time: Option<Duration>| time.map(|time| format!("{what} {} s", time.as_secs_f64()));
        let group = treatment.group.and_then(|number| self.groups.get(number));
        let words = [
            group.map(|group| format!("group {}", group.name)),
            treatment
                .weight
                .map(|weight| counted(weight.get(), "slot", "slots")),
            (treatment.exclusive == Some(true)).then(|| "alone".to_owned()),
            treatment
                .network
                .map(|network| format!("network {}", network.name())),
            treatment.priority.map(|priority| format!("priority {priority}")),
            treatment
                .retries
                .map(|retries| counted(retries as usize, "retry", "retries")),
            seconds("timeout", treatment.timeout),
            seconds("slow after", treatment.slow),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Treatment {
    /// With the values of `other` where this one has none.
    fn or(self, other: Treatment) -> Treatment {
        Treatment {
            timeout: self.timeout.or(other.timeout),
            slow: self.slow.or(other.slow),
            retries: self.retries.or(other.retries),
            priority: self.priority.or(other.priority),
            weight: self.weight.or(other.weight),
            group: self.group.or(other.group),
            exclusive: self.exclusive.or(other.exclusive),
            network: self.network.or(other.network),
        }
    }

    /// What it needs while it runs.
    pub(crate) fn demand(self) -> Demand {
        Demand {
            weight: self.weight.map_or(1, NonZeroUsize::get),
            group: self.group,
            company: match self.exclusive {
                Some(true) => Company::None,
                Some(false) | None => Company::Any,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::plan::plain_tests;
    use serde_json::json;

    fn rules(table: Value) -> Result<Rules, Stop> {
        let home = Home::new("universe", std::path::Path::new("/p/Cargo.toml"));
        Rules::parse(table.as_object().unwrap(), &home)
    }

    #[test]
    fn of_several_overrides_the_first_one_with_a_key_decides() {
        let rules = rules(json!({
            "overrides": [
                {"filter": "test(=a)", "retries": 2, "timeout": "90s", "group": "ports"},
                {"filter": "all()", "retries": 5, "weight": 2, "exclusive": true, "slow": "1s", "priority": -3, "network": "own"},
            ],
            "groups": {"ports": {"max": 1}},
        }))
        .unwrap();
        let tests = plain_tests(&["a", "b"]);
        let (a, b) = (rules.treatment(&tests[0]), rules.treatment(&tests[1]));
        assert_eq!((a.retries, a.timeout), (Some(2), Some(Duration::from_secs(90))));
        assert_eq!(
            (a.demand().weight, a.demand().group, a.demand().company),
            (2, Some(0), Company::None)
        );
        assert_eq!((b.retries, b.group, b.priority), (Some(5), None, Some(-3)));
        assert_eq!(
            rules.words(b),
            "2 slots, alone, network own, priority -3, 5 retries, slow after 1 s"
        );
    }

    #[test]
    fn without_tables_nothing_is_special() {
        let rules = rules(json!({"profiles": {}})).unwrap();
        assert_eq!(rules.treatment(&plain_tests(&["a"])[0]), Treatment::default());
        assert_eq!(Treatment::default().demand(), Demand::default());
    }

    #[test]
    fn an_override_that_matches_no_test_is_named_with_its_filter() {
        let overrides = ["test(=a)", "module(b)"].map(|filter| json!({"filter": filter, "retries": 1}));
        let rules = rules(json!({ "overrides": overrides })).unwrap();
        let tests = plain_tests(&["a"]);
        assert_eq!(
            rules.unmatched(&[tests[0].subject()]),
            ["no test matches `module(b)`, which is `workspace.metadata.universe.test.overrides[1].filter`"]
        );
    }

    #[test]
    fn an_error_names_its_key_and_its_file() {
        for (table, key) in [
            (json!({"overrides": {}}), "overrides`"),
            (json!({"overrides": [{"retries": 1}]}), "overrides[0].filter`"),
            (
                json!({"overrides": [{"filter": "and and"}]}),
                "overrides[0].filter`",
            ),
            (
                json!({"overrides": [{"filter": "all()", "retires": 1}]}),
                "overrides[0].retires`",
            ),
            (
                json!({"overrides": [{"filter": "all()", "retries": -1}]}),
                "overrides[0].retries`",
            ),
            (
                json!({"overrides": [{"filter": "all()", "timeout": 9}]}),
                "overrides[0].timeout`",
            ),
            (
                json!({"overrides": [{"filter": "all()", "timeout": "soon"}]}),
                "overrides[0].timeout`",
            ),
            (
                json!({"overrides": [{"filter": "all()", "weight": 0}]}),
                "overrides[0].weight`",
            ),
            (
                json!({"overrides": [{"filter": "all()", "group": "ports"}]}),
                "overrides[0].group`",
            ),
            (
                json!({"overrides": [{"filter": "all()", "network": "lan"}]}),
                "overrides[0].network`",
            ),
            (json!({"overrides": [{"filter": "all()"}]}), "overrides[0]`"),
            (json!({"groups": {"ports": {"max": 0}}}), "groups.ports.max`"),
            (json!({"groups": {"ports": {}}}), "groups.ports.max`"),
            (
                json!({"groups": {"ports": {"max": 1, "min": 0}}}),
                "groups.ports.min`",
            ),
        ] {
            let message = rules(table.clone()).unwrap_err().message;
            let place = format!("`workspace.metadata.universe.test.{key} in `/p/Cargo.toml`: ");
            assert!(message.contains(&place), "{table}: {message}");
        }
    }
}
