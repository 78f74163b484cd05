//! How single tests are treated: limits, retries, slots and groups, from
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
//! Only reads the tables and says what holds for a test; of several overrides the first that has a
//! key decides it.

mod read;

use std::num::NonZeroUsize;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::base::exit::Stop;
use crate::select::demand::{Company, Demand};
use crate::select::filter::{Expression, Subject};
use crate::select::plan::Test;
use crate::workspace::config::Home;
use crate::workspace::metadata::Workspace;

/// What holds for one test and not for all; nothing where it is like the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Treatment {
    /// Its own time limit.
    pub(crate) timeout: Option<Duration>,
    /// From then on it is slow.
    pub(crate) slow: Option<Duration>,
    /// How often it is tried again after a failure.
    pub(crate) retries: Option<u32>,
    /// Those with more start earlier; 0 for all others.
    pub(crate) priority: Option<i32>,
    /// How many slots it takes.
    pub(crate) weight: Option<NonZeroUsize>,
    /// The number of its group in [`Rules`].
    pub(crate) group: Option<usize>,
    /// Whether no other test runs meanwhile.
    pub(crate) exclusive: Option<bool>,
}

/// Tests of which only some run at a time.
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
    /// The filter as it stands there.
    text: String,
    filter: Expression,
    treatment: Treatment,
}

impl Rules {
    /// Those of a workspace.
    ///
    /// # Errors
    /// As for [`Rules::parse`].
    pub(crate) fn of(workspace: &Workspace) -> Result<Rules, Stop> {
        Rules::parse(&workspace.config.test, &workspace.config.home)
    }

    /// Reads `overrides` and `groups` of the table `test`, which stands in `home`.
    ///
    /// # Errors
    /// When a key is unknown, has a value of another kind, or names a group that does not exist;
    /// the message names file and key.
    fn parse(table: &Map<String, Value>, home: &Home) -> Result<Rules, Stop> {
        let rules = read::rules(table).map_err(|wrong| home.misunderstood(&wrong.key, &wrong.why))?;
        Ok(Rules {
            table: home.table.clone(),
            ..rules
        })
    }

    /// What holds for this test.
    pub(crate) fn treatment(&self, test: &Test) -> Treatment {
        let subject = test.subject();
        let matching = self.overrides.iter().filter(|rule| rule.filter.selects(&subject));
        matching.fold(Treatment::default(), |all, rule| all.or(rule.treatment))
    }

    /// A sentence about each override that none of `tests` is meant by.
    pub(crate) fn unmatched(&self, tests: &[Subject<'_>]) -> Vec<String> {
        let overrides = self.overrides.iter().enumerate();
        let idle = overrides.filter(|(_, rule)| !tests.iter().any(|test| rule.filter.selects(test)));
        idle.map(|(number, rule)| {
            let (text, table, key) = (&rule.text, &self.table, read::path_of(number));
            format!("no test matches `{text}`, which is `{table}.{key}.filter`")
        })
        .collect()
    }

    /// By the number of the group: how many of it run at a time.
    pub(crate) fn group_max(&self) -> Vec<usize> {
        self.groups.iter().map(|group| group.max.get()).collect()
    }

    /// `group ports, 2 slots, alone`: what is special about a test; empty if nothing is.
    pub(crate) fn words(&self, treatment: Treatment) -> String {
        let seconds =
            |what: &str, time: Option<Duration>| time.map(|time| format!("{what} {} s", time.as_secs_f64()));
        let group = treatment.group.and_then(|number| self.groups.get(number));
        let words = [
            group.map(|group| format!("group {}", group.name)),
            treatment.weight.map(|weight| format!("{weight} slots")),
            (treatment.exclusive == Some(true)).then(|| "alone".to_owned()),
            treatment.priority.map(|priority| format!("priority {priority}")),
            treatment.retries.map(|retries| format!("{retries} retries")),
            seconds("timeout", treatment.timeout),
            seconds("slow after", treatment.slow),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Treatment {
    /// Where this says nothing, `other` does.
    fn or(self, other: Treatment) -> Treatment {
        Treatment {
            timeout: self.timeout.or(other.timeout),
            slow: self.slow.or(other.slow),
            retries: self.retries.or(other.retries),
            priority: self.priority.or(other.priority),
            weight: self.weight.or(other.weight),
            group: self.group.or(other.group),
            exclusive: self.exclusive.or(other.exclusive),
        }
    }

    /// What it takes while it runs.
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
    fn of_several_overrides_the_first_that_says_something_decides() {
        let rules = rules(json!({
            "overrides": [
                {"filter": "test(=a)", "retries": 2, "timeout": "90s", "group": "ports"},
                {"filter": "all()", "retries": 5, "weight": 2, "exclusive": true, "slow": "1s", "priority": -3},
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
            "2 slots, alone, priority -3, 5 retries, slow after 1 s"
        );
    }

    #[test]
    fn without_tables_nothing_is_special() {
        let rules = rules(json!({"profiles": {}})).unwrap();
        assert_eq!(rules.treatment(&plain_tests(&["a"])[0]), Treatment::default());
        assert_eq!(Treatment::default().demand(), Demand::default());
    }

    #[test]
    fn an_override_that_means_no_test_is_named_with_its_filter() {
        let overrides = ["test(=a)", "module(b)"].map(|filter| json!({"filter": filter, "retries": 1}));
        let rules = rules(json!({ "overrides": overrides })).unwrap();
        let tests = plain_tests(&["a"]);
        assert_eq!(
            rules.unmatched(&[tests[0].subject()]),
            ["no test matches `module(b)`, which is `workspace.metadata.universe.test.overrides[1].filter`"]
        );
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key_and_its_file() {
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
