//! Failures of one test in several rounds: the first ones are shown whole, the others share a line.

use crate::base::failure_kind::FailureKind;
use crate::base::limits::{CONSOLE_ROUNDS_MAX, CONSOLE_ROUNDS_NAMED_MAX};
use crate::base::text::{counted, plain_line};
use crate::report::data::{Case, Suite};

/// A failure to show whole, or the rounds that failed in the same place after those shown.
#[derive(Debug)]
pub(super) enum Shown<'a> {
    Whole(&'a Suite, &'a Case),
    Others(&'a Case, Vec<u32>),
}

/// The rounds of one test that failed in the same way.
#[derive(Debug)]
struct Group<'a> {
    kind: &'a FailureKind,
    /// Of a round that stands for all.
    case: &'a Case,
    count: usize,
    /// Rounds that are not shown whole.
    others: Vec<u32>,
}

/// The failures among these cases, in their order; what is not shown whole comes last. The rounds
/// of a test follow each other.
pub(super) fn failures<'a>(cases: impl Iterator<Item = (&'a Suite, &'a Case)>) -> Vec<Shown<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut of_this_test = 0;
    let mut whole = Vec::new();
    for (suite, case) in cases {
        let Some(failure) = case.failure() else {
            continue;
        };
        if groups.last().is_some_and(|group| group.case.id != case.id) {
            of_this_test = groups.len();
        }
        let is_same = |group: &&mut Group<'_>| {
            let place = (&group.case.file, group.case.line);
            *group.kind == failure.kind && place == (&case.file, case.line)
        };
        let known = groups.get_mut(of_this_test..).unwrap_or_default();
        match known.iter_mut().find(is_same) {
            Some(group) if group.count >= CONSOLE_ROUNDS_MAX => group.others.push(case.round),
            Some(group) => {
                group.count += 1;
                whole.push(Shown::Whole(suite, case));
            }
            None => {
                groups.push(Group {
                    kind: &failure.kind,
                    case,
                    count: 1,
                    others: Vec::new(),
                });
                whole.push(Shown::Whole(suite, case));
            }
        }
    }
    let rest = groups.into_iter().filter(|group| !group.others.is_empty());
    whole.extend(rest.map(|group| Shown::Others(group.case, group.others)));
    whole
}

/// `p::suite m::f failed in the same way in 5 more rounds: 4, 5, 7, 8, 9; the report has them`
pub(super) fn line(case: &Case, rounds: &[u32]) -> String {
    let named = rounds.iter().take(CONSOLE_ROUNDS_NAMED_MAX).map(u32::to_string);
    let named = named.collect::<Vec<_>>().join(", ");
    let rest = match rounds.len().saturating_sub(CONSOLE_ROUNDS_NAMED_MAX) {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    format!(
        "{} failed in the same way in {}: {named}{rest}; the report has them",
        plain_line(&case.id).replacen('$', " ", 1),
        counted(rounds.len(), "more round", "more rounds")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::data::Outcome;
    use crate::report::examples::{case, failed, report};

    #[test]
    fn the_first_rounds_that_fail_are_shown_whole_and_the_others_are_numbers() {
        let round = |round: usize| Case {
            round: u32::try_from(round).unwrap(),
            line: Some(7),
            ..case("often", failed("no"))
        };
        let elsewhere = Case {
            line: Some(8),
            ..round(50)
        };
        let all = CONSOLE_ROUNDS_MAX + CONSOLE_ROUNDS_NAMED_MAX + 2;
        let mut cases: Vec<Case> = (1..=all).map(round).collect();
        cases.extend([elsewhere, case("fine", Outcome::Passed)]);
        let report = report("1", cases);
        let shown = |count: usize| {
            let suite = &report.suites[0];
            let shown = failures(suite.cases.iter().take(count).map(|case| (suite, case)));
            let mut others: Vec<String> = Vec::new();
            for shown in &shown {
                if let Shown::Others(case, rounds) = shown {
                    others.push(line(case, rounds));
                }
            }
            (shown.len() - others.len(), others)
        };
        assert_eq!(shown(CONSOLE_ROUNDS_MAX), (3, vec![]));
        let one = "p::suite m::often failed in the same way in 1 more round: 4; the report has them";
        assert_eq!(shown(CONSOLE_ROUNDS_MAX + 1), (3, vec![one.to_owned()]));
        let many = "p::suite m::often failed in the same way in 12 more rounds: 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 \
                    and 2 more; the report has them";
        assert_eq!(shown(all + 2), (4, vec![many.to_owned()]));
    }
}
